"""Region maps on the CPU, with OpenCV."""

import cv2
import numpy as np

from makeup_kernels.geometry import pupil_distance, to_fixed_point
from makeup_kernels.region import Region
from makeup_kernels.region_maps.reference import HOMES, PAINTING_ORDER, SPECK_SHARE
from makeup_kernels.types import FloatArray, Image


def region_map(logits: FloatArray, landmarks: FloatArray, size: int) -> Image:
    """Best region per pixel that the landmarks allow, without specks.

    Args:
        logits: float32 (5, s, s), channel = `makeup_kernels.Region`.
        landmarks: float32 (68, 2), pixels of the `size` x `size` crop.
        size: side of the map.

    Returns:
        uint8 (size, size).
    """
    best = _enlarge(logits[Region.NONE], size)
    regions = np.zeros((size, size), np.uint8)
    for region in PAINTING_ORDER:
        plane = _enlarge(logits[region], size)
        better = cv2.compare(plane, best, cv2.CMP_GT)
        if region != Region.SKIN:
            better = cv2.bitwise_and(better, _allowed(region, landmarks, size))
        best = cv2.max(best, plane)
        regions = (regions & ~better) | (better & np.uint8(region))
    return _without_specks(regions)


def _enlarge(plane: FloatArray, size: int) -> FloatArray:
    return np.asarray(cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def _allowed(region: Region, landmarks: FloatArray, size: int) -> Image:
    """255 where a region may be: its landmarks' hull, grown in proportion to the face."""
    unit = pupil_distance(landmarks)
    parts, reach = HOMES[region]
    mask = np.zeros((size, size), np.uint8)
    for part in parts:
        hull = cv2.convexHull(to_fixed_point(landmarks[list(part)]))
        cv2.fillConvexPoly(mask, hull, 255, shift=4)
        cv2.polylines(mask, [hull], True, 255, max(1, round(2 * reach * unit)), shift=4)
    return mask


def _without_specks(regions: Image) -> Image:
    """Drop small islands of paint, and fill pinholes in it as skin."""
    limit = SPECK_SHARE * regions.size
    painted = (regions > 0).astype(np.uint8)
    contours, hierarchy = cv2.findContours(painted, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for number, contour in enumerate(contours):
        is_hole = hierarchy[0, number, 3] >= 0
        # Pick's theorem: an island includes its contour, a hole does not.
        edge = len(contour) / 2 * (-1 if is_hole else 1)
        if cv2.contourArea(contour) + edge + 1 >= (limit / 4 if is_hole else limit):
            continue
        x, y, width, height = cv2.boundingRect(contour)
        part = regions[y : y + height, x : x + width]
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour - [x, y]], 0, 1, cv2.FILLED)
        if is_hole:
            part[(inside > 0) & (part == Region.NONE)] = Region.SKIN
        else:
            part[inside > 0] = Region.NONE
    return regions
