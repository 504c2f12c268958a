"""Normalise a crop's light by its cheeks; express colour changes as factors on light.

Makeup is reflectance. Each crop is scaled in linear light so that its cheeks have a standard
luminance and move slightly towards a standard hue. Colours are read and changed there in CIELAB.
The brightness and colour of the light cancel out, and a change becomes a factor on linear light:
process(light(x)) = light(process(x)).
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.light import LUMINANCE, decode_srgb, encode_srgb
from makeup_sdk.faces.types import FaceAnalysis

STANDARD_LUMINANCE = 0.2
"""Linear luminance, in [0, 1], of cheeks in standard light."""

_STANDARD_HUE = np.array([0.6, 0.88, 1.54])
"""Linear B, G, R of skin, relative to its luminance."""

_HUE_SHARE = 0.3
"""Fraction of the cheeks' hue that is attributed to the light; the rest is the skin's own."""

_CHEEK_ROWS = slice(100, 190)
"""Rows of the crop, from eyes to mouth, in which skin is measured."""

_MIN_CHEEK_PIXELS = 50

_DARKEST_SKIN = 1e-3
_DARKEST = 4e-3
"""Minimum linear light, to keep factors finite."""

_LAB_STEP = np.array([100 / 255, 1, 1], np.float32)
_LAB_ZERO = np.array([0, 128, 128], np.float32)
"""Zero of OpenCV's 8-bit CIELAB."""

_LINEAR = decode_srgb(np.arange(256) / 255.0)


@dataclass(frozen=True)
class CheekLight:
    """The light on a face, estimated from its cheeks.

    Attributes:
        skin: float64 (3,): linear B, G, R of the cheeks, in [0, 1].
        exposure_share: fraction of the brightness attributed to the light, in [0, 1]: at 1 every
            face gets the standard luminance.
    """

    skin: NDArray[np.float64]
    exposure_share: float = 1.0

    @classmethod
    def measure(
        cls, crop: Image, regions: NDArray[np.uint8], exposure_share: float = 1.0
    ) -> "CheekLight":
        """Measure the cheeks: the median of each channel, interpolated between pixel values.

        Args:
            crop: uint8 (256, 256, 3), BGR.
            regions: uint8 (256, 256), its region map.
            exposure_share: see the class.
        """
        skin = regions == Region.SKIN
        cheeks = np.zeros_like(skin)
        cheeks[_CHEEK_ROWS] = skin[_CHEEK_ROWS]
        if np.count_nonzero(cheeks) < _MIN_CHEEK_PIXELS:
            cheeks = skin if skin.any() else np.ones_like(skin)
        pixels = crop[cheeks]
        medians = np.array([_linear_median(pixels[:, channel]) for channel in range(3)])
        return cls(medians, exposure_share)

    @cached_property
    def gains(self) -> FloatArray:
        """float32 (3,): factors on linear B, G, R that give standard light."""
        luminance = float(self.skin @ LUMINANCE)
        hue = self.skin / luminance
        balance = (_STANDARD_HUE / hue) ** _HUE_SHARE
        balance /= float((hue * balance) @ LUMINANCE)
        exposure = (STANDARD_LUMINANCE / luminance) ** self.exposure_share
        gains: FloatArray = (balance * exposure).astype(np.float32)
        return gains

    @cached_property
    def skin_lab(self) -> FloatArray:
        """float32 (3,): CIELAB of the cheeks in standard light."""
        linear = (self.skin * self.gains).astype(np.float32)[::-1].reshape(1, 1, 3)
        lab: FloatArray = cv2.cvtColor(linear, cv2.COLOR_LRGB2LAB)[0, 0]
        return lab

    def lab(self, crop: Image) -> Image:
        """uint8 (256, 256, 3): 8-bit CIELAB of a BGR crop in standard light; see `relative`."""
        table = 255 * encode_srgb(np.minimum(_LINEAR[:, None] * self.gains, 1))
        lit = cv2.LUT(crop, np.round(table).astype(np.uint8).reshape(1, 256, 3))
        return np.asarray(cv2.cvtColor(lit, cv2.COLOR_BGR2LAB), np.uint8)

    def relative(self, lab: NDArray[Any]) -> FloatArray:
        """float32 (..., 3): CIELAB relative to the cheeks, from 8-bit values or their means."""
        return np.asarray(lab * _LAB_STEP - (_LAB_ZERO + self.skin_lab), np.float32)


def cheek_light(face: FaceAnalysis, exposure_share: float = 1.0) -> CheekLight:
    """A face's light, measured once; `exposure_share`: see `CheekLight`."""
    light = face.once("cheek light", partial(CheekLight.measure, face.crop, face.regions))
    return replace(light, exposure_share=exposure_share) if exposure_share != 1.0 else light


def _linear_median(values: NDArray[np.uint8]) -> float:
    """Median in linear light, interpolated within its pixel value, never quite 0."""
    counts = np.bincount(values, minlength=256)
    total = np.cumsum(counts)
    half = total[-1] / 2
    value = int(np.searchsorted(total, half))
    place = value - 0.5 + (half - (total[value] - counts[value])) / max(int(counts[value]), 1)
    return max(float(np.interp(place, np.arange(256), _LINEAR)), _DARKEST_SKIN)


def log_factors(lab: FloatArray, change: FloatArray) -> FloatArray:
    """Convert a change of CIELAB to log factors on linear light.

    Args:
        lab: float32 (H, W, 3), colours before, in standard light.
        change: float32 (H, W, 3), added to them.

    Returns:
        float32 (H, W, 3): log of the factor on linear B, G, R.
    """
    factors: FloatArray = np.log(_linear(lab + change) / _linear(lab))
    return factors


def _linear(lab: FloatArray) -> FloatArray:
    """float32 (H, W, 3): linear B, G, R, at least `_DARKEST`."""
    lit = lab.copy()
    np.maximum(lit[..., 0], 2.0, out=lit[..., 0])
    rgb = cv2.cvtColor(lit, cv2.COLOR_LAB2LRGB)
    linear: FloatArray = np.maximum(rgb[..., ::-1], np.float32(_DARKEST))
    return linear
