"""Align in plain NumPy float64, as its formula reads."""

import numpy as np
from numpy.typing import NDArray

MAX_SAMPLES = 8
"""Maximum samples per crop pixel along each axis."""


def align_faces_reference(
    frame: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    *,
    size: int,
    color: str = "bgr",
) -> NDArray[np.float64]:
    """The crop of `align_faces` for one face, before rounding; arguments as there.

    Returns:
        float64 (size, size, 3), in the frame's channel order; BGR for "nv12".
    """
    image = nv12_to_bgr(frame) if color == "nv12" else frame.astype(np.float64)
    matrix = np.asarray(matrix, np.float64)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    samples = max(1, min(MAX_SAMPLES, int(1 / scale)))
    inverse = np.linalg.inv(matrix[:, :2])
    crop = np.zeros((size, size, 3))
    for down in range(samples):
        for right in range(samples):
            v, u = np.mgrid[:size, :size].astype(np.float64)
            at = np.stack([u + (right + 0.5) / samples - 0.5, v + (down + 0.5) / samples - 0.5])
            x, y = np.einsum("ij,jhw->ihw", inverse, at - matrix[:, 2, None, None])
            crop += _bilinear(image, x, y)
    return crop / samples**2


def nv12_to_bgr(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """NV12 (H·3/2, W), BT.601 limited range, to BGR float64 (H, W, 3) in [0, 255], not rounded."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    luma = 1.164383562 * (frame[:height].astype(np.float64) - 16)
    chroma = frame[height:].reshape(height // 2, width // 2, 2).astype(np.float64) - 128
    u, v = np.moveaxis(chroma.repeat(2, axis=0).repeat(2, axis=1), 2, 0)
    blue = luma + 2.017232143 * u
    green = luma - 0.391762290 * u - 0.812967647 * v
    red = luma + 1.596026786 * v
    image: NDArray[np.float64] = np.clip(np.stack([blue, green, red], axis=2), 0, 255)
    return image


def _bilinear(
    image: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    height, width = image.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    share_x, share_y = (x - left)[..., None], (y - top)[..., None]
    upper = image[top, left] * (1 - share_x) + image[top, right] * share_x
    lower = image[below, left] * (1 - share_x) + image[below, right] * share_x
    blend: NDArray[np.float64] = upper * (1 - share_y) + lower * share_y
    return blend
