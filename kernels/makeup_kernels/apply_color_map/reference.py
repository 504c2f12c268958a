"""Apply a colour map in plain NumPy float64, pixel for pixel as its formula reads."""

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.composite.reference import bilinear


def apply_color_map_reference(
    frame: NDArray[np.uint8], change: NDArray[np.float32], matrix: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`apply_color_map` before rounding and clipping; arguments as there.

    Returns:
        float64 (H, W, 3).
    """
    _, height, width = change.shape
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]].reshape(2, -1)
    map_x, map_y = np.asarray(matrix, np.float64) @ np.stack([x, y, np.ones_like(x)])
    inside = (map_x >= 0) & (map_x <= width - 1) & (map_y >= 0) & (map_y <= height - 1)
    cells = change.astype(np.float64).transpose(1, 2, 0)
    there = bilinear(cells, map_x[inside], map_y[inside])
    out = frame.astype(np.float64).reshape(-1, 3)
    out[inside] += there[:, :3] * out[inside] + there[:, 3:]
    return out.reshape(frame.shape)
