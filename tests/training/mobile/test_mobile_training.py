"""The learned model's training: the morph, the change, samples, losses, and export."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from makeup_kernels import TEMPLATE_LANDMARKS, Region, apply_color_map
from makeup_sdk.classic.layout import FaceLayout
from makeup_sdk.classic.template import template_landmarks, template_regions
from makeup_sdk.mobile.layout import GRID, LaidCodes, template_layout
from makeup_sdk.mobile.paint import cells_of
from makeup_training.data.portraits import BadDataError
from makeup_training.data.readers import open_collection
from makeup_training.mobile.apart import painter_losses, reader_losses
from makeup_training.mobile.batches import draw_triples
from makeup_training.mobile.calibration import record
from makeup_training.mobile.export import CHANNEL_BLOCK, export
from makeup_training.mobile.lay import Lay
from makeup_training.mobile.light import Relight, degrade
from makeup_training.mobile.losses import (
    REGION_WEIGHTS,
    ROUNDING,
    painting_losses,
    reading_losses,
    worn_change,
)
from makeup_training.mobile.model import Mobile, apply_change
from makeup_training.mobile.networks import (
    CHANGED,
    CODES,
    GAMMA,
    Painter,
    Reader,
    by_region,
    cell_means,
    evidence,
    log_light,
    mix,
    region_shares,
    spread,
)
from makeup_training.mobile.samples import Samples, paint
from makeup_training.mobile.start import start_from_samples
from makeup_training.mobile.train import (
    evaluate_both,
    evaluate_painter,
    evaluate_reader,
    main,
    step_losses,
)


@pytest.fixture(scope="module")
def samples_folder(faces_folder, tmp_path_factory):
    """Two makeups on three faces each."""
    folder = tmp_path_factory.mktemp("samples")
    paint(open_collection(faces_folder).bare, folder, makeups=2, faces=3, seed=0)
    return folder


@pytest.fixture(scope="module")
def samples(samples_folder):
    return Samples.open(samples_folder)


def turned_face():
    """Another face than the template: wider, shifted and turned a little."""
    angle = 0.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template_landmarks() - 128) @ turn.T * [1.05, 0.97] + [131, 126]
    y, x = np.mgrid[:256, :256]
    back = ((np.stack([x, y], -1) - [131, 126]) / [1.05, 0.97]) @ turn + 128
    column, row = np.clip(np.round(back).astype(int), 0, 255).transpose(2, 0, 1)
    regions = np.ascontiguousarray(template_regions()[row, column])
    return FaceLayout(points.astype(np.float32), regions)


@pytest.mark.parametrize("to_template", [True, False])
def test_lay_is_the_kernels_morph(to_template):
    faces = (turned_face(), template_layout())
    source, target = faces if to_template else faces[::-1]
    codes = np.random.default_rng(0).normal(size=(CODES, GRID, GRID)).astype(np.float32)
    expected = LaidCodes(codes, source).on(target)
    laid = Lay(source, target)(torch.from_numpy(codes)).numpy()
    assert np.abs(laid - expected).max() < 2e-4
    assert np.abs(expected).max() > 0.5


def test_lay_has_gradients():
    codes = torch.randn(2, GRID, GRID, dtype=torch.float64, requires_grad=True)
    lay = Lay(turned_face(), template_layout())
    weights = torch.randn(2, GRID, GRID, dtype=torch.float64)
    (lay(codes) * weights).sum().backward()
    step = 1e-3 * torch.randn_like(codes)
    with torch.no_grad():
        change = ((lay(codes + step) - lay(codes)) * weights).sum()
    assert torch.isclose(change, (codes.grad * step).sum(), rtol=1e-6)


def test_change_in_training_is_the_kernels():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    change = rng.normal(0, 0.2, (6, 128, 128)).astype(np.float32)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    trained = apply_change(tensor, torch.from_numpy(change)[None])[0].permute(1, 2, 0) * 255
    pixels = np.concatenate([change[:3], 255 * change[3:]])
    painted = apply_color_map(image, pixels, cells_of(np.eye(2, 3)))
    inside = np.s_[1:-1, 1:-1]
    assert np.abs(painted - trained.clamp(0, 255).numpy())[inside].max() <= 0.51


def test_an_untrained_painter_changes_nothing():
    regions = torch.from_numpy(template_regions()[None].copy()).repeat(2, 1, 1)
    change = Painter()(torch.rand(2, 3, 256, 256), regions, torch.randn(2, CODES, 64, 64))
    assert change.shape == (2, 6, 128, 128)
    assert not change.any()


def test_sizes_are_those_of_a_mobile_model():
    parameters = sum(p.numel() for n in (Reader(), Painter()) for p in n.parameters())
    assert parameters <= 1_500_000
    from torch.utils.flop_counter import FlopCounterMode

    painter = Painter().eval()
    regions = torch.zeros(1, 256, 256, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        painter(torch.zeros(1, 3, 256, 256), regions, torch.zeros(1, 16, 64, 64))
    assert counter.get_total_flops() / 2 <= 0.8e9


def test_region_shares_add_up():
    regions = torch.from_numpy(template_regions()[None].copy())
    shares = region_shares(regions)
    assert shares.shape == (1, 4, 64, 64)
    assert shares.sum(1).max() <= 1
    for region in (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS):
        wanted = (regions == region).float().mean()
        assert shares[0, region - 1].mean() == pytest.approx(float(wanted), rel=0.1)


def test_cells_are_of_the_region_that_the_morph_takes_them_for():
    regions = torch.from_numpy(turned_face().regions[None].copy())
    values = torch.randn(1, 2, 128, 128, dtype=torch.float64)
    found = cell_means(values, regions)
    rng = np.random.default_rng(0)
    kinds = set()
    for r, c in rng.integers(0, 64, (300, 2)):
        mine = regions[0, 4 * r, 4 * c]
        kinds.add(int(mine))
        quarters = [
            values[0, :, 2 * r + i, 2 * c + j]
            for i in (0, 1)
            for j in (0, 1)
            if regions[0, 4 * r + 2 * i, 4 * c + 2 * j] == mine
        ]
        assert torch.allclose(found[0, :, r, c], torch.stack(quarters).mean(0))
    assert len(kinds) >= 3
    own = by_region(torch.arange(8.0).view(1, 8, 1, 1).expand(1, 8, 64, 64), regions)
    grid = regions[0, ::4, ::4]
    assert torch.equal(own[0, 0], torch.where(grid > 0, 2.0 * (grid.float() - 1), 0.0))


def test_lips_are_painted_to_their_edge_and_not_beyond():
    regions = torch.full((1, 256, 256), int(Region.SKIN), dtype=torch.uint8)
    regions[:, 101:139, 79:151] = Region.LIPS
    asked = torch.zeros(1, 8, 64, 64)
    asked[:, 0][regions[:, ::4, ::4] == Region.LIPS] = 1.0
    shares = torch.stack(
        [F.avg_pool2d((regions == r).float()[:, None], 2)[:, 0] for r in (1, 2, 3, 4)], 1
    )
    change = mix(spread(asked, regions), shares)
    assert change.shape == (1, 2, 128, 128)
    lips = shares[:, 0]
    assert change[:, 0][lips == 1].min() > 0.9
    assert change[:, 0][lips == 0].abs().max() == 0
    assert change[:, 1].abs().max() == 0
    edge = (lips > 0) & (lips < 1)
    assert edge.any()
    assert (change[:, 0][edge] / lips[edge]).min() > 0.9
    assert (change[:, 0][edge] <= lips[edge] + 1e-6).all()


def test_light_multiplies_bare_and_made_up_alike():
    generator = torch.Generator().manual_seed(0)
    light = Relight(3, generator, share=1.0)
    image = torch.rand(3, 3, 64, 64) * 0.2
    ratio = light(image * 0.5) / light(image).clamp(min=1e-6)
    assert torch.allclose(ratio, torch.full_like(ratio, 0.5), atol=1e-3)
    assert light(image).std(0).mean() > 0


def test_unlit_faces_stay():
    light = Relight(2, torch.Generator().manual_seed(0), share=0.0)
    image = torch.rand(2, 3, 64, 64)
    assert torch.allclose(light(image), image, atol=1e-6)


def test_degraded_faces_stay_pictures():
    image = torch.rand(24, 3, 128, 128)
    worse = degrade(image, torch.Generator().manual_seed(1))
    assert worse.shape == image.shape
    assert worse.min() >= 0
    assert worse.max() <= 1
    touched = (worse != image).flatten(1).any(1)
    assert touched.any()
    assert not touched.all()


def test_painting_losses_count_regions_not_pixels():
    regions = torch.zeros(1, 256, 256, dtype=torch.uint8)
    regions[:, :10, :10] = Region.LIPS
    regions[:, 20:, :] = Region.SKIN
    clean = torch.full((1, 3, 256, 256), 0.5)
    change = torch.zeros(1, 6, 128, 128)
    change[:, :3], change[:, 3:] = 0.1, 0.05
    losses = painting_losses(change, clean, clean, regions)
    for region in (Region.LIPS, Region.SKIN):
        off = np.hypot(0.1, ROUNDING[region]) - ROUNDING[region]
        assert losses[region.name.lower()] == pytest.approx(REGION_WEIGHTS[region] * off, rel=1e-3)
    assert losses["eyes"] == 0
    right = painting_losses(change, clean, clean * 1.1 + 0.05, regions)
    assert max(right.values()) < 1e-6


def test_reading_losses_are_zero_for_the_right_codes():
    regions = torch.from_numpy(template_regions()[None].copy())
    bare = torch.full((1, 3, 256, 256), 0.5)
    worn = bare * torch.tensor([0.5, 0.8, 1.1]).view(1, 3, 1, 1)
    codes = torch.zeros(1, CODES, 64, 64)
    wrong = reading_losses(codes, worn_change(worn, bare, regions), regions)
    codes[:, CHANGED] = (log_light(worn) - log_light(bare))[:, :, ::4, ::4]
    right = reading_losses(codes, worn_change(worn, bare, regions), regions)
    assert max(right.values()) < 1e-5 < min(wrong.values())


def test_evidence_forgets_exposure():
    regions = torch.from_numpy(template_regions()[None].copy())
    image = torch.rand(1, 3, 256, 256) * 0.5 + 0.4
    relative = evidence(image, regions)[:, :3]
    darker = evidence(image * 0.5 ** (1 / GAMMA), regions)[:, :3]
    assert torch.allclose(relative, darker, atol=0.05)
    skin = region_shares(regions)[0, 1] > 0.5
    assert relative[0, :, skin].mean().abs() < 0.02


def test_the_start_is_better_than_nothing(samples):
    torch.manual_seed(0)
    network = Mobile().eval()
    before = evaluate_both(network.state_dict(), samples, pairs=2)
    start_from_samples(network.reader, network.painter, samples)
    after = evaluate_both(network.state_dict(), samples, pairs=2)
    assert before["lips"] == pytest.approx(before["none_lips"], abs=0.01)
    assert after["lips"] < 0.9 * before["lips"]


def test_references_are_known_when_the_bare_face_lies_beneath(samples):
    triples = draw_triples(samples, 40, np.random.default_rng(1), known_share=0.4)
    assert 10 < len(triples.known) < 30
    assert len(triples.bare) == len(triples.known)
    assert len(triples.sources.layouts) == 80
    worn = triples.references.image[triples.known]
    background = triples.references.regions[triples.known] == 0
    outside = (worn - triples.bare).abs().amax(1)[background]
    assert (outside == 0).float().mean() > 0.95
    nothing = (worn == triples.bare).flatten(1).all(1)
    assert nothing.any()
    for i in range(len(triples.known)):
        if nothing[i]:
            of_it = np.s_[2 * triples.known[i] : 2 * triples.known[i] + 2]
            assert torch.equal(triples.sources.image[of_it], triples.truth[of_it])


@pytest.mark.parametrize("stage", ["reader", "painter"])
def test_each_network_learns_alone(samples, stage):
    torch.manual_seed(0)
    mobile = Mobile()
    start_from_samples(mobile.reader, mobile.painter, samples)
    measure, evaluate, network = {
        "reader": (reader_losses, evaluate_reader, mobile.reader),
        "painter": (painter_losses, evaluate_painter, mobile.painter),
    }[stage]
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        loss = torch.stack(list(measure(network, samples, 1, np.random.default_rng(4)).values()))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        losses.append(float(loss.detach().sum()))
    assert losses[-1] < 0.9 * losses[0]
    assert evaluate(network.eval().state_dict(), samples).keys() >= {"lips", "none_lips"}


def test_training_goes_through_its_stages_and_on_from_there(
    samples_folder, tmp_path, monkeypatch, capsys
):
    def run(*more):
        options = ["--samples", str(samples_folder), "--out", str(tmp_path), "--looks", "1"]
        monkeypatch.setattr("sys.argv", ["train", *options, *more])
        main()

    run("--stage", "reader", "--reader-steps", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["reader.pt"]
    run("--reader-steps", "2", "--painter-steps", "1", "--both-steps", "1")
    assert "resumed at step 1" in capsys.readouterr().out
    both = torch.load(tmp_path / "mobile.pt", weights_only=True)
    alone = torch.load(tmp_path / "reader.pt", weights_only=True)
    assert (alone["step"], both["step"]) == (2, 1)
    name = "encoder.stem.0.weight"
    near = torch.allclose(both["average"][f"reader.{name}"], alone["average"][name], atol=1e-3)
    assert near


def test_both_together_want_both_alone_first(samples_folder, tmp_path, monkeypatch):
    options = ["--samples", str(samples_folder), "--out", str(tmp_path), "--stage", "both"]
    monkeypatch.setattr("sys.argv", ["train", *options])
    with pytest.raises(BadDataError, match=r"reader\.pt.*--stage reader"):
        main()


def test_samples_wear_the_same_makeup(samples):
    assert len(samples) == 6
    assert samples.faces == 3
    for row in range(len(samples)):
        inside = samples.bare_regions[row] > 0
        changed = (samples.bare[row] != samples.truth[row]).any(axis=2)
        assert changed[inside].mean() > 0.2
        assert changed[:8].sum() == 0


def test_samples_are_drawn_again_from_the_seed(samples, faces_folder, tmp_path):
    paint(open_collection(faces_folder).bare, tmp_path, makeups=1, faces=3, seed=0)
    again = Samples.open(tmp_path)
    assert np.array_equal(again.truth, samples.truth[:3])


def test_two_steps_and_an_export(samples, tmp_path):
    torch.manual_seed(0)
    network = Mobile().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        parts = step_losses(network, samples, 1, np.random.default_rng(4))
        loss = sum(parts.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    report = evaluate_both(network.state_dict(), samples, pairs=2)
    assert report["none_lips"] > 0

    torch.save({"average": network.state_dict(), "step": 3}, tmp_path / "mobile.pt")
    export(tmp_path / "mobile.pt", tmp_path / "bundle", {})
    crop, regions = samples.bare[:2], samples.bare_regions[:2]
    codes = np.random.default_rng(0).normal(size=(2, CODES, 64, 64)).astype(np.float32)
    network.eval()
    image = torch.from_numpy(np.array(crop)).permute(0, 3, 1, 2) / 255
    maps = torch.from_numpy(np.array(regions))
    with torch.no_grad():
        read = network.reader(image, maps).numpy()
        change = network.painter(image, maps, torch.from_numpy(codes)).numpy()
    change[:, 3:] *= 255
    feeds = {"image": np.array(crop), "regions": np.array(regions), "codes": codes}
    graphs = {
        name: onnxruntime.InferenceSession(str(tmp_path / "bundle" / f"{name}.onnx"))
        for name in ("reader", "painter")
    }
    found = graphs["reader"].run(None, {k: feeds[k] for k in ("image", "regions")})[0]
    assert np.abs(found - read).max() < 0.02
    convolutions = onnx.load(tmp_path / "bundle" / "painter.onnx").graph
    widths = {t.name.removesuffix(".half"): t.dims for t in convolutions.initializer}
    for node in convolutions.node:
        if node.op_type == "Conv" and widths[node.input[1]][1] > CHANNEL_BLOCK:
            assert widths[node.input[1]][1] % CHANNEL_BLOCK == 0
    found = graphs["painter"].run(None, feeds)[0]
    assert np.abs(found - change).max() < 0.05 * max(np.abs(change).max(), 1)


def test_template_of_the_layout_is_the_faces():
    assert np.allclose(template_layout().landmarks, TEMPLATE_LANDMARKS * 256)


def test_calibration_is_what_the_painter_is_given(samples, tmp_path):
    torch.manual_seed(0)
    network = Mobile().eval()
    start_from_samples(network.reader, network.painter, samples)
    torch.save({"average": network.state_dict(), "step": 0}, tmp_path / "mobile.pt")
    record(tmp_path / "mobile.pt", samples, 4, tmp_path / "inputs.npz")
    with np.load(tmp_path / "inputs.npz", allow_pickle=False) as archive:
        found = dict(archive)
    assert {name: (v.shape, v.dtype.name) for name, v in found.items()} == {
        "painter/image": ((2, 256, 256, 3), "uint8"),
        "painter/regions": ((2, 256, 256), "uint8"),
        "painter/codes": ((2, CODES, 64, 64), "float32"),
    }
    assert np.array_equal(found["painter/image"][1], samples.bare[4])
    assert np.abs(found["painter/codes"]).max(axis=(1, 2, 3)).min() > 0.1
