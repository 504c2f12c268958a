"""Faces as region maps on grids of any size, and the box of a frame that a map covers."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import TEMPLATE_LANDMARKS

FACE_CELLS: Mapping[int, int] = {1: 66, 2: 1342, 3: 290}
"""Cells of lips, skin and eyes on a 64×64 grid: the median face of the Makeup Transfer data."""


def face_regions(grid: int, sizes: Mapping[int, int]) -> NDArray[np.uint8]:
    """Region map uint8 (grid, grid), laid out like the mean face: the nearest cells of each region.

    Args:
        grid: cells a side.
        sizes: how many cells each region has.
    """
    y, x = (np.mgrid[:grid, :grid] + 0.5) / grid
    lips, left, right = (
        TEMPLATE_LANDMARKS[i].mean(axis=0) for i in (slice(48, 60), slice(36, 42), slice(42, 48))
    )
    distance = {
        1: ((x - lips[0]) / 2) ** 2 + (y - lips[1]) ** 2,
        3: np.minimum(
            np.maximum(abs(x - left[0]), abs(y - left[1])),
            np.maximum(abs(x - right[0]), abs(y - right[1])),
        ),
        2: ((x - 0.5) / 0.8) ** 2 + (y - 0.55) ** 2,
    }
    regions = np.zeros((grid, grid), np.uint8)
    for region, far in distance.items():
        order = np.argsort(np.where(regions == 0, far, np.inf), axis=None, kind="stable")
        regions.ravel()[order[: sizes[region]]] = region
    return regions


def pairs(sizes: Mapping[int, int]) -> int:
    """Pairs of cells that attend to each other when both faces have these sizes."""
    return sum(count * count for count in sizes.values())


def frame_box(
    inside: NDArray[np.bool_], matrix: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The box x0, y0, x1, y1 of a frame that the true cells of a map cover.

    Args:
        inside: bool (h, w).
        matrix: float64 (2, 3), frame pixel to map cell.
        shape: the frame's.
    """
    x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
    corners = np.array([[u, v, 1.0] for u in (x - 1, x + width) for v in (y - 1, y + height)])
    xy = corners @ cv2.invertAffineTransform(matrix).T
    low = np.maximum(np.floor(xy.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(xy.max(axis=0)) + 1, shape[1::-1]).astype(int)
    return (*low.tolist(), *high.tolist())
