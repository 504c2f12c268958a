"""Pseudo-truth: the makeup of one face on another, as a change of log light.

A face's appearance is its log light above its own bare skin (`SkinTone`), smoothed inside each
region and laid out on the template face, the mean of both halves. Wearing it means to change the
own appearance into the other face's, region by region.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, TEMPLATE_LANDMARKS, Region
from makeup_kernels.types import FloatArray

MAP_SIZE = 128
"""Side of the maps: half of the crop's."""

REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)
_BLUR = {Region.LIPS: 0.7, Region.SKIN: 2.5, Region.EYES: 0.7, Region.BROWS: 1.0}
"""Standard deviation in map pixels to which a region's appearance is smoothed."""
_AMOUNT = {Region.LIPS: 1.0, Region.SKIN: 1.0, Region.EYES: 1.0, Region.BROWS: 0.8}
"""How much of the difference is worn."""
_SKIN_LIGHTNESS = 0.2
"""Share of the skin's difference of lightness that is worn; the rest is the light."""
_DARKEST, _BRIGHTEST = -2.4, 1.5
_LIGHTER_LIPS = 0.3
"""Most by which lips get lighter: more looks as if they glowed."""
_AREA = {Region.LIPS: 200.0, Region.SKIN: 4000.0, Region.EYES: 370.0, Region.BROWS: 150.0}
"""Map pixels of a region on the template face, as faces of medium build show them."""
_FILL = (2.0, 8.0, 32.0)
"""Standard deviations in map pixels with which places that a region lacks are filled."""
_SMOOTHING = 1e-3

MIRRORED_POINTS = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)


@dataclass(frozen=True)
class Appearance:
    """What a face lends and how it wears what others lend.

    Attributes:
        worn: float16 (4, 128, 128, 3), by `REGIONS`, on the template face: log light above the
            bare skin, B, G, R, defined everywhere.
        own: float16 (128, 128, 3): the same in the face's own crop, each pixel by its region.
        places: float16 (128, 128, 2): for each pixel of the crop, its place (x, y) on the template
            face, map pixels.
        sure: float32 (4,): share of each region that the face shows, in [0, 1].
    """

    worn: NDArray[np.float16]
    own: NDArray[np.float16]
    places: NDArray[np.float16]
    sure: FloatArray


class FaceWarp:
    """The thin-plate splines between a face's crop and the template face, both ways.

    Args:
        landmarks: float32 (68, 2), crop pixels.
    """

    def __init__(self, landmarks: FloatArray) -> None:
        template = TEMPLATE_LANDMARKS.astype(np.float64)
        own = landmarks.astype(np.float64) / CROP_SIZE
        self.to_template = _spline(own, template)
        self.to_crop = _spline(template, own)


def read_appearance(
    relative: FloatArray, regions: NDArray[np.uint8], landmarks: FloatArray, warp: FaceWarp
) -> Appearance:
    """Appearance of a face.

    Args:
        relative: float32 (256, 256, 3), log light above the bare skin.
        regions: uint8 (256, 256), its region map.
        landmarks: float32 (68, 2), crop pixels.
        warp: of these landmarks.
    """
    size = (MAP_SIZE, MAP_SIZE)
    weight = _side_weights(landmarks)
    worn, sure = [], []
    own = np.zeros((*size, 3), np.float32)
    half = regions[::2, ::2]
    for region in REGIONS:
        mask = (regions == region).astype(np.float32)
        small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        light = cv2.resize(relative * mask[..., None], size, interpolation=cv2.INTER_AREA)
        smooth = _normalised(light, small, _BLUR[region])
        here = half == region
        own[here] = smooth[here]
        lent = smooth * small[..., None]
        on_template = cv2.remap(
            np.dstack([lent, small]), warp.to_crop, None, cv2.INTER_LINEAR, borderValue=0
        )
        both = on_template * weight
        both = both + both[:, ::-1]
        sure.append(float(np.clip(both[..., 3].sum() / _AREA[region], 0, 1)))
        worn.append(_filled(both[..., :3], both[..., 3]))
    return Appearance(
        np.stack(worn).astype(np.float16),
        own.astype(np.float16),
        warp.to_template.astype(np.float16),
        np.array(sure, np.float32),
    )


