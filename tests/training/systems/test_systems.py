"""Training of the mobile-class systems: targets, samples, and progress of runs."""

import json
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from makeup_kernels import Region
from makeup_sdk.faces.light import decode_srgb
from makeup_sdk.faces.skin_light import CheekLight
from makeup_sdk.models.mobile.paint import MobilePainter
from makeup_training.checkpoints import read_metadata
from makeup_training.cli import main
from makeup_training.data.portraits import BadDataError
from makeup_training.networks.inputs import FaceBatch
from makeup_training.systems import train
from makeup_training.systems.faces import BARE, MADE_UP, PAINTED, FaceStore, photos
from makeup_training.systems.heads import UNKNOWN
from makeup_training.systems.learner import Learner
from makeup_training.systems.learners import LEARNERS
from makeup_training.systems.objective import ChangeWeights, blurred, change_terms
from makeup_training.systems.pairs import (
    LIGHT_OFFSET,
    LIGHT_RANGE,
    PairSampler,
    Shares,
    lab_image,
    light_image,
)
from makeup_training.systems.plans import Plan
from makeup_training.systems.portrait_edit import LabelSampler, Portraits
from makeup_training.systems.region_gan import Asked, StyleSampler
from makeup_training.systems.styles import STYLES, StyleFaces
from makeup_training.systems.train import RunOptions
from makeup_training.systems.truth import appearance_of, change_on

SIZE = 48


