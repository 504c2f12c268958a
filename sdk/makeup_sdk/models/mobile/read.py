"""Read the regions of a face into maps on the canonical face."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.canonical import Window, places_on_face
from makeup_sdk.faces.skin_light import CheekLight
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.appearance import WINDOWS

_SIGMA = {Region.LIPS: 0.6, Region.SKIN: 0.7, Region.EYES: 0.8, Region.BROWS: 0.8}
"""Standard deviation of the blur of each region's colours, in cells of its window."""

_FAR = 4.0
"""Factor on the blur where a region is not visible."""

_MIRROR_SHARE = {Region.LIPS: 0.3, Region.SKIN: 0.6, Region.EYES: 0.6, Region.BROWS: 0.6}
"""Fraction of the difference between the face's two halves that is attributed to the light."""

_SHADOW = 25.0
"""Difference in L* at which the half that differs more from the skin gets 1/e of the weight: it is
in shadow."""

_COARSE = 4
"""Crop pixels per cell when sampling skin, whose window is coarser than the crop."""


@dataclass(frozen=True)
class RegionColors:
    """One region of a face on its canonical window.

    Attributes:
        lab: float32 (rows, columns, 3): CIELAB in standard light, relative to the cheeks, blurred
            within the region and extrapolated beyond it.
        share: float32 (rows, columns) in [0, 1]: fraction of a cell inside the region.
        weight: float32 (rows, columns) in [0, 1]: the same, reduced where the face turns away.
    """

    lab: FloatArray
    share: FloatArray
    weight: FloatArray


def read_regions(face: FaceAnalysis, light: CheekLight) -> Mapping[Region, RegionColors]:
    """The colours of a face's visible regions, on their canonical windows."""
    lab = light.lab(face.crop)
    landmarks = face.crop_landmarks
    places = {window: places_on_face(window, landmarks) for window in set(WINDOWS.values())}
    colors = {
        window: light.relative(_sample(lab, at))
        for window, at in places.items()
        if window != WINDOWS[Region.SKIN]
    }
    found = {}
    for region, window in WINDOWS.items():
        mask = np.asarray(cv2.compare(face.regions, int(region), cv2.CMP_EQ), np.uint8)
        if not mask.any():
            continue
        if region == Region.SKIN:
            means, share = _sample_coarsely(lab, mask, places[window])
            values = light.relative(means)
        else:
            values = colors[window]
            share = _sample(mask, places[window], cv2.BORDER_CONSTANT) * np.float32(1 / 255)
        facing = np.clip(1.3 * _area(places[window], window), 0.25, 1)
        sigma = _SIGMA[region]
        found[region] = RegionColors(
            _spread(values, share, sigma), share, _widened(share * facing, sigma)
        )
    return found


def seen_share(colors: RegionColors, region: Region) -> FloatArray:
    """float32 (rows, columns) in [0, 1]: where a map is valid, from either half of the face."""
    both = np.maximum(colors.share, mirrored(colors.share))
    near = cv2.GaussianBlur(both, (0, 0), _FAR * _SIGMA[region])
    return np.asarray(np.clip(20 * near, 0, 1), np.float32)


def without_side_light(colors: RegionColors, region: Region, *, shadows: bool) -> FloatArray:
    """Colours without most of the difference between the face's two halves.

    A hidden half takes the colours of the other.

    Args:
        colors: colours of a region.
        region: the region.
        shadows: whether the half that differs more from the skin in lightness gets less weight.

    Returns:
        float32 (rows, columns, 3).
    """
    own, other = colors.lab, mirrored(colors.lab)
    weight, other_weight = colors.weight[..., None], mirrored(colors.weight)[..., None]
    total = weight + other_weight + 1e-3
    mean = (own * weight + other * other_weight) / total
    if shadows:
        lit = weight * np.exp(-np.abs(own[..., :1]) / _SHADOW)
        other_lit = other_weight * np.exp(-np.abs(other[..., :1]) / _SHADOW)
        lightness = own[..., :1] * lit + other[..., :1] * other_lit
        mean[..., :1] = lightness / (lit + other_lit + 1e-4)
    seen = np.where(weight > 0.1, own, mean)
    even: FloatArray = mean + (1 - _MIRROR_SHARE[region]) * (seen - mean)
    return even


def mirrored(values: FloatArray) -> FloatArray:
    """A map of a canonical window, mirrored."""
    return np.ascontiguousarray(values[:, ::-1])


def _sample(
    values: NDArray[Any], places: FloatArray, border: int = cv2.BORDER_REPLICATE
) -> NDArray[Any]:
    x, y = cv2.split(places)
    return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=border))


def _sample_coarsely(lab: Image, mask: Image, places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean colours within a mask, and the mask's coverage, over coarse cells of the crop."""
    size = (lab.shape[1] // _COARSE, lab.shape[0] // _COARSE)
    share = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    inside = cv2.bitwise_and(lab, lab, mask=mask)
    sums = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    cells = (places - np.float32((_COARSE - 1) / 2)) * np.float32(1 / _COARSE)
    shares = _sample(share, cells, cv2.BORDER_CONSTANT)
    means = _sample(sums, cells, cv2.BORDER_CONSTANT) / np.maximum(shares, 1e-6)[..., None]
    return np.asarray(means, np.float32), shares


def _area(places: FloatArray, window: Window) -> FloatArray:
    """float32 (rows, columns): crop area of each canonical pixel, small if turned away."""
    right = places[:-1, 1:] - places[:-1, :-1]
    down = places[1:, :-1] - places[:-1, :-1]
    area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]) / window.cell**2
    return np.asarray(np.pad(area, ((0, 1), (0, 1)), mode="edge"), np.float32)


def _spread(values: FloatArray, share: FloatArray, sigma: float) -> FloatArray:
    """Gaussian mean within a region; outside, the mean of its nearest parts."""
    near, far = _mean_within(values, share, sigma), _mean_within(values, share, _FAR * sigma)
    sure = _widened(share, sigma)[..., None]
    spread: FloatArray = far + sure * (near - far)
    return spread


def _widened(share: FloatArray, sigma: float) -> FloatArray:
    return np.asarray(np.clip(2 * cv2.GaussianBlur(share, (0, 0), sigma), 0, 1), np.float32)


def _mean_within(values: FloatArray, share: FloatArray, sigma: float) -> FloatArray:
    weight = cv2.GaussianBlur(share, (0, 0), sigma)
    total = cv2.GaussianBlur(values * share[..., None], (0, 0), sigma)
    mean: FloatArray = total / np.maximum(weight, 1e-3)[..., None]
    return mean
