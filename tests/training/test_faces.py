"""Face training: labels, augmentation geometry, losses, schedules and export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, maximum_filter

from makeup_kernels import TEMPLATE_LANDMARKS, Region
from makeup_kernels.geometry import MIRRORED_POINTS, pupil_distance
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_training.faces.checkpoints import WeightAverage, learning_rate, save_atomically
from makeup_training.faces.data import FacePicture, held_back, load_crops
from makeup_training.faces.detector_loss import (
    decode_boxes,
    detector_losses,
    level_targets,
    overlap,
)
from makeup_training.faces.detector_samples import Scene, compose_scene, rotated_box
from makeup_training.faces.landmark_samples import (
    aligned_sample,
    face_sample,
    faceless_sample,
    mirrored,
)
from makeup_training.faces.light import relight
from makeup_training.faces.lip_samples import lip_samples
from makeup_training.faces.networks import (
    LandmarkRegionNet,
    LipNet,
    expected_position,
)
from makeup_training.faces.occluders import OCCLUDERS, occlude
from makeup_training.faces.regions import eye_shadow_area, region_map
from makeup_training.faces.train_detector import letterbox
from makeup_training.faces.train_landmarks import batch_losses, region_losses, wing_loss
from makeup_training.faces.train_lips import evaluate_lips, lip_losses

FACE = TEMPLATE_LANDMARKS * 256


def picture(seed: int = 0) -> FacePicture:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (300, 256, 3)).astype(np.uint8)
    regions = np.zeros((256, 256), np.uint8)
    regions[80:230, 60:200] = Region.SKIN
    low, high = FACE.min(axis=0), FACE.max(axis=0)
    box = np.concatenate([low - [0, 40], high]).astype(np.float32)
    return FacePicture("face", image, FACE, regions, 1.0, box)


def test_flip_renames_the_template_onto_its_mirror_image():
    mirrored = TEMPLATE_LANDMARKS[MIRRORED_POINTS] * [-1, 1] + [1, 0]
    np.testing.assert_allclose(mirrored, TEMPLATE_LANDMARKS, atol=3e-4)
    np.testing.assert_array_equal(MIRRORED_POINTS[MIRRORED_POINTS], np.arange(68))


def test_pupil_distance_is_the_distance_of_the_eye_centres():
    points = np.zeros((68, 2))
    points[42:48] = [3, 4]
    assert pupil_distance(points) == pytest.approx(5)


def test_a_tenth_of_the_names_is_held_back_and_always_the_same():
    names = [f"picture_{k}" for k in range(5000)]
    share = np.mean([held_back(name) for name in names])
    assert share == pytest.approx(0.1, abs=0.015)
    assert [held_back(n) for n in names[:50]] == [held_back(n) for n in names[:50]]
    assert not held_back("picture_0")


def test_eye_shadow_lies_between_brow_and_lid_and_a_little_beyond_the_outer_corner():
    area = eye_shadow_area(FACE - 0.5, 256)
    lid_to_brow = (FACE[37] + FACE[19]) / 2
    wing = FACE[36] + 0.2 * (FACE[36] - FACE[39])
    below_lid = FACE[41] + [0, 3]
    for x, y in (lid_to_brow, wing, below_lid):
        assert area[round(float(y)), round(float(x))]
    for x, y in (FACE[30], FACE[51], FACE[27], FACE[41] + [0, 16], FACE[36] - [30, 0]):
        assert not area[round(float(y)), round(float(x))]
    difference = area ^ area[:, ::-1]
    assert difference.sum() < 0.03 * area.sum()


def test_region_map_translates_the_twelve_mask_classes():
    mask = np.zeros((256, 256), np.uint8)
    for row, value in enumerate(range(12)):
        mask[200 + 4 * row : 204 + 4 * row] = value
    eye = tuple(np.round((FACE[37] + FACE[19]) / 2).astype(int)[::-1])
    mask[eye] = 1
    regions = region_map(mask, FACE)
    assert regions[eye] == Region.EYES
    rows = [int(regions[201 + 4 * row, 0]) for row in range(12)]
    skin, brows, lips = Region.SKIN, Region.BROWS, Region.LIPS
    assert rows == [0, skin, brows, brows, 0, 0, skin, lips, 0, lips, 0, 0]


@pytest.mark.parametrize("kind", list(OCCLUDERS))
def test_an_occluder_reports_what_it_covers(kind):
    rng = np.random.default_rng(5)
    image = np.full((256, 256, 3), 120, np.uint8)
    before = image.copy()
    covered = occlude(image, FACE, rng, picture().image, kind)
    assert covered.shape == (256, 256)
    assert covered.dtype == bool
    assert 100 < covered.sum() < 0.9 * covered.size
    changed = (image != before).any(axis=2)
    assert changed[covered].mean() > 0.9
    if kind not in ("hand", "glasses"):
        assert not changed[~binary_dilation(covered, iterations=2)].any()


def test_face_samples_keep_landmarks_and_regions_together():
    pictures = [picture(k) for k in range(3)]
    for seed in range(12):
        sample = face_sample(pictures, seed % 3, 96, np.random.default_rng(seed))
        assert sample.image.shape == (96, 96, 3)
        assert sample.regions.shape == (96, 96)
        assert -0.4 < sample.landmarks.mean(axis=0).min() < 1.4
        right, left = sample.landmarks[36:42].mean(axis=0), sample.landmarks[42:48].mean(axis=0)
        assert right[0] < left[0]
    again = face_sample(pictures, 0, 96, np.random.default_rng(0))
    first = face_sample(pictures, 0, 96, np.random.default_rng(0))
    np.testing.assert_array_equal(again.image, first.image)


def test_mirroring_twice_changes_nothing():
    original = replace(picture(), region_scale=1.5)
    mirror = mirrored(original)
    assert mirror.landmarks[36, 0] == pytest.approx(255 - FACE[45, 0] + 1 / 1.5, abs=1e-4)
    np.testing.assert_array_equal(mirror.image[:, 0], original.image[:, -1])
    again = mirrored(mirror)
    np.testing.assert_allclose(again.landmarks, original.landmarks, atol=1e-4)
    np.testing.assert_array_equal(again.regions, original.regions)


def test_aligned_sample_puts_a_template_face_on_the_template():
    sample = aligned_sample(picture(), 160)
    expected = (TEMPLATE_LANDMARKS * 160 + 0.5) / 160
    np.testing.assert_allclose(sample.landmarks, expected, atol=1e-4)
    assert sample.regions[100, 80] == Region.SKIN


def test_faceless_samples_carry_no_region():
    sample = faceless_sample([picture()], 64, np.random.default_rng(1))
    assert sample.is_face == 0
    assert not sample.regions.any()


def test_relight_keeps_shape_and_repeats_with_the_seed():
    image = picture().image
    a = relight(image, np.random.default_rng(4))
    b = relight(image, np.random.default_rng(4))
    assert a.shape == image.shape
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("degrees", "expected"), [(0, (30, 50)), (90, (50, 30))])
def test_rotated_box_of_a_quarter_turn_swaps_its_sides(degrees, expected):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = rotated_box(np.array([10, 20, 70, 120]), turn)
    np.testing.assert_allclose(half, expected, atol=1e-9)


def test_scenes_hold_boxes_of_the_wanted_sizes():
    pictures = [picture(k) for k in range(3)]
    scenes = [compose_scene(pictures, 128, 192, np.random.default_rng(k)) for k in range(25)]
    counts = [len(scene.boxes) for scene in scenes]
    assert max(counts) >= 3
    for scene in scenes:
        assert scene.image.shape == (128, 192, 3)
        assert scene.ignored.shape == (len(scene.boxes),)
        assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()


def test_level_targets_mark_the_cells_around_the_centre():
    image = np.zeros((64, 64, 3), np.uint8)
    boxes = np.array([[8, 8, 40, 40]], np.float32)
    kind, target = level_targets(Scene(image, boxes, np.array([False])), 8, (0, 100))
    centres = (np.arange(8) + 0.5) * 8
    near = abs(centres - 24) < 12
    np.testing.assert_array_equal(kind == 1, np.outer(near, near))
    np.testing.assert_array_equal(target[2, 2], boxes[0])
    kind, _ = level_targets(Scene(image, boxes, np.array([True])), 8, (0, 100))
    inside = (centres > 8) & (centres < 40)
    np.testing.assert_array_equal(kind == -1, np.outer(inside, inside))


def test_overlap_of_boxes_worked_by_hand():
    a = torch.tensor([[0.0, 0, 4, 4], [0, 0, 1, 1]])
    b = torch.tensor([[2.0, 2, 6, 6], [2, 2, 3, 3]])
    iou, giou = overlap(a, b)
    torch.testing.assert_close(iou, torch.tensor([4 / 28, 0.0]))
    torch.testing.assert_close(giou, torch.tensor([4 / 28 - 8 / 36, -7 / 9]))


def test_decoded_box_of_one_cell():
    output = torch.zeros(1, 5, 2, 3)
    output[0, 1:, 1, 2] = torch.log(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    box = decode_boxes(output, 16)[0, 1, 2]
    torch.testing.assert_close(box, torch.tensor([40.0 - 16, 24 - 32, 40 + 48, 24 + 64]))


def test_detector_losses_fall_when_the_detector_is_right():
    scene = Scene(np.zeros((64, 64, 3), np.uint8), np.array([[8, 8, 40, 40]], np.float32), [False])
    good = [torch.full((1, 5, 64 // s, 64 // s), -9.0) for s in (8, 16, 32)]
    bad = [level.clone() for level in good]
    kind, _ = level_targets(scene, 8, (0.0, 56.0))
    for row, column in np.argwhere(kind == 1):
        x, y = (column + 0.5) * 8, (row + 0.5) * 8
        sides = torch.tensor([x - 8, y - 8, 40 - x, 40 - y])
        good[0][0, 1:, row, column] = torch.log(sides / 8)
        good[0][0, 0, row, column] = 9.0
    right, wrong = detector_losses(good, [scene]), detector_losses(bad, [scene])
    assert float(right["score"]) < 1e-3 < float(wrong["score"])
    assert float(right["box"]) < 1e-5 < float(wrong["box"])


def test_expected_position_of_a_peak_is_its_cell_centre():
    maps = torch.full((1, 1, 4, 5), -50.0)
    maps[0, 0, 2, 1] = 50.0
    torch.testing.assert_close(expected_position(maps)[0, 0], torch.tensor([1.5 / 5, 2.5 / 4]))


def test_wing_loss_is_continuous_at_its_bend():
    target = torch.from_numpy(TEMPLATE_LANDMARKS.copy())[None]
    unit = pupil_distance(TEMPLATE_LANDMARKS)
    below, above = (wing_loss(target + unit * share, target) for share in (0.09999, 0.10001))
    assert float(above - below) == pytest.approx(0, abs=1e-4)
    assert float(wing_loss(target, target)) == 0


def test_region_losses_match_plain_numpy():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 6, 6, generator=generator)
    regions = torch.randint(0, 5, (2, 6, 6), generator=generator)
    regions[0, :2] = 255
    entropy, dice = region_losses(logits, regions)
    known = (regions != 255).numpy()
    flat = logits.permute(0, 2, 3, 1).numpy()[known].astype(np.float64)
    share = np.exp(flat) / np.exp(flat).sum(axis=1, keepdims=True)
    target = regions.numpy()[known]
    weight = np.ones(regions.shape)
    for region, extra in ((Region.LIPS, 3.0), (Region.BROWS, 1.0)):
        near = maximum_filter(regions.numpy() == region, (1, 7, 7), mode="constant")
        weight += extra * near
    weight = weight[known]
    picked = share[np.arange(len(target)), target]
    assert float(entropy) == pytest.approx((-np.log(picked) * weight).sum() / weight.sum(), 1e-5)
    scores = [
        2 * share[target == k, k].sum() / (share[:, k].sum() + (target == k).sum() + 1)
        for k in range(1, 5)
    ]
    assert float(dice) == pytest.approx(1 - np.mean(scores), 1e-5)


def test_training_losses_give_gradients_to_every_weight():
    network = LandmarkRegionNet(4)
    samples = [
        face_sample([picture()], 0, 64, np.random.default_rng(1)),
        faceless_sample([picture()], 64, np.random.default_rng(2)),
    ]
    sum(batch_losses(network, samples).values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_learning_rate_warms_up_peaks_and_ends_at_one_percent():
    assert learning_rate(0, 1000, 1.0, 100) == pytest.approx(0.01)
    assert learning_rate(100, 1000, 1.0, 100) == pytest.approx(1.0)
    assert learning_rate(550, 1000, 1.0, 100) == pytest.approx(0.505)
    assert learning_rate(1000, 1000, 1.0, 100) == pytest.approx(0.01)


def test_weight_average_follows_the_network():
    network = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(network)
    start = float(average.state["weight"])
    network.weight.data += 1
    average.update(network, step=0)
    assert float(average.state["weight"]) == pytest.approx(start + 0.9)


def test_checkpoints_replace_the_old_one_whole(tmp_path: Path):
    path = tmp_path / "run" / "net.pt"
    for step in (1, 2):
        save_atomically({"step": step}, path)
    assert torch.load(path, weights_only=True) == {"step": 2}
    assert [p.name for p in path.parent.iterdir()] == ["net.pt"]


def test_letterbox_pads_right_and_below_to_multiples_of_32():
    image = np.full((720, 1280, 3), 200, np.uint8)
    small, scale = letterbox(image)
    assert small.shape == (192, 320, 3)
    assert scale == 0.25
    assert (small[:180] == 200).all()
    assert not small[180:].any()


def test_lip_samples_frame_mouths_and_the_lip_net_learns_from_them(faces_folder):
    pictures = load_crops(faces_folder, side=384, held=None)
    analyzer = BundledFaceAnalyzer(threads=1)
    samples = lip_samples(pictures, analyzer, 2, 0)
    again = lip_samples(pictures, analyzer, 1, 0)
    assert samples.image.shape == (2 * len(pictures), 64, 96, 3)
    assert samples.regions.shape[1:] == (5, 40, 60)
    assert np.array_equal(samples.image[0], again.image[0])
    shares = samples.lips.mean((1, 2))
    assert 0.02 < np.median(shares) < 0.4
    plain = lip_samples(pictures, analyzer, 0, 0)
    assert len(plain.image) == len(pictures)
    torch.manual_seed(0)
    network = LipNet()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    totals = []
    for _ in range(8):
        loss = sum(lip_losses(network, samples, list(range(len(samples.image)))).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        totals.append(float(loss.detach()))
    assert totals[-1] < 0.9 * totals[0]
    assert 0 <= evaluate_lips(network.state_dict(), plain)["iou"] <= 1
