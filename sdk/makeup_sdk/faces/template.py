"""The template face: the layout in which a `classic` look is stored.

Makeup of every reference is laid out on one frontal mean face first. Looks are then mixed by
averaging, mirrored by flipping, saved in a few kilobytes, and described by colours alone.
"""

from functools import cache

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE, TEMPLATE_LANDMARKS, Region
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_kernels.types import FloatArray, RegionMap

_SUBPIXEL_BITS = 4


def template_landmarks() -> FloatArray:
    """float32 (68, 2): the mean face in crop pixels."""
    points: FloatArray = TEMPLATE_LANDMARKS * np.float32(CROP_SIZE)
    return points


@cache
def template_regions() -> RegionMap:
    """uint8 (256, 256): the region map of the mean face, read-only and symmetric."""
    points = template_landmarks()
    regions = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    _fill(regions, _face_outline(points), Region.SKIN)
    mirrored = points[MIRRORED_POINTS] * [-1, 1] + [CROP_SIZE, 0]
    for side in (points, mirrored):
        half = np.zeros_like(regions)
        _fill(half, _eye_shadow_outline(side), Region.EYES)
        _fill(half, _brow_outline(side), Region.BROWS)
        if side is mirrored:
            half = cv2.warpAffine(  # x -> 256 - x, the mirror image about the face's middle
                half,
                np.array([[-1.0, 0, CROP_SIZE], [0, 1, 0]]),
                (CROP_SIZE, CROP_SIZE),
                flags=cv2.INTER_NEAREST,
            )
        regions[half > 0] = half[half > 0]
    for eye in (slice(36, 42), slice(42, 48)):
        _fill(regions, points[eye], Region.NONE)
    _fill(regions, points[48:60], Region.LIPS)
    regions.setflags(write=False)
    return regions


def _fill(regions: RegionMap, outline: FloatArray, region: Region) -> None:
    fixed = np.round(outline * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(regions, [fixed], int(region), lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)


def _face_outline(points: FloatArray) -> FloatArray:
    """Jaw line closed by half an ellipse over the forehead."""
    right, left, chin = points[0], points[16], points[8]
    centre = (right + left) / 2
    height = 0.62 * (chin[1] - centre[1])
    angle = np.linspace(0, np.pi, 24)[1:-1]
    half_width = (left[0] - right[0]) / 2
    forehead = np.stack(
        [centre[0] + half_width * np.cos(angle), centre[1] - height * np.sin(angle)], axis=1
    )
    return np.concatenate([points[:17], forehead]).astype(np.float32)


def _eye_shadow_outline(points: FloatArray) -> FloatArray:
    """Around the eye on the image's left: from the brow's lower edge to a band below the lid."""
    outer, inner, brow = points[36], points[39], points[17:22]
    width = inner[0] - outer[0]
    wing = outer + width * np.array([-0.38, -0.22])
    upper = brow + [0, 0.13 * width]
    corner = inner + width * np.array([0.16, -0.06])
    lower = points[[40, 41]] + [0, 0.22 * width]
    foot = outer + width * np.array([-0.22, 0.08])
    outline = np.vstack([wing, upper, corner, lower, foot])
    return outline.astype(np.float32)


def _brow_outline(points: FloatArray) -> FloatArray:
    brow = points[17:22]
    thick = 0.07 * (points[39, 0] - points[36, 0]) * np.array([[0.3], [1], [1.2], [1.2], [0.9]])
    up, down = brow - thick * [0, 1], brow + thick * [0, 1]
    return np.vstack([up, down[::-1]]).astype(np.float32)
