"""Region maps in plain NumPy float64, as their formula reads."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.region import Region

HOMES: dict[Region, tuple[tuple[tuple[int, ...], ...], float]] = {
    Region.LIPS: ((tuple(range(48, 60)),), 0.18),
    Region.EYES: (((*range(17, 22), *range(36, 42)), (*range(22, 27), *range(42, 48))), 0.35),
    Region.BROWS: ((tuple(range(17, 22)), tuple(range(22, 27))), 0.3),
}
"""Landmarks whose hull bounds a region, and its reach beyond the hull in pupil distances."""

SPECK_SHARE = 0.0008
"""Islands below this fraction of the map are dropped, holes below a quarter of it are filled."""

PAINTING_ORDER = (Region.SKIN, Region.LIPS, Region.EYES, Region.BROWS)


def region_maps_reference(
    logits: NDArray[np.floating], landmarks: NDArray[np.float32], *, size: int
) -> NDArray[np.uint8]:
    """`region_maps` of one face; arguments as there, without the face axis.

    Returns:
        uint8 (size, size).
    """
    return without_specks(best_regions(logits, landmarks, size=size)[0])


def best_regions(
    logits: NDArray[np.floating], landmarks: NDArray[np.float32], *, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The map before specks are removed, and each pixel's margin to another choice.

    Returns:
        uint8 (size, size), and float64 (size, size): the smallest difference of two logits, or of a
        distance and its limit, that decided the pixel.
    """
    planes = _enlarge(logits.astype(np.float64), size)
    points = landmarks.astype(np.float64)
    unit = float(np.hypot(*(points[36:42].mean(axis=0) - points[42:48].mean(axis=0))))
    best = planes[Region.NONE]
    regions = np.zeros((size, size), np.uint8)
    margin = np.full((size, size), np.inf)
    for region in PAINTING_ORDER:
        plane = planes[region]
        better = plane > best
        margin = np.minimum(margin, np.abs(plane - best))
        if region in HOMES:
            parts, reach = HOMES[region]
            distances = [hull_distance(points[list(part)], size) - reach * unit for part in parts]
            beyond = np.minimum.reduce(distances)
            margin = np.minimum(margin, np.abs(beyond))
            better &= beyond <= 0
        best = np.maximum(best, plane)
        regions[better] = region
    return regions, margin


def _enlarge(planes: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(5, s, s) to (5, size, size): bilinear, half-pixel centres, border repeated."""
    side = planes.shape[-1]
    at = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    low = np.minimum(at.astype(int), max(side - 2, 0))
    high = np.minimum(low + 1, side - 1)
    share = at - low
    rows = planes[:, low] * (1 - share)[None, :, None] + planes[:, high] * share[None, :, None]
    enlarged: NDArray[np.float64] = rows[..., low] * (1 - share) + rows[..., high] * share
    return enlarged


def hull_distance(points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Distance of every pixel from the convex hull of some points; 0 inside.

    Returns:
        float64 (size, size).
    """
    hull = cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)
    y, x = np.mgrid[:size, :size].astype(np.float64)
    nearest = np.full((size, size), np.inf)
    sides = []
    for start, end in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        way = end - start
        from_x, from_y = x - start[0], y - start[1]
        length = float(way @ way)
        along = np.clip((from_x * way[0] + from_y * way[1]) / length, 0, 1) if length else 0.0
        nearest = np.minimum(nearest, np.hypot(from_x - along * way[0], from_y - along * way[1]))
        sides.append(way[0] * from_y - way[1] * from_x)
    inside = np.all(np.array(sides) > 0, axis=0) | np.all(np.array(sides) < 0, axis=0)
    return np.where(inside, 0.0, nearest)


def without_specks(regions: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drop small islands of paint (8-connected) and fill small holes (4-connected) as skin."""
    limit = SPECK_SHARE * regions.size
    painted = (regions > 0).astype(np.uint8)
    out: NDArray[np.uint8] = regions.copy()
    _, islands, statistics, _ = cv2.connectedComponentsWithStats(painted, connectivity=8)
    small = statistics[:, cv2.CC_STAT_AREA] < limit
    small[0] = False
    out[small[islands]] = Region.NONE
    _, holes, statistics, _ = cv2.connectedComponentsWithStats(1 - painted, connectivity=4)
    small = statistics[:, cv2.CC_STAT_AREA] < limit / 4
    small[0] = False
    border = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
    small[border] = False
    out[small[holes]] = Region.SKIN
    return out
