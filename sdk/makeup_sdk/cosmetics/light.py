"""The light on a face, and the reflectance of skin and paint.

A pixel is separated into light × shading × reflectance. Everything is computed from ratios within
the picture, so that paint adapts to any brightness and colour of the light.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.colors import Color, parse_color
from makeup_sdk.cosmetics.maps import Points, smoothstep
from makeup_sdk.faces.light import LUMINANCE, decode_srgb

REFLECTANCE_ERROR = 0.23
"""Standard deviation of the logarithm of `SkinLight.reflectance`, measured on held-out portraits
with known exposure, from the darkest to the lightest skin."""

_WHITE_SHARE = 97
"""Percentile of an open eye's luminance that represents its white."""
_FROM_EYES, _FROM_LIPS, _AT_ONE = 0.53, 1.10, -1.51
"""Coefficients and offset of the log reflectance: of the log ratio of skin to the white of the eye,
and of the log redness of the lips relative to the skin. Fitted on 987 training portraits: the ratio
of the first two by regression on the skin's luminance, assuming that a portrait's light does not
depend on the person; the scale such that 98 % of the portraits lie between 0.07 and 0.43 (lightness
32 to 72), the range of human skin."""
_MEAN_EYES, _MEAN_LIPS = -0.41, 0.29
"""Means of the two log ratios over those portraits, for closed eyes or covered lips."""
_SKIN_RANGE = (0.045, 0.48)
"""Luminance reflectance of the darkest and the lightest skin."""
_MIDDLE, _ADAPTATION = 0.26, 0.85
"""On very dark or light skin, paint is moved slightly towards the skin; otherwise it glows."""
_CAST = 0.8
"""Fraction of a skin's colour deviation, from typical skin of its lightness, that is attributed to
the light; the rest is its own."""
_CHROMATICITY = {0.05: (0.193, 0.277, 0.530), 0.40: (0.253, 0.302, 0.445)}
"""Fractions of linear blue, green and red in skin under white light, by its reflectance."""
_CHEEKS = [1, 2, 3, 48, 31, 28, 35, 54, 13, 14, 15, 46, 42, 28, 39, 41]

_TO_LINEAR = decode_srgb(np.arange(256) / 255.0).astype(np.float32)


def to_linear(image: Image) -> FloatArray:
    """uint8 sRGB, any shape, to float32 linear light in [0, 1] of the same shape and order."""
    if image.size == 0:  # OpenCV would return None
        return np.zeros(image.shape, np.float32)
    linear: FloatArray = cv2.LUT(image, _TO_LINEAR)
    return linear


def linear_color(color: Color) -> FloatArray:
    """A colour to float32 (3,): linear blue, green, red in [0, 1]."""
    return _TO_LINEAR[parse_color(color)]


def luminance(linear: FloatArray) -> FloatArray:
    """float32 (..., 3) linear BGR to float32 (...)."""
    if linear.ndim == 3:
        y: FloatArray = cv2.transform(linear, LUMINANCE[None])
        return y
    return np.asarray(linear @ LUMINANCE, np.float32)


def skin_color(reflectance: float) -> FloatArray:
    """float32 (3,): blue, green and red reflectance of skin with a luminance reflectance."""
    (dark, at_dark), (light, at_light) = _CHROMATICITY.items()
    place = np.clip(np.log(reflectance / dark) / np.log(light / dark), -0.2, 1.2)
    shares = (1 - place) * np.array(at_dark) + place * np.array(at_light)
    color: FloatArray = (shares * reflectance / (shares @ LUMINANCE)).astype(np.float32)
    return color


@dataclass(frozen=True)
class SkinLight:
    """The light on a face.

    Attributes:
        color: float32 (3,), linear BGR of a white matte surface at the cheek.
        skin: float32 (3,), linear BGR of the cheeks.
        reflectance: luminance reflectance of the skin in [0.045, 0.48].
        side: in [-1, 1], positive if the light comes from the picture's right.
    """

    color: FloatArray
    skin: FloatArray
    reflectance: float
    side: float

    @property
    def luminance(self) -> float:
        """Linear luminance of the cheeks."""
        return float(self.skin @ LUMINANCE)

    @classmethod
    def measure(cls, crop: Image, points: Points, regions: Image) -> "SkinLight":
        """Measure the light on the cheeks, and estimate reflectance from eyes and lips.

        The whites of the eyes, which hardly differ between people, and the lips, which are redder
        relative to lighter skin, tell dark skin from dim light. On 102 held-out portraits with
        known exposure, the log reflectance correlates with the truth by 0.92.

        Args:
            crop: uint8 (256, 256, 3), sRGB, BGR.
            points: float64 (68, 2), landmarks, crop pixels.
            regions: uint8 (256, 256), the region map.
        """
        window = _window(points[_CHEEKS], 0, 2)
        cheeks = _filled([points[_CHEEKS]], regions.shape)[window] > 0
        y, x = np.nonzero(cheeks & (regions[window] == Region.SKIN))
        if len(y) >= 16:
            pixels = to_linear(crop[window][y, x])
        else:
            pixels = to_linear(crop[window][cheeks] if cheeks.any() else crop.reshape(-1, 3))
        tone = luminance(pixels)
        low, high = np.percentile(tone, (35, 80))
        skin = np.maximum(pixels[(tone >= low) & (tone <= high)].mean(axis=0), 1e-4)
        skin = skin.astype(np.float32)
        side = 0.0
        if len(y) >= 16:
            places = np.stack([2 * x + window[1].start, 2 * y + window[0].start], axis=1)
            side = _side(tone, places, points)
        return cls.of(skin, _reflectance(skin, crop, points, regions), side)

    @classmethod
    def of(cls, skin: FloatArray, reflectance: float, side: float) -> "SkinLight":
        """The light under which skin of this reflectance has the colour `skin`."""
        adapted = _MIDDLE * (reflectance / _MIDDLE) ** _ADAPTATION
        white = skin / skin_color(adapted)
        gray = np.float32(white @ LUMINANCE)
        color = gray * (white / gray) ** np.float32(_CAST)
        return cls(color.astype(np.float32), skin, reflectance, side)


