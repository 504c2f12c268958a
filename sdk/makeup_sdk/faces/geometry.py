"""Geometry of faces: crop from a detector's box, yaw, visible share of a face."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE
from makeup_kernels.geometry import MIRRORED_POINTS, to_fixed_point
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.types import FaceAnalysis

_CROP_PER_BOX = 1.606
_CROP_DROP = -0.022
_YAW_GAIN = 2.763
_PUPIL_RISE = 0.045


def box_crop_matrix(box: FloatArray, size: int) -> NDArray[np.float64]:
    """Upright crop around a detector's box, framed like the aligned crop of that face.

    Side = 1.606 · √(box area), centre 0.022 sides above the box's centre: medians over the labelled
    pictures.

    Args:
        box: (4,) x0, y0, x1, y1, frame pixels.
        size: side of the crop, pixels.

    Returns:
        float64 (2, 3): frame pixel to crop pixel.
    """
    x0, y0, x1, y1 = np.asarray(box, np.float64)
    side = _CROP_PER_BOX * max(1.0, float(np.sqrt(max(0.0, x1 - x0) * max(0.0, y1 - y0))))
    scale = size / side
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + _CROP_DROP * side
    return np.array([[scale, 0, size / 2 - scale * x], [0, scale, size / 2 - scale * y]])


def pupils(landmarks: FloatArray) -> FloatArray:
    """Estimated pupils, float32 (2, 2): the eye on the picture's left, then the other.

    The mean of an eye's six points lies below the pupil because the upper lid covers part of the
    iris. It is raised by 0.045 eye widths, the median over the training pictures' labelled irises.
    """
    points = np.asarray(landmarks, np.float64)
    eyes = np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0)])
    across = eyes[1] - eyes[0]
    across /= max(float(np.hypot(*across)), 1e-6)
    width = np.hypot(*(points[[39, 45]] - points[[36, 42]]).T).mean()
    upward = np.array([across[1], -across[0]])
    raised: FloatArray = (eyes + _PUPIL_RISE * width * upward).astype(np.float32)
    return raised


def yaw_degrees(landmarks: FloatArray) -> float:
    """Yaw of the head in degrees; positive if the nose points to the frame's right.

    arcsin of the nose's offset from the midpoint of the outer eye corners, perpendicular to the
    line from nose bridge to chin and in units of its length. Fitted to the shipped network's points
    on labelled faces: mean error below 2° up to 25°, 4° up to 35°, 9° beyond.
    """
    points = np.asarray(landmarks, np.float64)
    upward = points[27] - points[8]
    length = float(np.hypot(*upward))
    if length < 1e-6:
        return 0.0
    across = np.array([-upward[1], upward[0]]) / length
    nose = points[[30, 33]].mean(axis=0) - points[[36, 45]].mean(axis=0)
    return float(np.degrees(np.arcsin(np.clip(_YAW_GAIN * (nose @ across) / length, -1, 1))))


def visible_share(analysis: FaceAnalysis) -> float:
    """Share of the face, from brows to chin, that is not covered, in 0..1.

    Counts pixels with a region inside the outline of jaw and brows, except eyeballs and the inside
    of the mouth. Parts beyond the crop do not count.
    """
    points = analysis.crop_landmarks
    outline = np.vstack([points[:17], points[26:16:-1]])
    face = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    cv2.fillPoly(face, [to_fixed_point(outline)], 1, shift=4)
    for hole in (points[36:42], points[42:48], points[60:68]):
        cv2.fillPoly(face, [to_fixed_point(hole)], 0, shift=4)
    expected = int(face.sum())
    if expected == 0:
        return 0.0
    return float(((analysis.regions > 0) & (face > 0)).sum()) / expected


def mirrored_landmarks(landmarks: FloatArray) -> FloatArray:
    """float32 (68, 2), crop pixels: landmarks of the same face in a mirrored crop."""
    mirrored: FloatArray = landmarks[MIRRORED_POINTS]
    mirrored[:, 0] = CROP_SIZE - 1 - mirrored[:, 0]
    return mirrored
