import cv2
import numpy as np
import pytest

from makeup_kernels import (
    CROP_SIZE,
    TEMPLATE_LANDMARKS,
    InvalidInputError,
    crop_face,
    crop_matrix,
    similarity,
)


def turned(points: np.ndarray, scale: float, degrees: float, shift: tuple[float, float]):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ turn.T + shift


@pytest.mark.parametrize("degrees", [-170, -35, 0, 12, 90])
@pytest.mark.parametrize("scale", [0.2, 1.0, 7.5])
def test_a_turned_face_comes_back_to_the_template(scale: float, degrees: float) -> None:
    face = turned(TEMPLATE_LANDMARKS * CROP_SIZE, scale, degrees, (431.0, -20.0))
    matrix = crop_matrix(face.astype(np.float32))
    back = face @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, TEMPLATE_LANDMARKS * CROP_SIZE, atol=1e-3)


def test_similarity_is_the_least_squares_one() -> None:
    """Against a general solver of the same four unknowns."""
    rng = np.random.default_rng(3)
    p, q = rng.normal(size=(2, 20, 2))
    rows = [[[x, -y, 1, 0], [y, x, 0, 1]] for x, y in p]
    a, b, x, y = np.linalg.lstsq(np.array(rows).reshape(-1, 4), q.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(p, q), [[a, -b, x], [b, a, y]], atol=1e-12)


def test_template_is_a_face() -> None:
    assert TEMPLATE_LANDMARKS.shape == (68, 2)
    assert TEMPLATE_LANDMARKS.min() > 0.2
    assert TEMPLATE_LANDMARKS.max() < 0.9
    np.testing.assert_allclose(TEMPLATE_LANDMARKS[27:31, 0], 0.5, atol=1e-3)


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.zeros((67, 2)), r"got shape \(67, 2\), expected \(68, 2\)"),
        (np.full((68, 2), np.nan), "got NaN or infinity"),
        (np.full((68, 2), 5.0), "all 68 points coincide"),
    ],
)
def test_wrong_landmarks(landmarks: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        crop_matrix(landmarks)


def test_crop_without_shrinking_is_a_bilinear_warp() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (300, 320, 3), np.uint8)
    matrix = np.array([[0.8, 0.1, 3.0], [-0.1, 0.8, 20.0]])
    expected = cv2.warpAffine(frame, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(crop_face(frame, matrix), expected)


def test_shrinking_does_not_alias() -> None:
    """A one-pixel checkerboard, shrunk by eight, is grey."""
    frame = np.indices((2048, 2048)).sum(axis=0) % 2 * 255
    frame = np.repeat(frame[..., None], 3, axis=2).astype(np.uint8)
    crop = crop_face(frame, np.array([[0.125, 0, 0], [0, 0.125, 0]], np.float64))
    assert np.abs(crop[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_shrinking_keeps_places() -> None:
    """A smooth ramp shrunk by averaging equals the ramp sampled where each crop pixel lies."""
    x = np.arange(1600, dtype=np.float64)
    frame = np.tile((x / 1600 * 255)[None, :, None], (1600, 1, 3)).round().astype(np.uint8)
    matrix = np.array([[0.16, 0, 1.7], [0, 0.16, -2.2]])
    crop = crop_face(frame, matrix)
    at = (np.arange(256) - 1.7) / 0.16
    inside = (at > 10) & (at < 1590)
    expected = at / 1600 * 255
    assert np.abs(crop[128, :, 0].astype(float) - expected)[inside].max() < 1.2


def test_crop_beyond_the_frame_repeats_its_border() -> None:
    frame = np.full((40, 40, 3), 77, np.uint8)
    crop = crop_face(frame, np.array([[1.0, 0, 500.0], [0, 1.0, 500.0]]))
    assert (crop == 77).all()
