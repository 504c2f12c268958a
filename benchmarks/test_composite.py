"""Composite against the same steps in OpenCV, on the box of the face and on the whole frame."""

import cv2
import numpy as np
import pytest
from face_cells import frame_box

from makeup_kernels import TEMPLATE_LANDMARKS, composite, crop_face, crop_matrix

CROP = 256


def make_frame(width, height):
    """A frame whose face fills about 60 % of its height, the crop, and a feathered mask."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    frame = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    side = height * 0.9
    angle = np.deg2rad(8)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    landmarks = (TEMPLATE_LANDMARKS - 0.5) @ turn * side + [width * 0.55, height * 0.5]
    matrix = crop_matrix(landmarks.astype(np.float32))
    source = crop_face(frame, matrix)
    result = np.clip(source.astype(np.int16) + [30, -20, 45], 0, 255).astype(np.uint8)
    y, x = np.mgrid[:CROP, :CROP] / CROP
    face = (((x - 0.5) / 0.3) ** 2 + ((y - 0.55) / 0.36) ** 2 < 1).astype(np.float32)
    mask = np.clip(cv2.GaussianBlur(face, (0, 0), 4), 0, 1)
    mask[mask < 1e-3] = 0
    return frame, source, result, mask, matrix


def opencv(frame, source, result, mask, matrix, box, out):
    """Change and mask warped into `box` (x0, y0, x1, y1) of the frame, multiplied, added."""
    x0, y0, x1, y1 = box
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ [x0, y0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (x1 - x0, y1 - y0)
    change = cv2.subtract(result, source, dtype=cv2.CV_32F)
    change = cv2.warpAffine(change, shifted, size, flags=flags)
    alpha = cv2.warpAffine(mask, shifted, size, flags=flags)
    added = cv2.multiply(change, cv2.merge([alpha, alpha, alpha]), dst=change)
    part = out[y0:y1, x0:x1]
    cv2.add(frame[y0:y1, x0:x1], added, dst=part, dtype=cv2.CV_8U)
    return out


@pytest.mark.parametrize("size", [(1280, 720), (3840, 2160)], ids=str)
class TestComposite:
    @pytest.fixture(autouse=True)
    def group(self, benchmark, size):
        benchmark.group = f"composite in place: {size[0]}×{size[1]}"

    def test_makeup_kernels(self, size, threads, measure):
        frame, *rest = make_frame(*size)
        measure(lambda: composite(frame, *rest, out=frame, threads=threads), ours=True)

    def test_makeup_kernels_new_frame(self, size, threads, measure):
        frame, *rest = make_frame(*size)
        measure(lambda: composite(frame, *rest, threads=threads))

    def test_opencv_box(self, size, threads, measure):
        frame, source, result, mask, matrix = make_frame(*size)
        expected = composite(frame, source, result, mask, matrix)

        def run():
            return opencv(frame, source, result, mask, matrix, box, out)

        box = frame_box(mask > 0, matrix, frame.shape)
        out = frame.copy()
        measure(run)
        # OpenCV samples at 1/32 pixel
        assert np.abs(out.astype(int) - expected).max() <= 4

    def test_opencv_whole_frame(self, size, threads, measure):
        frame, source, result, mask, matrix = make_frame(*size)
        out = frame.copy()
        box = (0, 0, *size)
        measure(lambda: opencv(frame, source, result, mask, matrix, box, out), rounds=10)
