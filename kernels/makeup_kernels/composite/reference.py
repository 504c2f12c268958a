"""Composite in plain NumPy float64, pixel for pixel as its formula reads."""

import numpy as np
from numpy.typing import NDArray


def bilinear(
    image: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 (N, C): `image` (h, w, C) at N points (x, y) inside it."""
    column = np.clip(np.floor(x).astype(int), 0, image.shape[1] - 2)
    row = np.clip(np.floor(y).astype(int), 0, image.shape[0] - 2)
    right, down = (x - column)[:, None], (y - row)[:, None]
    top = image[row, column] * (1 - right) + image[row, column + 1] * right
    bottom = image[row + 1, column] * (1 - right) + image[row + 1, column + 1] * right
    blend: NDArray[np.float64] = top * (1 - down) + bottom * down
    return blend


def composite_reference(
    frame: NDArray[np.uint8],
    source_crop: NDArray[np.uint8],
    result_crop: NDArray[np.uint8],
    mask: NDArray[np.float32],
    matrix: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`composite` before rounding and clipping; arguments as there.

    Returns:
        float64 (H, W, 3).
    """
    height, width = mask.shape
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]].reshape(2, -1)
    crop_x, crop_y = np.asarray(matrix, np.float64) @ np.stack([x, y, np.ones_like(x)])
    inside = (crop_x >= 0) & (crop_x <= width - 1) & (crop_y >= 0) & (crop_y <= height - 1)
    where = (crop_x[inside], crop_y[inside])
    change = result_crop.astype(np.float64) - source_crop.astype(np.float64)
    added = bilinear(mask.astype(np.float64)[..., None], *where) * bilinear(change, *where)
    out = frame.astype(np.float64).reshape(-1, 3)
    out[inside] += added
    return out.reshape(frame.shape)
