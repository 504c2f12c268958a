"""Log-linear light: the domain in which a change of light is a sum.

In the logarithm of linear RGB, a change of light, a colour cast or a pigment is an added constant.
The difference between a reference's lips and its skin therefore does not depend on the reference's
light; added to another face's skin, it takes on that face's light.
"""

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray, Image

_FLOOR = 0.012
"""Added to linear light in [0, 1] before the logarithm, to keep black finite."""

LUMINANCE = np.array([0.0722, 0.7152, 0.2126], np.float32)
"""Rec. 709 luminance weights, in BGR order."""

_TABLE_SIZE = 8192


def decode_srgb(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB transfer function, encoded to linear, both in [0, 1] (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encode_srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `decode_srgb`."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


_TO_LOG = np.log(decode_srgb(np.arange(256) / 255.0) + _FLOOR).astype(np.float32)
_LOWEST, _HIGHEST = float(_TO_LOG[0]), float(_TO_LOG[-1])
_STEPS_PER_UNIT = (_TABLE_SIZE - 1) / (_HIGHEST - _LOWEST)
_FROM_LOG = np.round(
    255 * encode_srgb(np.maximum(np.exp(np.linspace(_LOWEST, _HIGHEST, _TABLE_SIZE)) - _FLOOR, 0))
).astype(np.uint8)


def to_log(image: Image) -> FloatArray:
    """uint8 sRGB (any shape) to float32 log-linear light."""
    light: FloatArray = _TO_LOG[image]
    return light


def from_log(light: FloatArray) -> Image:
    """float32 log-linear light to uint8 sRGB, clipped to the range of a pixel."""
    scaled = light * np.float32(_STEPS_PER_UNIT) + np.float32(0.5 - _LOWEST * _STEPS_PER_UNIT)
    image: Image = _FROM_LOG[np.clip(scaled, 0, _TABLE_SIZE - 1).astype(np.int16)]
    return image


def luminance(light: FloatArray) -> FloatArray:
    """float32 (..., 3) log light to (...): log luminance, as the weighted mean of logs."""
    weighted: FloatArray = light @ LUMINANCE
    return weighted
