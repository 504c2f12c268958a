"""Face analysis at run time: decoding with hand-made network outputs, and the shipped models."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

import makeup_sdk
from makeup_engines import Bundle
from makeup_kernels import TEMPLATE_LANDMARKS, InvalidInputError, Region
from makeup_kernels.geometry import MOUTH_LOGITS, MOUTH_PIXELS, pupil_distance
from makeup_kernels.region_maps.cpu import region_map
from makeup_sdk.faces import (
    BundledFaceAnalyzer,
    Detection,
    FaceAnalysis,
    FaceAnalyzer,
    visible_share,
    yaw_degrees,
)
from makeup_sdk.faces.detector import FaceDetector
from makeup_sdk.faces.geometry import box_crop_matrix, pupils
from makeup_sdk.faces.landmarks import LandmarkRegionModel
from makeup_sdk.faces.lips import LipModel, without_covered_lips

MODELS = Path(makeup_sdk.__file__).parent / "weights"
FACES = Path(os.environ.get("MAKEUP_FACES", Path(__file__).parents[3] / "shared" / "faces"))
TEMPLATE = TEMPLATE_LANDMARKS * 256

needs_faces = pytest.mark.skipif(
    not (FACES / "detect" / "labels.json").exists(),
    reason="no faces folder: set MAKEUP_FACES to it",
)


class FixedSession:
    """A session that answers with given arrays and keeps what it was asked."""

    device = "cpu"

    def __init__(self, **outputs):
        self.outputs = outputs
        self.asked = []

    def run(self, inputs, outputs=None):
        self.asked.append(inputs)
        return self.outputs


def cells(height, width, strides=(8, 16, 32)):
    count = sum((height // s) * (width // s) for s in strides)
    values = np.zeros((1, 5, count), np.float32)
    values[0, 0] = -9
    return values


def put(values, index, logit, sides, stride):
    values[0, :, index] = [logit, *np.log(np.array(sides) / stride)]


def test_a_cell_decodes_to_frame_pixels():
    values = cells(192, 320)
    put(values, 2 * 40 + 3, 2.0, (10, 20, 30, 40), 8)
    session = FixedSession(cells=values)
    frame = np.zeros((720, 1280, 3), np.uint8)
    (detection,) = FaceDetector(session, 320, (8, 16, 32)).detect(frame, 5)
    x, y = 3.5 * 8, 2.5 * 8
    expected = np.array([x - 10, y - 20, x + 30, y + 40]) * 4
    np.testing.assert_allclose(detection.box, expected, atol=1e-3)
    assert detection.box.dtype == np.float32
    assert detection.score == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert session.asked[0]["image"].shape == (1, 3, 192, 320)


def test_the_network_sees_the_frame_shrunk_and_padded():
    frame = np.zeros((360, 640, 3), np.uint8)
    frame[:] = (51, 102, 255)
    session = FixedSession(cells=cells(192, 320))
    FaceDetector(session, 320, (8, 16, 32)).detect(frame, 1)
    image = session.asked[0]["image"]
    np.testing.assert_allclose(image[0, :, 90, 160], [0.2, 0.4, 1.0], atol=1e-6)
    assert not image[:, :, 180:].any()


def test_overlapping_and_contained_boxes_give_way_to_the_best():
    values = cells(192, 320)
    put(values, 5 * 40 + 5, 3.0, (20, 20, 20, 20), 8)
    put(values, 5 * 40 + 6, 4.0, (28, 20, 12, 20), 8)
    put(values, 5 * 40 + 7, 2.0, (4, 4, 4, 4), 8)
    put(values, 20 * 40 + 30, 1.0, (20, 20, 20, 20), 8)
    detector = FaceDetector(FixedSession(cells=values), 320, (8, 16, 32))
    frame = np.zeros((192, 320, 3), np.uint8)
    scores = [d.score for d in detector.detect(frame, 10)]
    np.testing.assert_allclose(scores, 1 / (1 + np.exp([-4.0, -1.0])), rtol=1e-6)
    assert len(detector.detect(frame, 1)) == 1


def test_landmarks_come_in_pixels_of_the_crop_given():
    fractions = np.full((1, 68, 2), 0.25, np.float32)
    session = FixedSession(
        landmarks=fractions,
        score=np.array([0.75], np.float32),
        regions=np.zeros((1, 5, 160, 160), np.float32),
    )
    found = LandmarkRegionModel(session, 160).analyze(np.zeros((256, 256, 3), np.uint8))
    np.testing.assert_allclose(found.landmarks, 63.5)
    assert found.score == 0.75
    assert session.asked[0]["image"].shape == (1, 3, 160, 160)


def test_region_map_takes_the_best_logit_where_the_landmarks_allow_it():
    logits = np.full((5, 64, 64), -5, np.float32)
    logits[Region.NONE] = 0
    logits[Region.SKIN, 12:58, 14:50] = 1
    logits[Region.LIPS, 44:48, 27:37] = 3
    logits[Region.LIPS, 20:24, 30:34] = 3
    logits[Region.SKIN, 2:4, 2:4] = 1
    logits[Region.NONE, 40, 20] = 2
    logits[Region.SKIN, 40, 20] = 1
    regions = region_map(logits, TEMPLATE, 256)
    assert regions.dtype == np.uint8
    assert regions[184, 128] == Region.LIPS
    assert regions[88, 128] == Region.SKIN
    assert regions[11, 11] == Region.NONE
    assert regions[162, 82] == Region.SKIN
    assert regions[250, 250] == Region.NONE


def test_box_crop_is_upright_and_centred_on_the_box():
    matrix = box_crop_matrix(np.array([100, 50, 200, 150], np.float32), 160)
    side = 1.606 * 100
    np.testing.assert_allclose(matrix @ [150, 100 - 0.022 * side, 1], [80, 80])
    assert matrix[0, 0] == matrix[1, 1] == pytest.approx(160 / side)
    assert matrix[0, 1] == matrix[1, 0] == 0


def test_a_box_without_area_still_gives_a_crop():
    assert np.isfinite(box_crop_matrix(np.array([5, 5, 5, 5], np.float32), 160)).all()


@pytest.mark.parametrize("yaw", [-40, -15, 0, 15, 40])
@pytest.mark.parametrize("roll", [-30, 0, 30])
def test_yaw_of_a_template_whose_nose_moves(yaw, roll):
    points = TEMPLATE.astype(np.float64)
    length = np.hypot(*(points[27] - points[8]))
    points[[30, 33], 0] += np.sin(np.deg2rad(yaw)) * length / 2.763
    turn = np.deg2rad(roll)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    rotated = (points @ rotation.T).astype(np.float32)
    assert yaw_degrees(rotated) == pytest.approx(yaw, abs=0.5)


def test_yaw_of_coinciding_points_is_zero():
    assert yaw_degrees(np.zeros((68, 2), np.float32)) == 0


def test_pupils_lie_above_the_middle_of_the_lids_in_the_face_s_own_frame():
    upright = pupils(TEMPLATE)
    middle = np.stack([TEMPLATE[36:42].mean(axis=0), TEMPLATE[42:48].mean(axis=0)])
    width = np.hypot(*(TEMPLATE[39] - TEMPLATE[36]))
    np.testing.assert_allclose(upright - middle, [[0, -0.045 * width]] * 2, atol=0.02)
    sideways = pupils(TEMPLATE[:, ::-1] * np.float32([-1, 1]))
    np.testing.assert_allclose(sideways, upright[:, ::-1] * [-1, 1], atol=1e-3)


def analysis(regions):
    identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    crop = np.zeros((256, 256, 3), np.uint8)
    return FaceAnalysis(TEMPLATE, 1.0, identity, crop, regions)


@pytest.mark.parametrize("odds", [3.0, -3.0])
def test_the_lip_net_decides_on_lips_in_its_window_alone(odds):
    logits = np.random.default_rng(0).normal(size=(5, 160, 160)).astype(np.float32)
    before = logits.copy()
    crop = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    session = FixedSession(lips=np.full((1, 40, 60), odds, np.float32))
    refined = LipModel(session).refine(crop, logits)
    assert np.array_equal(logits, before)
    inside = np.zeros((160, 160), bool)
    inside[MOUTH_LOGITS] = True
    assert np.array_equal(refined[:, ~inside], logits[:, ~inside])
    others = [region for region in Region if region != Region.LIPS]
    assert np.array_equal(refined[others], logits[others])
    best = refined[[Region.NONE, Region.LIPS, Region.SKIN]].argmax(0)[inside]
    assert ((best == 1) == (odds > 0)).all()
    (asked,) = session.asked
    image = asked["image"]
    assert image.shape == (1, 3, 64, 96)
    assert np.allclose(image[0].transpose(1, 2, 0) * 255, crop[MOUTH_PIXELS], atol=1e-3)
    assert np.array_equal(asked["regions"][0], logits[:, MOUTH_LOGITS[0], MOUTH_LOGITS[1]])


def test_the_windows_of_the_lip_net_are_the_same_and_hold_the_mouth():
    mouth = TEMPLATE_LANDMARKS[48:] * 256
    for pixels, cells, axis in zip(MOUTH_PIXELS, MOUTH_LOGITS, (1, 0), strict=True):
        assert (pixels.start * 5, pixels.stop * 5) == (cells.start * 8, cells.stop * 8)
        assert pixels.start + 10 < mouth[:, axis].min()
        assert mouth[:, axis].max() < pixels.stop - 10


def test_visible_share_counts_the_labelled_part_of_the_face():
    regions = np.full((256, 256), Region.SKIN, np.uint8)
    assert visible_share(analysis(regions)) == 1
    regions[:, 128:] = Region.NONE
    assert visible_share(analysis(regions)) == pytest.approx(0.5, abs=0.02)
    assert visible_share(analysis(np.zeros((256, 256), np.uint8))) == 0


def test_lips_without_skin_around_them_are_on_a_mask():
    regions = np.full((256, 256), Region.SKIN, np.uint8)
    regions[180:200, 100:156] = Region.LIPS
    seen = regions.copy()
    np.testing.assert_array_equal(without_covered_lips(seen), regions)
    masked = regions.copy()
    masked[140:256] = Region.NONE
    masked[180:200, 100:156] = Region.LIPS
    bare = without_covered_lips(masked)
    assert not (bare == Region.LIPS).any()
    np.testing.assert_array_equal(bare[:140], regions[:140])
    none = np.zeros((256, 256), np.uint8)
    assert not without_covered_lips(none).any()


def test_the_networks_in_int8_agree_with_those_in_fp32(demo):
    exact = BundledFaceAnalyzer(threads=1, precision="fp32")
    fast = BundledFaceAnalyzer(threads=1)
    for name in ("light.jpg", "dark.jpg", "medium.jpg"):
        frame = demo(name)
        start = exact.detect(frame, 1)[0]
        one, other = exact.analyze(frame, start), fast.analyze(frame, start)
        distance = np.hypot(*(one.landmarks - other.landmarks).T)
        assert distance.mean() < 0.01 * pupil_distance(one.landmarks)
        assert (one.regions == other.regions).mean() > 0.99
        assert abs(one.score - other.score) < 0.01


def test_another_precision_is_refused():
    with pytest.raises(InvalidInputError, match="precision: got 'fp8', expected one of"):
        BundledFaceAnalyzer(precision="fp8")


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return BundledFaceAnalyzer(threads=1)


def test_shipped_models_are_small_and_say_what_they_were_trained_on():
    size = 0
    for name in ("face_detector", "face_landmarks_regions"):
        bundle = Bundle.open(MODELS / name)
        size += sum(len(data) for data in bundle.contents.values())
        weights = bundle.manifest.weights
        assert weights["licence"] == "Apache-2.0"
        assert {d["licence"] for d in weights["training_data"]} <= {"CC0-1.0", "MIT"}
        assert weights["teachers"]
        assert weights["metrics"]
    assert size <= 3_000_000


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (900, 3), (33, 47), (480, 640)])
def test_any_frame_size_is_searched_and_nothing_is_found_in_a_blank_one(analyzer, shape):
    frame = np.full((*shape, 3), 127, np.uint8)
    assert analyzer.detect(frame, 4) == []
    box = Detection(np.array([0, 0, *shape[::-1]], np.float32), 1.0)
    blank = analyzer.analyze(frame, box)
    assert np.isfinite(blank.landmarks).all()
    assert blank.score < 0.5


def test_landmarks_that_are_no_face_are_refused(analyzer):
    frame = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(InvalidInputError, match="all 68 points coincide"):
        analyzer.analyze(frame, np.zeros((68, 2), np.float32))
    with pytest.raises(InvalidInputError, match="got NaN or infinity"):
        analyzer.analyze(frame, np.full((68, 2), np.nan, np.float32))


def picture(folder: str, name: str):
    label = json.loads((FACES / folder / "labels.json").read_text())[name]
    return cv2.imread(str(FACES / folder / "images" / f"{name}.jpg")), label


@needs_faces
def test_a_real_face_is_found_aligned_and_mapped(analyzer):
    name = sorted(json.loads((FACES / "val" / "labels.json").read_text()))[0]
    image, label = picture("val", name)
    truth = np.array(label["landmarks68"])
    pupils = truth[42:48].mean(axis=0) - truth[36:42].mean(axis=0)
    before = image.copy()
    (detection,) = analyzer.detect(image, 4)
    result = analyzer.analyze(image, detection)
    error = np.hypot(*(result.landmarks - truth).T).mean() / np.hypot(*pupils)
    assert error < 0.06
    assert result.score > 0.5
    assert visible_share(result) > 0.8
    mouth = np.round(result.crop_landmarks[[51, 57]].mean(axis=0)).astype(int)
    assert Region.LIPS in result.regions[mouth[1] - 12 : mouth[1] + 12, mouth[0]]
    tracked = analyzer.analyze(image, result.landmarks)
    drift = np.hypot(*(tracked.landmarks - result.landmarks).T).mean() / np.hypot(*pupils)
    assert drift < 0.02
    np.testing.assert_array_equal(image, before)


@needs_faces
def test_several_faces_in_one_strided_frame(analyzer):
    names = sorted(json.loads((FACES / "val" / "labels.json").read_text()))[:3]
    images = [cv2.resize(picture("val", name)[0], (200, 200)) for name in names]
    wide = np.zeros((240, 1400, 3), np.uint8)
    frame = wide[20:230, 100:800]
    for k, image in enumerate(images):
        frame[5:205, 20 + 220 * k : 220 + 220 * k] = image
    found = analyzer.detect(frame, 10)
    assert sorted(int((d.box[0] + d.box[2]) / 2) // 233 for d in found) == [0, 1, 2]
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    assert len(analyzer.detect(frame, 2)) == 2
    again = analyzer.detect(np.ascontiguousarray(frame), 10)
    np.testing.assert_array_equal([d.box for d in found], [d.box for d in again])
    for a, b in zip(found, again, strict=True):
        one, other = analyzer.analyze(frame, a), analyzer.analyze(frame.copy(), b)
        np.testing.assert_array_equal(one.regions, other.regions)