def status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run `makeup-train ARGUMENTS` in this process; returns the exit status."""
    monkeypatch.setattr(sys, "argv", ["makeup-train", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_measured_references_are_never_trained_on(faces_folder: Path) -> None:
    names = [photo.path.stem for photo in photos(faces_folder)]
    assert sorted(names) == sorted(["light", "medium", "dark", "red-classic", "teal-smoky"])
    assert [photo.made_up for photo in photos(faces_folder)].count(True) == 2


def test_every_bare_face_is_there_twice(store: FaceStore) -> None:
    kinds = store.kind.tolist()
    assert (kinds.count(MADE_UP), kinds.count(BARE), kinds.count(PAINTED)) == (2, 3, 3)
    for row in np.flatnonzero(store.kind == PAINTED):
        bare = store.person[row]
        assert store.kind[bare] == BARE
        np.testing.assert_array_equal(store.landmarks[row], store.landmarks[bare])
        assert np.abs(store.crop[row].astype(int) - store.crop[bare]).max() > 30


def test_an_empty_folder_has_no_store(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="no analysed faces; `makeup-train` writes them"):
        FaceStore.open(tmp_path)


def test_red_lips_arrive_red_and_nothing_arrives_outside(store: FaceStore) -> None:
    lent = appearance_of(store.face(int(np.flatnonzero(store.kind == MADE_UP)[0])))
    for row in map(int, np.flatnonzero(store.kind == BARE)):
        regions = store.regions[row]
        change = change_on(store.face(row), lent)
        blue, green, red = change[regions == Region.LIPS].mean(axis=0)
        assert red - (blue + green) / 2 > 0.2
        assert not change[regions == Region.NONE].any()


def test_the_truth_is_what_the_teacher_paints(store: FaceStore) -> None:
    row = int(np.flatnonzero(store.kind == BARE)[0])
    lent = appearance_of(store.face(int(np.flatnonzero(store.kind == MADE_UP)[0])))
    assert lent is not None
    face = store.face(row)
    frame = face.crop.copy()
    MobilePainter(lent).paint(face, {Region.LIPS: 1.0}).put(frame, face, color="bgr", threads=1)
    core = cv2.erode((face.regions == Region.LIPS).astype(np.uint8), np.ones((7, 7))) > 0
    core &= face.crop.min(axis=2) > 30
    light = [decode_srgb(image[core] / 255.0) for image in (face.crop, frame)]
    found = np.log(light[1].mean(axis=0) / light[0].mean(axis=0))
    np.testing.assert_allclose(found, change_on(face, lent)[core].mean(axis=0), atol=0.12)


def test_a_face_that_shows_nothing_lends_nothing(store: FaceStore) -> None:
    face = store.face(0)
    covered = replace(face, regions=np.zeros_like(face.regions))
    assert appearance_of(covered) is None
    assert not change_on(face, None).any()


def test_makeup_is_the_same_in_any_light(store: FaceStore) -> None:
    draw = PairSampler(store, SIZE, (1, 1))
    row = int(np.flatnonzero(store.kind == BARE)[0])
    image, regions, landmarks = draw.face(row, False)
    skin = image[:, regions == Region.SKIN]
    np.testing.assert_allclose(np.median(skin, axis=1), LIGHT_OFFSET / LIGHT_RANGE, atol=0.06)
    assert landmarks.min() > 0
    assert landmarks.max() < SIZE


def test_mirrored_faces_are_mirrored_wholly(store: FaceStore) -> None:
    draw = PairSampler(store, SIZE, (1, 1))
    image, regions, landmarks = draw.face(0, False)
    other, turned, points = draw.face(0, True)
    np.testing.assert_array_equal(other, image[:, :, ::-1])
    np.testing.assert_array_equal(turned, regions[:, ::-1])
    np.testing.assert_allclose(points[36], [SIZE - 1 - landmarks[45, 0], landmarks[45, 1]])
    change = draw.change(2, 0, False)
    np.testing.assert_array_equal(draw.change(2, 0, True), change[:, :, ::-1])


def test_batches_depend_on_the_step_alone(store: FaceStore) -> None:
    first, again = (PairSampler(store, SIZE, (2, 3))(5) for _ in range(2))
    torch.testing.assert_close(first.source.image, again.source.image, rtol=0, atol=0)
    torch.testing.assert_close(first.change, again.change, rtol=0, atol=0)
    assert first.source_rows.tolist() == [0, 0, 0, 1, 1, 1]
    assert first.reference_rows.tolist() == [0, 1, 2, 0, 1, 2]
    assert first.change.shape == (6, 3, SIZE, SIZE)


def test_oneself_changes_nothing(store: FaceStore) -> None:
    draw = PairSampler(store, SIZE, (1, 1), Shares(oneself=1.0))
    batch = draw(0)
    assert not batch.change.any()


def test_the_loss_is_nought_where_the_change_is_right_whatever_the_picture() -> None:
    regions = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    regions[:, 10:30, 10:40] = Region.LIPS
    inside = (regions == Region.LIPS)[:, None]
    change = torch.tensor([0.5, -0.4, -0.2]).view(1, 3, 1, 1) * inside
    image = torch.rand(1, 3, SIZE, SIZE) - 0.5
    nothing = image + 0.3  # wrong, but in both passes alike
    result = nothing + change / LIGHT_RANGE
    terms = change_terms(image, result, nothing, change, regions, ChangeWeights())
    assert float(terms["change"]) < 1e-5
    assert float(terms["outside"]) < 1e-5
    assert float(terms["picture"]) > 0.1
    half = nothing + 0.5 * change / LIGHT_RANGE
    worse = change_terms(image, half, nothing, change, regions, ChangeWeights())
    # half of the change is missing: mean |c| / 2 and 0.75 of its colour, weight 1
    wanted = 0.5 * (1.1 / 3 + 0.75 * (0.5333 + 0.3667 + 0.1667) / 3)
    np.testing.assert_allclose(float(worse["change"]), wanted, rtol=1e-3)


def test_blurring_keeps_the_sum() -> None:
    x = torch.zeros(1, 2, 31, 31)
    x[:, :, 15, 15] = 1
    y = blurred(x, 1.5)
    np.testing.assert_allclose(y.sum((2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(y[0, 0, 15, 16] / y[0, 0, 15, 15], np.exp(-1 / 4.5), rtol=1e-4)


@pytest.mark.parametrize("system", sorted(LEARNERS))
def test_each_learner_learns(
    store: FaceStore, styled: StyleFaces, portraits: Portraits, system: str
) -> None:
    torch.manual_seed(0)
    run = train.Run(
        LEARNERS[system](16), 1e-4 if system in ("psgan", "psgan-pose", "ssat") else 2e-3
    )
    faces = {"region-gan": styled, "portrait-edit": portraits}.get(system, store)
    size = 64 if system == "psgan-sr" else SIZE
    draw = run.learner.sampler(faces, size, (1, 2))
    if isinstance(run.learner, Learner):
        for passes in run.learner.passes(draw(0)):
            assert isinstance(passes.face, FaceBatch)
            assert passes.result.shape == passes.nothing.shape == passes.change.shape
            assert passes.result.shape[1:] == (3, size, size)
    first = sum(sum(run.advance(draw(0), 40).values()) for _ in range(2))
    for _ in range(10):
        run.advance(draw(0), 40)
    last = sum(sum(run.advance(draw(0), 40).values()) for _ in range(2))
    assert last < 0.98 * first


def test_styles_go_both_ways_and_bits_choose_regions(styled: StyleFaces) -> None:
    draw = StyleSampler(styled, 96, 1)
    smoky = list(STYLES).index("smoky")
    row, everywhere = int(draw.rows[0]), np.ones(3, np.int64)
    on, off = (
        draw.of([Asked(row, own, style, everywhere)]) for own, style in ((0, smoky), (smoky, 0))
    )
    torch.testing.assert_close(on.change, -off.change)
    regions = on.face.regions[0]
    for region in (Region.NONE, Region.BROWS):
        assert not on.change[0][:, regions == region].any()
    eyes = regions == Region.EYES
    assert on.change[0][:, eyes].mean() < -0.2  # darker lids
    # a styled picture is the bare one and the change, but for the estimate of its skin
    moved = (off.face.image - on.face.image)[0][:, eyes] * LIGHT_RANGE
    torch.testing.assert_close(moved.mean(), on.change[0][:, eyes].mean(), rtol=0.2, atol=0.03)
    lips = draw.of([Asked(row, 0, smoky, np.array([0, 1, 0]))]).change[0]
    assert not lips[:, regions != Region.LIPS].any()
    torch.testing.assert_close(
        lips[:, regions == Region.LIPS], on.change[0][:, regions == Region.LIPS]
    )
    mirrored = draw.of([Asked(row, 0, smoky, everywhere, flip=True)])
    torch.testing.assert_close(mirrored.change, on.change.flip(3))


def test_at_first_all_faces_are_bare(styled: StyleFaces) -> None:
    """A bare face that is asked to be bare shall not change; all others shall, somewhere."""
    draw = StyleSampler(styled, SIZE, 8)
    early, late = draw(0), draw(10_000)
    assert (early.label[:, -3:] == 1).all()
    assert not (late.label[:, -3:] == 1).all()
    again = StyleSampler(styled, SIZE, 8)(10_000)
    torch.testing.assert_close(late.face.image, again.face.image, rtol=0, atol=0)


def test_labels_move_with_their_faces() -> None:
    label = np.zeros((1, 128, 128), np.uint8)
    label[0, 20:70, 40:110] = 1
    image = np.where(label == 1, 255, 0).astype(np.uint8)[..., None].repeat(3, -1)
    faces = Portraits(image, label, image, label, np.zeros(1, np.bool_))
    batch, again = LabelSampler(faces, 6)(3), LabelSampler(faces, 6)(3)
    torch.testing.assert_close(batch.head, again.head, rtol=0, atol=0)
    known = batch.head_label != UNKNOWN  # beyond the picture it is not
    assert 0.5 < known.float().mean() < 1
    is_bright = batch.head.mean(1) > -0.3
    assert ((batch.head_label == 1) == is_bright)[known].float().mean() > 0.98
    torch.testing.assert_close(batch.image, again.image, rtol=0, atol=0)
    assert batch.image.shape == (6, 3, 128, 128)
    bright = batch.image.mean(1) > -0.3
    assert ((batch.label == 1) == bright).float().mean() > 0.98
    moved = (batch.label != torch.from_numpy(np.int64(label))).flatten(1).float().mean(1)
    assert (moved > 0.005).all()


def test_a_run_goes_on_where_it_was(store: FaceStore, tmp_path: Path) -> None:
    draw = PairSampler(store, SIZE, (1, 1))
    torch.manual_seed(0)
    whole = train.Run(LEARNERS["psgan"](8), 1e-3)
    for step in range(4):
        whole.advance(draw(step), 4)
        if step == 1:
            whole.save(tmp_path)
    torch.manual_seed(1)
    rest = train.Run(LEARNERS["psgan"](8), 1e-3)
    rest.restore(tmp_path / "state.safetensors")
    assert rest.step == 2
    for step in (2, 3):
        rest.advance(draw(step), 4)
    for name, value in whole.mean.items():
        torch.testing.assert_close(rest.mean[name], value, rtol=1e-4, atol=1e-6)


def test_the_recipe_writes_what_the_export_reads(
    faces_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a"

    def recipe(*more: str) -> int:
        arguments = ["psgan-pose-mobile", "--data", str(faces_folder), "--out", str(out)]
        arguments += ["--width", "8", "--size", str(SIZE), *more]
        return status(monkeypatch, *arguments)

    def facts() -> dict[str, object]:
        return read_metadata(out / "weights" / "generator.safetensors")

    assert recipe("--steps", "2") == 0
    made = facts()
    assert made["recipe"] == "psgan-pose"
    assert made["view"] == {"lab": 60.0, "left": 32, "top": 48, "side": 192}
    assert (made["warp"], made["size"], made["step"]) == ("maps", SIZE, 2)
    assert {name: made[name] for name in train.ORIGIN} == train.ORIGIN
    assert (tmp_path / "faces" / "crop.npy").is_file()
    said = capsys.readouterr().out
    assert f"makeup export psgan-pose --weights {out / 'weights'} --half-weights" in said
    assert recipe("--triples", "2", "--set", "seed=1", "--workers", "1") == 2
    said = capsys.readouterr().err
    assert "--triples, --set, --workers: psgan-pose-mobile has none" in said
    with pytest.raises(BadDataError, match="no run to start from, state"):
        train.train("psgan", Plan(1), RunOptions(tmp_path, tmp_path / "b", tmp_path))


def test_an_interrupted_run_goes_on_and_keeps_its_licence(
    faces_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C comes in the middle of a step; the command that is printed finishes the run."""
    out = tmp_path / "my run"
    command = ["psgan-mobile", "--data", str(faces_folder), "--out", str(out), "--width", "8"]
    command += ["--size", str(SIZE), "--steps", "3", "--licence", "MIT", "--data-name", "Mine"]
    whole = train.Run.advance

    def interrupted(run: train.Run, batch: object, steps: int) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return whole(run, batch, steps)

    with monkeypatch.context() as patch:
        patch.setattr(train.Run, "advance", interrupted)
        assert status(monkeypatch, *command) == 130
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == f"interrupted; the run is kept in {out}, go on with it:"
    again = shlex.split(said[-1])
    assert again == ["makeup-train", *command, "--resume"]
    assert read_metadata(out / train.STATE)["step"] == 1
    without_licence = [word for word in again[1:] if word not in ("--licence", "MIT")]
    assert status(monkeypatch, *without_licence, "--json") == 0
    assert json.loads(capsys.readouterr().out)["weights"] == str(out / "weights")
    facts = read_metadata(out / "weights" / "generator.safetensors")
    assert (facts["licence"], facts["step"]) == ("MIT", 3)
    assert facts["training_data"] == [{"name": "Mine", "licence": "not stated"}]


