"""Smooth weight maps and curves, from which the products' shapes are built."""

import itertools
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray

Points: TypeAlias = NDArray[np.float64]
"""float64 (N, 2): x then y."""

_ZERO, _ONE = np.float32(0), np.float32(1)
_SAMPLES = 12
_OBLIQUE = 3e-4
_REACH = 2.7
"""Number of radii beyond which a stroke is weaker than 0.001."""


def smoothstep(low: float, high: float, value: FloatArray) -> FloatArray:
    """Cubic ramp: 0 below `low`, 1 above `high` (falling where `low > high`)."""
    t = np.atleast_1d(value - np.float32(low))
    t *= np.float32(1.0 / (high - low))
    np.clip(t, _ZERO, _ONE, out=t)
    ramp = t * np.float32(-2)
    ramp += np.float32(3)
    ramp *= t
    ramp *= t
    shaped: FloatArray = ramp.reshape(np.shape(value))
    return shaped


def bump(value: FloatArray, centre: float, width: float) -> FloatArray:
    """exp(-((value - centre) / width)²)."""
    scaled: FloatArray = value - np.float32(centre)
    scaled *= np.float32(1.0 / width)
    scaled *= -scaled
    return np.exp(scaled, out=scaled)


def spline(points: Points) -> Points:
    """Open Catmull-Rom curve through points, 12 samples per span.

    Args:
        points: float64 (N, 2), N ≥ 2.

    Returns:
        float64 ((N - 1) · 12 + 1, 2).
    """
    return _spline_weights(len(points)) @ points


@lru_cache
def _spline_weights(count: int) -> NDArray[np.float64]:
    """Weight of each of `count` points at each sample; the ends are extrapolated linearly."""
    padded = np.vstack([np.zeros(count), np.eye(count), np.zeros(count)])
    padded[0, :2] = 2.0, -1.0
    padded[-1, -2:] = -1.0, 2.0
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = (np.arange(_SAMPLES) / _SAMPLES)[None, :, None]
    spans = (
        b
        + 0.5 * t * (c - a)
        + t**2 * (a - 2.5 * b + 2 * c - 0.5 * d)
        + t**3 * (1.5 * (b - c) + 0.5 * (d - a))
    )
    return np.vstack([spans.reshape(-1, count), padded[-2:-1]])


def height(curve: Points, t: NDArray[np.floating]) -> FloatArray:
    """The second coordinate of a curve as a function of the first; flat beyond its ends."""
    order = np.maximum.accumulate(curve[:, 0] + 1e-6 * np.arange(len(curve)))
    return np.asarray(np.interp(t, order, curve[:, 1]), np.float32)


def blob(
    grid: tuple[FloatArray, FloatArray], centre: Points, along: Points, across: Points
) -> FloatArray:
    """Soft elliptic spot exp(-(a² + b²)) in the oblique axes `along` and `across`."""
    axes = np.stack([along, across], axis=1)
    square = axes.T @ axes
    square += _OBLIQUE * np.trace(square) * np.eye(2)  # for nearly parallel axes
    basis = np.linalg.solve(square, axes.T).astype(np.float32)
    x, y = grid[0] - np.float32(centre[0]), grid[1] - np.float32(centre[1])
    a = basis[0, 0] * x + basis[0, 1] * y
    b = basis[1, 0] * x + basis[1, 1] * y
    spot: FloatArray = np.exp(-(a * a + b * b))
    return spot


def stroke(
    grid: tuple[FloatArray, FloatArray], path: Points, radius: float, taper: float = 0.0
) -> FloatArray:
    """Soft line along a path: exp(-(distance / radius)²), weakened by `taper` towards its end.

    Args:
        grid: float32 (1, w) and (h, 1), x and y of the pixels, ascending.
        path: float64 (N, 2), in the grid's unit.
        radius: in the grid's unit.
        taper: fraction of strength lost at the path's end.

    Returns:
        float32, the grid's shape.
    """
    result: FloatArray = np.zeros(np.broadcast(*grid).shape, np.float32)
    low, high = path.min(axis=0) - _REACH * radius, path.max(axis=0) + _REACH * radius
    columns = slice(*np.searchsorted(grid[0][0], (low[0], high[0])))
    rows = slice(*np.searchsorted(grid[1][:, 0], (low[1], high[1])))
    grid = grid[0][:, columns], grid[1][rows]
    window = result[rows, columns]
    spans = len(path) - 1
    for index, (start, end) in enumerate(itertools.pairwise(path)):
        step = (end - start).astype(np.float32)
        x, y = grid[0] - np.float32(start[0]), grid[1] - np.float32(start[1])
        t = (x * step[0] + y * step[1]) * np.float32(1 / max(float(step @ step), 1e-6))
        np.minimum(np.maximum(t, np.float32(0), out=t), np.float32(1), out=t)
        distance2 = np.square(x - t * step[0]) + np.square(y - t * step[1])
        distance2 *= np.float32(-1.0 / radius**2)
        line = np.exp(distance2, out=distance2)
        if taper:
            line *= 1.0 - taper * (index + t) / spans
        np.maximum(window, line, out=window)
    return result


def blur(values: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur with reflected borders; `sigma` in pixels."""
    result: FloatArray = cv2.GaussianBlur(
        values, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REFLECT
    )
    return result
