"""Measures how much of a real reference's makeup is transferred to a real face.

Source, reference and result are warped to the mean face by a thin-plate spline of their 68
landmarks and slightly blurred. Colours are CIELAB relative to the picture's own cheeks. Lightness
has half weight, because the light differs; on skin (cheeks, nose, chin) only chroma counts. For a
region with colours s, r and o of source, reference and result:

    arrival = ⟨o − s, r − s⟩ / |r − s|²    1: transferred completely, 0: not at all
    left    = |o − r| / |s − r|            0: equal to the reference, 1: as far as before

Lips glow if, relative to the cheeks, they are lighter than in both source and reference by more
than 4 L*.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import TEMPLATE_LANDMARKS, Region
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_kernels.types import FloatArray, Image

REGIONS = (Region.LIPS, Region.EYES, Region.SKIN, Region.BROWS)
SIZE = 128
"""Side of the mean face: half that of the aligned crop."""

_SMOOTHNESS = 20.0
_BLUR = 1.5
_GLOW = 4.0
_CHEEK_ROWS = 92
"""Rows of the mean face above the mouth, whose skin is the colour reference."""


@dataclass(frozen=True)
class Arrival:
    """Figures of one pair: arrival and left per region; whether the lips glow."""

    regions: dict[Region, tuple[float, float]]
    glows: bool


def mean_face() -> NDArray[np.float64]:
    """float64 (68, 2): the mean face in pixels of the aligned crop, to a tenth."""
    return np.round(TEMPLATE_LANDMARKS.astype(np.float64) * 256, 1)


@cache
def mean_regions() -> Image:
    """uint8 (128, 128): the regions of the mean face."""
    points = mean_face() / 2
    regions = np.zeros((SIZE, SIZE), np.uint8)
    below_eyes = [points[46] + (0, 9), points[28], points[41] + (0, 9)]
    _fill(regions, [*points[1:16], *below_eyes], Region.SKIN)
    for mirrored in (False, True):
        side = (points * (-1, 1) + (SIZE, 0))[MIRRORED_POINTS] if mirrored else points
        half, eye = np.zeros_like(regions), np.zeros_like(regions)
        _fill(half, _eye_shadow(side), Region.EYES)
        thick = np.array([0, 0.06 * (side[39, 0] - side[36, 0])])
        _fill(half, [*(side[17:22] - thick), *(side[17:22] + thick)[::-1]], Region.BROWS)
        _fill(eye, side[36:42], 1)
        if mirrored:
            half, eye = half[:, ::-1], eye[:, ::-1]
        regions[half > 0] = half[half > 0]
        regions[eye > 0] = Region.NONE
    _fill(regions, points[48:60], Region.LIPS)
    _fill(regions, points[60:68], Region.NONE)
    return regions


def on_mean_face(image: Image, landmarks: NDArray[np.floating]) -> FloatArray:
    """float32 (128, 128, 3): blurred CIELAB relative to the cheeks, lightness halved.

    Args:
        image: uint8 (H, W, 3), BGR.
        landmarks: float (68, 2), pixels of the image.
    """
    points = np.asarray(landmarks, np.float64)
    eyes = float(np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0)))
    smooth = cv2.GaussianBlur(image, (0, 0), max(eyes / 90, 0.3)).astype(np.float32) / 255
    basis, system = _spline()
    weights = np.linalg.solve(system, np.concatenate([points, np.zeros((3, 2))]))
    x, y = (basis @ weights).astype(np.float32).T.reshape(2, SIZE, SIZE)
    warped = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lab = cv2.cvtColor(warped, cv2.COLOR_BGR2LAB)
    regions = mean_regions()
    cheeks = regions == Region.SKIN
    cheeks[_CHEEK_ROWS:] = False
    relative = (lab - np.median(lab[cheeks], axis=0)) * np.array([0.5, 1, 1], np.float32)
    found = np.zeros_like(relative)
    for region in REGIONS:
        here = (regions == region).astype(np.float32)
        weight = np.maximum(cv2.GaussianBlur(here, (0, 0), _BLUR), 1e-3)[..., None]
        mean = cv2.GaussianBlur(relative * here[..., None], (0, 0), _BLUR) / weight
        found[regions == region] = mean[regions == region]
    return found


def arrival(source: FloatArray, reference: FloatArray, result: FloatArray) -> Arrival:
    """Compare three maps of `on_mean_face`."""
    regions = mean_regions()
    found = {}
    for region in REGIONS:
        here = regions == region
        axes = slice(1, 3) if region == Region.SKIN else slice(0, 3)
        wanted, got = (reference - source)[here][:, axes], (result - source)[here][:, axes]
        size = float((wanted**2).sum())
        left = float(((got - wanted) ** 2).sum())
        found[region] = float((wanted * got).sum()) / size, float(np.sqrt(left / size))
    lips = regions == Region.LIPS
    before, wanted, after = (2 * np.median(m[lips, 0]) for m in (source, reference, result))
    return Arrival(found, bool(after > max(before, wanted) + _GLOW))


def asymmetry(source: FloatArray, result: FloatArray) -> float:
    """Difference of the change between the face's halves, relative to the change's size."""
    change = (result - source) * (mean_regions() > 0)[..., None]
    flipped = np.roll(change[:, ::-1], 1, axis=1)
    return float(np.linalg.norm(change - flipped) / max(np.linalg.norm(change), 1e-6))


def _fill(regions: NDArray[np.uint8], outline: object, value: int) -> None:
    fixed = np.round(np.array(outline) * 16).astype(np.int32)
    cv2.fillPoly(regions, [fixed], int(value), shift=4)


def _eye_shadow(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area around the eye on the picture's left: from the brow to a band below the lower lid."""
    width = points[39, 0] - points[36, 0]
    return np.vstack(
        [
            points[36] + width * np.array([-0.38, -0.22]),
            points[17:22] + (0, 0.13 * width),
            points[39] + width * np.array([0.16, -0.06]),
            points[[40, 41]] + (0, 0.22 * width),
            points[36] + width * np.array([-0.22, 0.08]),
        ]
    )


@cache
def _spline() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Basis functions at every pixel of the mean face, and the matrix of the linear system."""
    points = mean_face()
    y, x = np.mgrid[:SIZE, :SIZE]
    pixels = np.stack([x.ravel(), y.ravel()], axis=1) * 2.0
    affine, ones = np.c_[np.ones(68), points], np.ones((len(pixels), 1))
    system = np.block(
        [[_bend(points, points) + _SMOOTHNESS * np.eye(68), affine], [affine.T, np.zeros((3, 3))]]
    )
    return np.concatenate([_bend(pixels, points), ones, pixels], axis=1), system


def _bend(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    square = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    return np.where(square > 0, square * np.log(square + 1e-12), 0)