def test_a_psgan_copies_colours_before_it_has_learnt_anything(store: FaceStore) -> None:
    torch.manual_seed(0)
    learner = LEARNERS["psgan"](8)
    draw = learner.sampler(store, 128, (1, 1))
    bare, made_up = (int(np.flatnonzero(store.kind == kind)[0]) for kind in (BARE, MADE_UP))
    with torch.no_grad():
        passes = next(iter(learner.passes(draw.pairs([(bare, False)], [(made_up, False)]))))
    lips = passes.face.regions[0] == Region.LIPS
    wanted = passes.change[0][:, lips].mean(1)
    found = LIGHT_RANGE * (passes.result - passes.nothing)[0][:, lips].mean(1)
    assert float(found @ wanted / (wanted @ wanted)) > 0.3


@pytest.mark.parametrize(
    "system", ["psgan", "psgan-pose", "psgan-sr", "region-gan", "portrait-edit", "ssat"]
)
def test_a_run_starts_from_weights_that_are_kept(system: str) -> None:
    folder = "psgan" if system == "psgan-pose" else system
    path = Path(__file__).parents[3] / "training" / "starts" / folder / train.STATE
    kept = load_file(path)
    run = train.Run(LEARNERS[system](16), 1e-3)
    run.restore(path, start=True)
    assert run.step == 0
    for name, value in run.parameters.items():
        torch.testing.assert_close(value.detach(), kept[f"mean.{name}"].float(), rtol=0, atol=0)


