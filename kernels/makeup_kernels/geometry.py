"""Geometry of a face's 68 landmarks (iBUG order) and of its crop, for runtime and training."""

import numpy as np
from numpy.typing import NDArray

MIRRORED_POINTS = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)
"""int64 (68,): `landmarks[MIRRORED_POINTS]` restores iBUG order after a left-right flip."""

MOUTH_PIXELS = (slice(152, 216), slice(80, 176))
"""Rows and columns of the 256 × 256 crop that contain the mouth, with a margin."""

MOUTH_LOGITS = (slice(95, 135), slice(50, 110))
"""The same area in the 160 × 160 region logits."""


def pupil_distance(landmarks: NDArray[np.floating]) -> float:
    """Distance between the eye centres (mean of each eye's six points), in the landmarks' unit."""
    right, left = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    return float(np.hypot(*(left - right)))


def to_fixed_point(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Points in sixteenths of a pixel, for OpenCV's drawing calls with `shift=4`."""
    fixed: NDArray[np.int32] = np.round(np.clip(points, -4096, 4096) * 16).astype(np.int32)
    return fixed
