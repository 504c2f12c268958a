"""The warp between a face and the canonical one."""

import numpy as np
import pytest

from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_sdk.faces.canonical import (
    CanonicalPlaces,
    Window,
    canonical_landmarks,
    places_on_face,
)
from makeup_sdk.faces.types import CropGrid

WHOLE = Window(0, 0, 65, 65, 4)
CROP = CropGrid(0, 0, 256, 256, cell=1)


def turned_face(seed: int) -> np.ndarray:
    """Landmarks that are bent, shifted and noisy."""
    points = canonical_landmarks() - 128
    bent = points + np.stack([0.0008 * points[:, 0] ** 2, 0.05 * points[:, 0]], axis=1)
    noise = np.random.default_rng(seed).normal(0, 0.5, points.shape)
    return (bent * [0.9, 1.0] + noise + [130, 126]).astype(np.float32)


def spline(source: np.ndarray, target: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The thin-plate spline by the book, in float64: one point at a time."""

    def bend(a: np.ndarray, b: np.ndarray) -> float:
        square = float(((a - b) ** 2).sum())
        return square * np.log(square) if square > 0 else 0.0

    count = len(source)
    matrix = np.zeros((count + 3, count + 3))
    for i in range(count):
        for j in range(count):
            matrix[i, j] = bend(source[i], source[j]) + (20.0 if i == j else 0.0)
        matrix[i, count:] = matrix[count:, i] = [1, *source[i]]
    weights = np.linalg.solve(matrix, np.concatenate([target, np.zeros((3, 2))]))
    return np.array([[*(bend(place, p) for p in source), 1, *place] @ weights for place in places])


def test_canonical_face_is_symmetric() -> None:
    points = canonical_landmarks()
    np.testing.assert_allclose(points[MIRRORED_POINTS] * [-1, 1] + [256, 0], points, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_places_are_those_of_the_spline(seed: int) -> None:
    face = turned_face(seed)
    found = places_on_face(WHOLE, face)
    cells = [(10, 20), (0, 0), (64, 64), (33, 50)]
    wanted = spline(
        canonical_landmarks(), face.astype(float), np.array([[x * 4.0, y * 4.0] for y, x in cells])
    )
    np.testing.assert_allclose([found[cell] for cell in cells], wanted, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_pixels_lie_where_the_spline_says(seed: int) -> None:
    face = turned_face(seed)
    x, y = CanonicalPlaces(face).cells(Window(8, 16, 30, 30, 2), CROP)
    pixels = np.array([[64.0, 96.0], [120.0, 200.0], [192.0, 80.0]])  # nodes of the grid
    wanted = (spline(face.astype(float), canonical_landmarks(), pixels) - [16, 8]) / 2
    found = [(x[int(v), int(u)], y[int(v), int(u)]) for u, v in pixels]
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_there_and_back_is_where_one_was() -> None:
    face = turned_face(0)
    there = places_on_face(WHOLE, face)
    x, y = CanonicalPlaces(face).cells(WHOLE, CROP)
    inside = np.zeros((65, 65), bool)
    inside[18:52, 18:46] = True
    u, v = np.round(there[inside]).astype(int).T
    back = np.stack([x[v, u], y[v, u]], axis=1)
    rows, columns = np.nonzero(inside)
    assert np.abs(back - np.stack([columns, rows], axis=1)).max() < 0.6  # cells of 4 pixels


def test_coarse_grids_take_the_middle_of_their_cells() -> None:
    places = CanonicalPlaces(canonical_landmarks().astype(np.float32))
    fine = places.cells(WHOLE, CROP)[0]
    coarse = places.cells(WHOLE, CropGrid(8, 16, 10, 10, cell=4))[0]
    np.testing.assert_allclose(coarse[0, 0], fine[8:12, 16:20].mean(), atol=1e-3)
