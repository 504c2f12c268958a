"""Crops and maps placed on frames by a matrix: their borders, and how results must round."""

import numpy as np


def similarity(scale, degrees, shift):
    angle = np.deg2rad(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


MATRICES = [
    similarity(1, 0, (0, 0)),
    similarity(0.7, 12, (-8.3, -20.6)),
    similarity(0.4, 12, (-8.3, -5.6)),
    similarity(0.31, -75, (3.5, 40)),
    similarity(2.4, 179, (200, 150)),
    similarity(0.5, 90, (40, -3)),
    np.array([[0.9, 0.3, -20], [-0.1, 0.6, 5]]),
    np.array([[-1.0, 0.0, 60.0], [0.0, 1.0, -10.0]]),
]
"""Frame pixel to map cell: as it is, turned, enlarged, upside down, sheared, mirrored."""


def feather(height, width):
    """float32 (height, width): 1 in the middle, 0 near the border, smooth between."""
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) / n for n in (height, width))
    return np.clip(np.minimum(y[:, None], x[None]) * 8 - 0.6, 0, 1).astype(np.float32)


def on_border(matrix, frame_shape, map_shape, within):
    """bool (H, W): pixels that fall on the map's border, within rounding."""
    y, x = np.mgrid[: frame_shape[0], : frame_shape[1]]
    u, v = np.einsum("ij,jhw->ihw", matrix, np.stack([x, y, np.ones_like(x)]))
    height, width = map_shape
    return np.min(np.abs([u, v, u - width + 1, v - height + 1]), axis=0) < within


def assert_follows_formula(result, exact, matrix, map_shape):
    """Equal after rounding; a float32 sum within 1e-3 of a half may round to either side.

    Pixels that fall on the map's border to the last bit may count as inside or outside.
    """
    border = on_border(matrix, exact.shape, map_shape, within=1e-9)
    assert result.dtype == np.uint8
    assert border.mean() < 0.1
    assert np.abs(result - np.clip(exact, 0, 255))[~border].max() <= 0.501
