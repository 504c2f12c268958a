"""Applying a colour map against the same steps in OpenCV, on the box of the face."""

import cv2
import numpy as np
import pytest
from face_cells import FACE_CELLS, face_regions, frame_box

from makeup_kernels import apply_color_map

GRID = 64


def make_frame(width, height):
    """A frame, a map of changes that is not 0 on a face, and frame pixels to map cells."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    frame = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    inside = face_regions(GRID, FACE_CELLS) > 0
    change = rng.normal(0, 0.1, (6, GRID, GRID)).astype(np.float32)
    change[3:] *= 100
    change *= cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1)
    change[:, cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) == 0] = 0
    scale = GRID / (0.9 * height)
    angle = np.deg2rad(8)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = GRID / 2 - turn @ [width * 0.55, height * 0.5]
    return frame, change, np.hstack([turn, shift[:, None]])


def opencv(frame, change, matrix, box, out):
    """Gains and offsets warped into `box` (x0, y0, x1, y1) of the frame, multiplied, added."""
    x0, y0, x1, y1 = box
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ [x0, y0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    gain, offset = (
        cv2.warpAffine(cv2.merge(list(planes)), shifted, (x1 - x0, y1 - y0), flags=flags)
        for planes in (change[:3], change[3:])
    )
    part = frame[y0:y1, x0:x1]
    added = cv2.multiply(gain, part, dst=gain, dtype=cv2.CV_32F)
    added = cv2.add(added, offset, dst=added)
    cv2.add(part, added, dst=out[y0:y1, x0:x1], dtype=cv2.CV_8U)
    return out


@pytest.mark.parametrize("size", [(1280, 720), (3840, 2160)], ids=str)
class TestApplyColorMap:
    @pytest.fixture(autouse=True)
    def group(self, benchmark, size):
        benchmark.group = f"apply_color_map in place: {size[0]}×{size[1]}"

    def test_makeup_kernels(self, size, threads, measure):
        frame, change, matrix = make_frame(*size)
        measure(
            lambda: apply_color_map(frame, change, matrix, out=frame, threads=threads), ours=True
        )

    def test_opencv_box(self, size, threads, measure):
        frame, change, matrix = make_frame(*size)
        expected = apply_color_map(frame, change, matrix)
        box = frame_box(np.any(change != 0, axis=0), matrix, frame.shape)
        out = frame.copy()
        measure(lambda: opencv(frame, change, matrix, box, out))
        # OpenCV samples at 1/32 of a cell
        assert np.abs(out.astype(int) - expected).max() <= 6