def wanted_change(
    worn: NDArray[np.float16],
    sure: FloatArray,
    own: NDArray[np.float16],
    places: NDArray[np.float16],
    regions: NDArray[np.uint8],
) -> FloatArray:
    """The change of log light that puts one face's appearance on another.

    Args:
        worn, sure: of the face that lends (`Appearance`).
        own, places: of the face that wears.
        regions: uint8 (128, 128), of the face that wears, every second pixel.

    Returns:
        float32 (128, 128, 3), B, G, R; 0 outside the regions and where the lender shows nothing.
    """
    grid = places.astype(np.float32)
    change = np.zeros(own.shape, np.float32)
    for number, region in enumerate(REGIONS):
        here = regions == region
        if not here.any() or sure[number] < 0.15:
            continue
        laid = cv2.remap(
            worn[number].astype(np.float32), grid, None, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        wanted = laid[here] - own[here].astype(np.float32)
        if region == Region.SKIN:
            light = wanted.mean(axis=1, keepdims=True)
            wanted += _SKIN_LIGHTNESS * np.clip(light, -0.4, 0.3) - light
        if region == Region.LIPS:
            light = wanted.mean(axis=1, keepdims=True)
            wanted += np.minimum(light, _LIGHTER_LIPS) - light
        change[here] = np.clip(wanted, _DARKEST, _BRIGHTEST) * _AMOUNT[region]
    return change


def _side_weights(landmarks: FloatArray) -> FloatArray:
    """float32 (1, 128, 1): how much each column of the template face counts; the near side more."""
    right = float(landmarks[27, 0] - landmarks[0, 0])
    left = float(landmarks[16, 0] - landmarks[27, 0])
    turn = np.clip((right - left) / max(right + left, 1.0), -1, 1)
    side = np.linspace(-1, 1, MAP_SIZE, dtype=np.float32)
    return np.asarray(1 / (1 + np.exp(8 * turn * side)), np.float32)[None, :, None]


def _normalised(light: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    total = cv2.GaussianBlur(light, (0, 0), sigma)
    return np.asarray(
        total / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-4)[..., None], np.float32
    )


def _filled(light: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted values divided by their weights; places of little weight take those around them."""
    found = light / np.maximum(weight, 1e-4)[..., None]
    known = np.clip(weight * 4, 0, 1)
    for sigma in _FILL:
        spread = cv2.GaussianBlur(known, (0, 0), sigma)
        wide = cv2.GaussianBlur(found * known[..., None], (0, 0), sigma)
        wide /= np.maximum(spread, 1e-6)[..., None]
        found = known[..., None] * found + (1 - known[..., None]) * wide
        known = np.maximum(known, np.clip(spread * 4, 0, 1))
    return found


def _spline(points: NDArray[np.float64], targets: NDArray[np.float64]) -> FloatArray:
    """float32 (128, 128, 2): for each map pixel, its place in the other face, map pixels.

    Args:
        points: (68, 2), landmarks in units of the crop, where the map lies.
        targets: (68, 2), the same points in the other face.
    """
    count = len(points)
    affine = np.concatenate([np.ones((count, 1)), points], axis=1)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bending(points, points) + _SMOOTHING * np.eye(count)
    system[:count, count:], system[count:, :count] = affine, affine.T
    solved = np.linalg.solve(system, np.concatenate([targets, np.zeros((3, 2))]))
    coefficients = solved.astype(np.float32)
    steps = (np.arange(MAP_SIZE, dtype=np.float32) + 0.5) / MAP_SIZE
    pixels = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    bent = _bending(pixels, points.astype(np.float32)) @ coefficients[:count]
    places = bent + coefficients[count] + pixels @ coefficients[count + 1 :]
    return np.asarray(places * MAP_SIZE - 0.5, np.float32).reshape(MAP_SIZE, MAP_SIZE, 2)


def _bending(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """U(r) = r² ln r² / 2 of all pairs, (N, 2), (M, 2) to (N, M)."""
    squared = np.square(a[:, :1] - b[:, 0]) + np.square(a[:, 1:] - b[:, 1])
    squared = np.maximum(squared, np.finfo(squared.dtype).tiny)
    return np.asarray(squared * np.log(squared) / 2)
