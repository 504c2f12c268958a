"""The stages of the training, the export of what they leave, and its calibration."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from makeup_training.data.portraits import BadDataError
from makeup_training.mobile.apart import painter_losses, reader_losses
from makeup_training.mobile.calibration import record
from makeup_training.mobile.export import CHANNEL_BLOCK, export
from makeup_training.mobile.feature import (
    FeatureNetworks,
    evaluate_feature,
    feature_losses,
    view,
)
from makeup_training.mobile.model import PARTS, FaceNetworks, Mobile
from makeup_training.mobile.networks import CODES, FacePainter, FaceReader
from makeup_training.mobile.start import start_from_samples
from makeup_training.mobile.train import (
    FEATURES,
    TOLD_SHARE,
    evaluate_face,
    evaluate_painter,
    evaluate_reader,
    main,
    step_losses,
    told_share,
)


def test_the_painters_start_is_better_than_nothing(samples):
    torch.manual_seed(0)
    network = FaceNetworks(FaceReader(), FacePainter())

    def loss():
        with torch.no_grad():
            parts = painter_losses(network.painter, samples, 4, np.random.default_rng(4))
        return float(sum(parts.values()))

    before = loss()
    start_from_samples(network.reader, network.painter, samples)
    assert loss() < 0.95 * before


@pytest.mark.parametrize("stage", ["reader", "painter"])
def test_each_network_learns_alone(samples, stage):
    torch.manual_seed(0)
    mobile = FaceNetworks(FaceReader(), FacePainter())
    start_from_samples(mobile.reader, mobile.painter, samples)
    measure, evaluate, network = {
        "reader": (reader_losses, evaluate_reader, mobile.reader),
        "painter": (painter_losses, evaluate_painter, mobile.painter),
    }[stage]
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    losses = []
    for _ in range(12):
        loss = torch.stack(list(measure(network, samples, 1, np.random.default_rng(4)).values()))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        losses.append(float(loss.detach().sum()))
    assert losses[-1] < 0.95 * losses[0]
    assert evaluate(network.eval().state_dict(), samples).keys() >= {"skin", "none_skin"}


def test_training_goes_through_its_stages_and_on_from_there(
    samples_folder, tmp_path, monkeypatch, capsys
):
    def run(*more):
        options = ["--samples", str(samples_folder), "--out", str(tmp_path), "--looks", "1"]
        monkeypatch.setattr("sys.argv", ["train", *options, *more])
        main()

    run("--stage", "reader", "--reader-steps", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["reader.pt"]
    others = ("painter", "face", "lips", "eyes")
    run("--reader-steps", "2", *(word for name in others for word in (f"--{name}-steps", "1")))
    assert "resumed at step 1" in capsys.readouterr().out
    both = torch.load(tmp_path / "face.pt", weights_only=True)
    alone = torch.load(tmp_path / "reader.pt", weights_only=True)
    assert (alone["step"], both["step"]) == (2, 1)
    name = "encoder.stem.0.weight"
    near = torch.allclose(both["average"][f"reader.{name}"], alone["average"][name], atol=1e-3)
    assert near
    lips = torch.load(tmp_path / "lips.pt", weights_only=True)["average"]
    mobile = Mobile.load(tmp_path)
    assert torch.equal(mobile.painter.lips.head.weight, lips["painter.head.weight"])
    assert torch.equal(mobile.reader.face.encoder.stem[0].weight, both["average"][f"reader.{name}"])


def test_the_face_wants_its_networks_alone_first(samples_folder, tmp_path, monkeypatch):
    options = ["--samples", str(samples_folder), "--out", str(tmp_path), "--stage", "face"]
    monkeypatch.setattr("sys.argv", ["train", *options])
    with pytest.raises(BadDataError, match=r"reader\.pt.*--stage reader"):
        main()


def test_two_steps_and_an_export(samples, tmp_path):
    torch.manual_seed(0)
    network = FaceNetworks(FaceReader(), FacePainter()).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    losses = []
    for _ in range(6):
        parts = step_losses(network, samples, 1, np.random.default_rng(4))
        loss = sum(parts.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert evaluate_face(network.state_dict(), samples, pairs=2)["none_skin"] > 0


@pytest.fixture
def run(tmp_path):
    """Checkpoints of networks that were told nothing, but paint something."""
    torch.manual_seed(0)
    for stage in PARTS:
        network = (
            FeatureNetworks(FEATURES[stage])
            if stage in FEATURES
            else FaceNetworks(FaceReader(), FacePainter())
        )
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
        torch.save({"average": network.state_dict(), "step": 3}, tmp_path / f"{stage}.pt")
    return tmp_path


def test_exported_graphs_are_the_networks(samples, run, tmp_path):
    export(run, tmp_path / "bundle", {})
    network = Mobile.load(run)
    crop, regions = samples.bare[:2], samples.bare_regions[:2]
    codes = np.random.default_rng(0).normal(size=(2, CODES, 64, 64)).astype(np.float32)
    landmarks = np.array(samples.bare_landmarks[:2])
    image = torch.from_numpy(np.array(crop)).permute(0, 3, 1, 2) / 255
    maps = torch.from_numpy(np.array(regions))
    with torch.no_grad():
        read = network.reader(image, maps, torch.from_numpy(landmarks)).numpy()
        changes = [part.numpy() for part in network.painter(image, maps, torch.from_numpy(codes))]
    shown = {"image": np.array(crop), "regions": np.array(regions)}
    graphs = {
        name: onnxruntime.InferenceSession(str(tmp_path / "bundle" / f"{name}.onnx"))
        for name in ("reader", "painter")
    }
    found = graphs["reader"].run(None, {**shown, "landmarks": landmarks})[0]
    assert np.abs(found - read).max() < 0.02
    convolutions = onnx.load(tmp_path / "bundle" / "painter.onnx").graph
    widths = {t.name.removesuffix(".half"): t.dims for t in convolutions.initializer}
    for node in convolutions.node:
        if node.op_type != "Conv" or max(widths[node.input[1]][2:]) == 1:
            continue
        if widths[node.input[1]][1] > CHANNEL_BLOCK:
            assert widths[node.input[1]][1] % CHANNEL_BLOCK == 0
    painted = graphs["painter"].run(None, {**shown, "codes": codes})
    for found, change in zip(painted, changes, strict=True):
        change[:, 3:] *= 255
        assert np.abs(found - change).max() < 0.05 * max(np.abs(change).max(), 1)


def test_calibration_is_what_the_painter_is_given(samples, run, tmp_path):
    record(run, samples, 4, tmp_path / "inputs.npz")
    with np.load(tmp_path / "inputs.npz", allow_pickle=False) as archive:
        found = dict(archive)
    assert {name: (v.shape, v.dtype.name) for name, v in found.items()} == {
        "painter/image": ((2, 256, 256, 3), "uint8"),
        "painter/regions": ((2, 256, 256), "uint8"),
        "painter/codes": ((2, CODES, 64, 64), "float32"),
    }
    assert np.array_equal(found["painter/image"][1], samples.bare[4])
    assert np.abs(found["painter/codes"]).max(axis=(1, 2, 3)).min() > 0.1


@pytest.mark.parametrize("stage", FEATURES)
def test_a_feature_learns(samples, stage):
    torch.manual_seed(0)
    region = FEATURES[stage]
    network = FeatureNetworks(region).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    before = evaluate_feature(region, network.eval().state_dict(), samples)
    assert before[stage] == pytest.approx(before[f"none_{stage}"], abs=1e-3)
    losses = []
    for _ in range(12):
        rng = np.random.default_rng(4)
        loss = feature_losses(network.train(), samples, 2, rng, told_share=0.0)[stage]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("stage", FEATURES)
def test_who_knows_the_makeup_is_believed_as_often_as_said(samples, stage):
    """Told, the painting is lowered through the numbers; not told, through the reader."""
    torch.manual_seed(0)
    network = FeatureNetworks(FEATURES[stage])
    torch.nn.init.normal_(network.painter.direct.weight, std=0.1)

    def learns(part, share):
        network.zero_grad()
        rng = np.random.default_rng(1)
        losses = feature_losses(network, samples, 2, rng, told_share=share)
        assert set(losses) == {stage, f"{stage}_codes"}
        losses[stage].backward()
        return any(p.grad is not None and p.grad.any() for p in part.parameters())

    assert learns(network.knower, 1.0)
    assert not learns(network.reader, 1.0)
    assert learns(network.reader, 0.0)
    assert not learns(network.knower, 0.0)


@pytest.mark.parametrize("stage", FEATURES)
def test_makeup_goes_from_one_face_to_two_others_that_wear_it(samples, stage, monkeypatch):
    rows = {}

    def watched(samples, region, shown, kind, mirrors):
        rows.setdefault(kind, []).append(shown)
        return view(samples, region, shown, kind, mirrors)

    monkeypatch.setattr("makeup_training.mobile.feature.view", watched)
    network, rng = FeatureNetworks(FEATURES[stage]), np.random.default_rng(0)
    feature_losses(network, samples, 8, rng, told_share=0.0)
    for lender, others in zip(rows["worn"][0], np.reshape(rows["truth"][0], (-1, 2)), strict=True):
        assert sorted([lender, *others]) in ([0, 1, 2], [3, 4, 5])


def test_nobody_is_told_in_the_last_part_of_a_training():
    assert [told_share(step, 100) for step in (0, 74, 75, 99)] == [TOLD_SHARE, TOLD_SHARE, 0, 0]
