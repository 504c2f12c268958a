"""The canonical face, on which a look's maps are stored, and the warps to and from other faces.

The canonical face is the landmark template, made symmetric. A thin-plate spline of the 68 landmarks
(Bookstein, 1989; regularised, since landmarks are noisy) maps it to a face and back:

    f(x) = A·(1, x) + Σ_k w_k · U(‖x − p_k‖),   U(r) = r² log r²

with (K + λI)·w + P·A = q and Pᵀ·w = 0, where K_kl = U(‖p_k − p_l‖) and P = (1, p).
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, TEMPLATE_LANDMARKS
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.types import CropGrid

_SMOOTHNESS = 20.0
"""λ of the spline, squared crop pixels: landmarks have errors of a pixel or two."""

_NODE_STEP = 8
"""Crop pixels between evaluations of the spline; bilinear interpolation between them."""


@dataclass(frozen=True)
class Window:
    """A part of the canonical face as a grid of cells, symmetric about x = 128.

    Attributes:
        top, left: centre of the first cell, canonical pixels.
        rows, columns: number of cells.
        cell: canonical pixels between neighbouring cells.
    """

    top: int
    left: int
    rows: int
    columns: int
    cell: int


@cache
def canonical_landmarks() -> NDArray[np.float64]:
    """float64 (68, 2): the symmetric mean face, crop pixels, read-only."""
    points = TEMPLATE_LANDMARKS.astype(np.float64) * CROP_SIZE
    mirrored = (points * (-1, 1) + (CROP_SIZE, 0))[MIRRORED_POINTS]
    mean: NDArray[np.float64] = (points + mirrored) / 2
    mean.setflags(write=False)
    return mean


def places_on_face(window: Window, landmarks: FloatArray) -> FloatArray:
    """Positions of a canonical window's cells on a face.

    Args:
        window: window of the canonical face.
        landmarks: float32 (68, 2), crop pixels.

    Returns:
        float32 (rows, columns, 2): x, y in crop pixels.
    """
    places: FloatArray = _landmark_shares(window) @ landmarks
    return places.reshape(window.rows, window.columns, 2)


class CanonicalPlaces:
    """Positions of a crop's pixels on the canonical face.

    Args:
        landmarks: float32 (68, 2), crop pixels.
    """

    def __init__(self, landmarks: FloatArray) -> None:
        points = landmarks.astype(np.float64)
        target = np.concatenate([canonical_landmarks(), np.zeros((3, 2))])
        coefficients = np.linalg.solve(_system(points), target)
        steps = np.arange(0, CROP_SIZE + 1, _NODE_STEP, dtype=np.float64)
        x, y = np.meshgrid(steps, steps)
        nodes = _basis(np.stack([x.ravel(), y.ravel()], axis=1), points) @ coefficients
        self._nodes = nodes.reshape(len(steps), len(steps), 2).astype(np.float32)

    def cells(self, window: Window, grid: CropGrid) -> tuple[FloatArray, FloatArray]:
        """Positions of a crop grid's cells in a canonical window.

        Returns:
            x, y: float32 (grid.rows, grid.columns), in cells of the window.
        """
        middle = (grid.cell - 1) / 2
        x = (grid.left + middle + np.arange(grid.columns) * grid.cell) / _NODE_STEP
        y = (grid.top + middle + np.arange(grid.rows) * grid.cell) / _NODE_STEP
        at = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        places = cv2.remap(self._nodes, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        corner = np.array([window.left, window.top], np.float32)
        across, down = cv2.split((places - corner) * np.float32(1 / window.cell))
        return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _bend(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """U(‖a_i − b_j‖), (len(a), len(b))."""
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * (a @ b.T)
    np.maximum(square, 1e-12, out=square)
    bent: NDArray[np.float64] = square * np.log(square)
    return bent


def _basis(places: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The spline's basis functions at places, (len(places), 71)."""
    return np.concatenate([_bend(places, points), np.ones((len(places), 1)), places], axis=1)


def _system(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix of the linear system for the spline's coefficients, (71, 71)."""
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count] = _basis(points, points)
    system[:count, :count] += _SMOOTHNESS * np.eye(count)
    system[count:, :count] = system[:count, count:].T
    return system


@cache
def _landmark_shares(window: Window) -> FloatArray:
    """float32 (cells, 68): weight of each landmark in the position of each cell of a window."""
    points = canonical_landmarks()
    y, x = np.mgrid[: window.rows, : window.columns] * float(window.cell)
    cells = np.stack([x.ravel() + window.left, y.ravel() + window.top], axis=1)
    shares = (_basis(cells, points) @ np.linalg.inv(_system(points)))[:, :68]
    return np.ascontiguousarray(shares, np.float32)