def test_a_painted_face_finds_back_to_its_own_bare_one(store: FaceStore) -> None:
    draw = PairSampler(store, 96, (1, 1), removal=True)
    painted = int(np.flatnonzero(store.kind == PAINTED)[0])
    bare = int(store.person[painted])
    batch = draw.pairs([(0, False)], [(painted, False)], removal=True)
    wanted = light_image(store.crop[bare], store.tone(painted).over_crop(), 96)
    lips = batch.reference.regions[0] == Region.LIPS
    found = batch.reference.image[0] + batch.change[0] / LIGHT_RANGE
    np.testing.assert_allclose(found[:, lips].mean(1), wanted[:, lips].mean(1), atol=0.03)


def test_bare_faces_have_nothing_to_lose_and_every_second_batch_is_of_removal(
    store: FaceStore,
) -> None:
    draw = PairSampler(store, SIZE, (1, 2), removal=True)
    assert [draw(step).removal for step in range(4)] == [False, True, False, True]
    bare, worn = (int(np.flatnonzero(store.kind == kind)[0]) for kind in (BARE, MADE_UP))
    assert not draw.taken_off(bare, False).any()
    lips = draw.face(worn, False)[1] == Region.LIPS
    blue, green, red = draw.taken_off(worn, False)[::-1][:, lips].mean(axis=1)
    assert red - (blue + green) / 2 < -0.1  # red lipstick goes