def _reflectance(skin: FloatArray, crop: Image, points: Points, regions: Image) -> float:
    """Luminance reflectance of skin with the colour `skin`, from eyes and lips."""
    window = _window(points[36:48], 1)
    eyes = _filled([points[36:42], points[42:48]], regions.shape)[window] > 0
    white, ratio = crop[window][eyes & (regions[window] == Region.NONE)], _MEAN_EYES
    if len(white) > 60:
        tone = luminance(to_linear(white))
        seen = float(skin @ LUMINANCE) / max(float(np.percentile(tone, _WHITE_SHARE)), 1e-5)
        open_wide = smoothstep(60, 180, np.float32(len(white)))
        trust = float(open_wide * smoothstep(1.7, 1.2, np.float32(seen)))
        ratio = trust * float(np.log(seen)) + (1 - trust) * _MEAN_EYES
    window = _window(points[48:68], 24)
    lips, redness = crop[window][regions[window] == Region.LIPS], _MEAN_LIPS
    if len(lips) > 60:
        middle = np.maximum(np.median(to_linear(lips), axis=0), 1e-5)
        redness = float(np.log(middle[2] / middle[1]) - np.log(skin[2] / skin[1]))
        redness = float(np.clip(redness, -0.15, 0.5))
    found = np.exp(_AT_ONE + _FROM_EYES * ratio + _FROM_LIPS * redness)
    return float(np.clip(found, *_SKIN_RANGE))


def _side(tone: FloatArray, places: NDArray[np.integer], points: Points) -> float:
    """How much brighter the picture's right cheek is: difference of the medians over their sum."""
    down = points[8] - points[27]
    right = (places - points[27]) @ (down[1], -down[0]) > 0
    if right.all() or not right.any():
        return 0.0
    bright, other = float(np.median(tone[right])), float(np.median(tone[~right]))
    return (bright - other) / max(bright + other, 1e-6)


def _window(points: Points, margin: int, step: int = 1) -> tuple[slice, slice]:
    """Rows and columns of the crop around points, every `step`th."""
    x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int) - margin, 0, CROP_SIZE - 1)
    x1, y1 = np.clip(np.ceil(points.max(axis=0)).astype(int) + margin, 0, CROP_SIZE - 1)
    return slice(y0, y1 + 1, step), slice(x0, x1 + 1, step)


def _filled(outlines: Sequence[Points], shape: tuple[int, ...]) -> Image:
    mask = np.zeros(shape, np.uint8)
    for outline in outlines:
        corners = np.round(np.clip(outline, -999, 999) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1, shift=4)
    return mask


def kubelka_munk(ground: FloatArray, color: FloatArray, opacity: FloatArray) -> FloatArray:
    """Reflectance of a layer of paint over a ground (Kubelka & Munk, 1931).

    With a = (1/R∞ + R∞)/2 and b = (1/R∞ − R∞)/2 a layer reflects
    (1 − R_g (a − b coth τ)) / (a − R_g + b coth τ), τ the optical thickness b·S·x. Opacity is
    tanh τ: 0 leaves the ground, 1 shows R∞.

    Args:
        ground: float32, reflectance R_g in [0, 1).
        color: float32, reflectance R∞ of a thick layer in (0, 1).
        opacity: float32 in [0, 1].

    Returns:
        float32, the shape that the three broadcast to.
    """
    color = np.minimum(np.maximum(color, 0.012), 0.95)
    a, b = 0.5 * (1.0 / color + color), 0.5 * (1.0 / color - color)
    above = opacity * (1.0 - a * ground) + b * ground
    above /= opacity * (a - ground) + b
    layer: FloatArray = above
    return layer
