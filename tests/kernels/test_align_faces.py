"""Crops with network inputs, on the CPU; the GPU's are in the folder gpu."""

import cv2
import numpy as np
import pytest

from makeup_kernels import InvalidInputError, align_faces, crop_face
from makeup_kernels.align.reference import align_faces_reference, nv12_to_bgr

MATRICES = np.array([[[0.8, 0.1, 3.0], [-0.1, 0.8, 2.0]], [[0.0, -0.9, 40.0], [0.9, 0.0, -5.0]]])


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)


@pytest.mark.parametrize("model_color", ["rgb", "bgr"])
def test_crops_are_those_of_crop_face_and_inputs_are_normal(frame, model_color):
    mean, scale = (10.0, 20.0, 30.0), (1.0, 0.5, 0.25)
    crops, inputs = align_faces(
        frame, MATRICES, size=32, model_color=model_color, mean=mean, scale=scale
    )
    for matrix, crop, planes in zip(MATRICES, crops, inputs, strict=True):
        assert np.array_equal(crop, crop_face(frame, matrix, 32))
        pixels = crop if model_color == "bgr" else crop[..., ::-1]
        np.testing.assert_allclose(planes, ((pixels - mean) * scale).transpose(2, 0, 1), rtol=1e-6)
    one, half = align_faces(frame, MATRICES[1], size=32, model_color=model_color, half=True)
    assert np.array_equal(one, crops[1])
    assert (half.shape, half.dtype) == ((3, 32, 32), np.float16)


def test_crops_are_near_the_gpus_formula(frame):
    """OpenCV places samples to a thirty-second of a pixel."""
    smooth = cv2.GaussianBlur(frame, (0, 0), 3)
    for matrix in MATRICES:
        crop, _ = align_faces(smooth, matrix, size=48)
        assert np.abs(crop - align_faces_reference(smooth, matrix, size=48)).max() < 2


def test_nv12_frames():
    """Within the limited range; below black OpenCV clips before it adds colour."""
    frame = np.random.default_rng(1).integers(16, 241, (48, 40), np.uint8)
    exact = nv12_to_bgr(frame)
    assert np.abs(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_NV12) - exact).max() < 2
    crop, _ = align_faces(frame, np.eye(2, 3), size=24, color="nv12")
    assert np.abs(crop - exact[:24, :24]).max() < 2


def test_wrong_arguments_raise(frame):
    with pytest.raises(InvalidInputError, match="color, model_color: got 'bgr', 'grey'"):
        align_faces(frame, MATRICES, model_color="grey")
    with pytest.raises(InvalidInputError, match="size: got 0, expected at least 1"):
        align_faces(frame, MATRICES, size=0)
    with pytest.raises(InvalidInputError, match=r"frame: got uint8 \(60, 70\), expected uint8 \(H"):
        align_faces(frame[..., 0], MATRICES)
    with pytest.raises(InvalidInputError, match=r"frame: got uint8 \(59, 70\), expected an NV12"):
        align_faces(frame[:59, :, 0], MATRICES, color="nv12")
    with pytest.raises(InvalidInputError, match=r"matrix: got shape \(3, 3\), expected \(2, 3\)"):
        align_faces(frame, np.eye(3))
    with pytest.raises(InvalidInputError, match=r"matrix: .* finite invertible transform"):
        align_faces(frame, 0 * MATRICES)