def test_in_cielab_a_change_is_what_sets_two_pictures_of_a_face_apart(store: FaceStore) -> None:
    draw = PairSampler(store, SIZE, (1, 1), removal=True, lab=True)
    painted = int(np.flatnonzero(store.kind == PAINTED)[0])
    bare = int(store.person[painted])
    light = CheekLight.measure(store.crop[painted], store.regions[painted])
    before, after = (lab_image(store.crop[row], light, SIZE) for row in (painted, bare))
    regions = draw.face(painted, False)[1]
    for region in (Region.LIPS, Region.EYES):
        here = regions == region
        found = draw.taken_off(painted, False)[:, here].mean(axis=1)
        wanted = LIGHT_RANGE * (after - before)[:, here].mean(axis=1)
        np.testing.assert_allclose(found, wanted, atol=0.08)
    skin = before[:, regions == Region.SKIN]
    np.testing.assert_allclose(np.median(skin, axis=1), 0, atol=0.06)


def test_skin_beside_the_lips_counts_for_nothing() -> None:
    regions = torch.full((1, SIZE, SIZE), int(Region.SKIN), dtype=torch.uint8)
    regions[:, 20:28, 16:32] = Region.LIPS
    change = torch.zeros(1, 3, SIZE, SIZE)
    nothing = change.clone()
    for row, lost in ((18, False), (8, True)):  # two pixels off, and twelve
        result = nothing.clone()
        result[:, 1, row, 16:32] = 0.5
        result[:, :, 20:28] = 0
        terms = change_terms(nothing, result, nothing, change, regions, ChangeWeights(), lab=True)
        assert (float(terms["change"]) > 0.01) == lost
