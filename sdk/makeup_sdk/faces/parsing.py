"""Face parsing classes, drawn from the region map and the landmarks."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.canonical import CanonicalPlaces, Window
from makeup_sdk.faces.types import CropGrid

_SKIN, _BROWS, _EYES, _NOSE, _UPPER, _INSIDE, _LOWER, _HAIR = 1, (2, 3), (4, 5), 6, 7, 8, 9, 10
_EYE_POINTS = (range(36, 42), range(42, 48))
_BRIDGE, _WINGS = 0.12, 0.25
"""Half the width of the nose's bridge, and how far the nostrils reach beyond points 31 and 35, in
units of the distance between them. IoU with hand-drawn noses: 0.88."""
_INSIDE_POINTS = range(60, 68)
_FOREHEAD, _HAIR_ARC = (0.6, 1.0), (0.95, 1.35)
"""Arcs over forehead and hair: height in units of the chin-to-ear distance, width in units of the
jaw's width."""

_WHOLE, _PERIOD = Window(0, 0, CROP_SIZE, CROP_SIZE, 1), 230.0
"""The canonical face, and the period of `place_planes`, canonical pixels."""
PLACE_PLANES = slice(6, 10)
"""Planes of glasses and ears in the 19 classes of face-parsing.PyTorch. `face_classes` never draws
these classes; our networks get `place_planes` there."""


def face_classes(points: FloatArray, regions: Image) -> Image:
    """Parsing classes of a face, from the region map and the landmarks.

    Skin, brows and lips come from the region map, so hands and hair in front of the face are
    excluded. Eyes, nose and the inside of the mouth come from the landmarks; hair is a band above
    the forehead. Ears and neck are background.

    Args:
        points: float32 (68, 2), landmarks, pixels of the crop.
        regions: uint8 (S, S), region map.

    Returns:
        uint8 (S, S), MT classes: 0 background, 1 skin, 2/3 brows, 4/5 eyes (the first on the
        picture's left), 6 nose, 7 upper lip, 8 mouth inside, 9 lower lip, 10 hair.
    """
    side = regions.shape[0]
    classes = np.zeros((side, side), np.uint8)
    classes[_filled(side, _arc(points, *_HAIR_ARC))] = _HAIR
    classes[_filled(side, _arc(points, *_FOREHEAD))] = 0
    skin = (regions == Region.SKIN) | (regions == Region.EYES)
    classes[skin] = _SKIN
    classes[skin & _filled(side, _nose(points))] = _NOSE
    left = np.arange(side) < points[27, 0]
    brows = regions == Region.BROWS
    classes[brows] = np.where(left, *_BROWS)[None].repeat(side, 0)[brows]
    open_places = regions == Region.NONE
    for value, outline in zip(_EYES, _EYE_POINTS, strict=True):
        classes[open_places & _filled(side, points[list(outline)])] = value
    classes[open_places & _filled(side, points[list(_INSIDE_POINTS)])] = _INSIDE
    lips = regions == Region.LIPS
    middle = (points[[60, 61, 62, 63, 64]] + points[[60, 67, 66, 65, 64]]) / 2
    order = np.argsort(middle[:, 0])
    line = np.interp(np.arange(side), middle[order, 0], middle[order, 1])
    upper = np.arange(side)[:, None] < line[None]
    classes[lips] = np.where(upper, _UPPER, _LOWER)[lips]
    return classes


def place_planes(points: FloatArray, size: int) -> FloatArray:
    """Each pixel's position on the canonical face, encoded as four planes in [0, 1].

    Cosine and sine of x and of y; a period is slightly wider than a face. Nearby positions have
    similar codes, so the dot product of two codes measures correspondence.

    Args:
        points: float32 (68, 2), landmarks, pixels of the crop.
        size: side S of the crop.

    Returns:
        float32 (4, S, S).
    """
    half = CROP_SIZE // 2
    places = CanonicalPlaces((points + np.float32(0.5)) * np.float32(CROP_SIZE / size) - 0.5)
    across_and_down = places.cells(_WHOLE, CropGrid(0, 0, half, half, cell=2))
    found = []
    for values in across_and_down:
        angle = cv2.resize(values, (size, size)) * np.float32(2 * np.pi / _PERIOD)
        found += [0.5 + 0.5 * np.cos(angle), 0.5 + 0.5 * np.sin(angle)]
    return np.stack(found).astype(np.float32)


def _nose(points: FloatArray) -> NDArray[np.floating]:
    """Outline from the bridge down around the nostrils."""
    across, down = points[35] - points[31], points[33] - points[27]
    right, left = points[31] - _WINGS * across, points[35] + _WINGS * across
    top, rise = points[27], 0.075 * down
    sides = [right - rise, right, points[33] + 0.03 * down, left, left - rise]
    return np.stack([top - _BRIDGE * across, *sides, top + _BRIDGE * across])


def _arc(points: FloatArray, height: float, width: float) -> NDArray[np.floating]:
    """Outline of jaw and half an ellipse above it."""
    jaw = points[:17]
    middle = (jaw[0] + jaw[16]) / 2
    up, half = height * (middle - points[8]), width * (jaw[16] - jaw[0]) / 2
    angles = np.linspace(0, np.pi, 24)[:, None]
    return np.concatenate([jaw, middle + np.cos(angles) * half + np.sin(angles) * up])


def _filled(side: int, outline: NDArray[np.floating]) -> NDArray[np.bool_]:
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    return mask > 0
