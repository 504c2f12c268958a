"""Paint a reference's appearance on a face as factors on light, region by region."""

from collections.abc import Mapping
from functools import partial

import cv2
import numpy as np

from makeup_kernels import Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.canonical import CanonicalPlaces
from makeup_sdk.faces.skin_light import CheekLight, cheek_light, log_factors
from makeup_sdk.faces.smoothing import SmoothingOptions
from makeup_sdk.faces.types import CropGrid, FaceAnalysis
from makeup_sdk.makeup.appearance import EXPOSURE_SHARE, WINDOWS, Appearance
from makeup_sdk.makeup.base import TONE, Part
from makeup_sdk.models.base import Painter, Strength
from makeup_sdk.models.factors import (
    GRIDS,
    LARGEST,
    SKIN_LIGHTNESS,
    FactorPaint,
    Factors,
    SmoothedFactors,
    at_strength,
    cover_of,
)
from makeup_sdk.models.mobile.read import RegionColors, read_regions, without_side_light

_AMOUNT = {
    Region.LIPS: np.array([1.1, 1.25, 1.25], np.float32),
    Region.SKIN: np.array([SKIN_LIGHTNESS, 1.2, 1.2], np.float32),
    Region.EYES: np.array([1.35, 1.25, 1.25], np.float32),
    Region.BROWS: np.array([0.7, 0.8, 0.8], np.float32),
}
"""Gains on changes of L*, a*, b*. They compensate for blur and soft outlines; the lightness of skin
is mostly light."""

_COOLEST = 0.0
"""Minimum a* and b* of a result, unless the reference's own are lower: a brown on bronze skin must
not become blue on pale skin."""

_BRIGHTER = {Region.LIPS: 6.0, Region.SKIN: 5.0, Region.EYES: 6.0, Region.BROWS: 4.0}
_DARKER = {Region.LIPS: 40.0, Region.SKIN: 6.0, Region.EYES: 40.0, Region.BROWS: 30.0}
"""Soft limits of changes of L*: more is light or shadow."""

_SKIN_CHROMA, _SKIN_COOLER = 18.0, 0.35
"""For skin: soft limit of changes of a* and b*, and weight of cooler colours: blush and bronzer are
warm."""

_TONE_LIMIT = np.array([10.0, 6.0, 8.0], np.float32)
"""Soft limits of the change of the skin's shade in L*, a*, b*: a foundation is close to the skin's
own shade."""


class MobilePainter(Painter):
    """A reference's appearance, prepared for painting. Immutable; may be shared by threads.

    Args:
        makeup: the look's makeup.
    """

    def __init__(self, makeup: Appearance) -> None:
        self._makeup = makeup

    def paint(self, face: FaceAnalysis, strength: Strength) -> FactorPaint:
        """See `Painter.paint`."""
        factors = self.factors(face, tone=TONE in strength)
        return at_strength(factors, {part: cover_of(face, part) for part in factors}, strength)

    def follow(self, options: SmoothingOptions) -> SmoothedFactors:
        """See `Painter.follow`."""
        return SmoothedFactors(self, options)

    def factors(self, face: FaceAnalysis, *, tone: bool = False) -> Factors:
        """The full change of a face; values outside the parts are meaningless.

        Args:
            face: the analysed face.
            tone: whether to include the shade of the skin.
        """
        light, own, even = face.once("own colours", partial(_own_colors, face))
        places = face.once("places", partial(CanonicalPlaces, face.crop_landmarks))
        cells: dict[CropGrid, tuple[FloatArray, FloatArray]] = {}
        found: dict[Part, FloatArray] = {TONE: self._tone(face)} if tone else {}
        for region, part in self._makeup.maps.items():
            if region not in own:
                continue
            wanted = part.lab
            if region != Region.SKIN:
                wanted = self._not_cooler(wanted, light)
            change = _limited((wanted - even[region]) * _AMOUNT[region], region)
            factors = np.clip(log_factors(own[region].lab + light.skin_lab, change), *LARGEST)
            factors *= part.seen[..., None]
            grid = GRIDS[region]
            if grid not in cells:  # eyes and brows share a grid
                where = partial(places.cells, WINDOWS[region], grid)
                cells[grid] = face.once(("cells", grid), where)
            x, y = cells[grid]
            laid = cv2.remap(factors, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            found[region] = np.stack(cv2.split(laid)).astype(np.float32, copy=False)
        return found

    def _tone(self, face: FaceAnalysis) -> FloatArray:
        """Factors that give the cheeks the shade of the reference's cheeks."""
        light = cheek_light(face, EXPOSURE_SHARE)
        change = self._makeup.skin - light.skin_lab
        change = _TONE_LIMIT * np.tanh(change / _TONE_LIMIT)
        factors = log_factors(light.skin_lab.reshape(1, 1, 3), change.reshape(1, 1, 3))
        grid = GRIDS[TONE]
        return np.broadcast_to(factors.reshape(3, 1, 1), (3, grid.rows, grid.columns))

    def _not_cooler(self, lab: FloatArray, light: CheekLight) -> FloatArray:
        """Colours on a face, with a* and b* limited by `_COOLEST`."""
        limit = np.minimum(lab[..., 1:] + self._makeup.skin[1:], np.float32(_COOLEST))
        warm: FloatArray = lab.copy()
        np.maximum(warm[..., 1:], limit - light.skin_lab[1:], out=warm[..., 1:])
        return warm


def _own_colors(
    face: FaceAnalysis,
) -> tuple[CheekLight, Mapping[Region, RegionColors], Mapping[Region, FloatArray]]:
    """A face's light, its regions' colours, and these colours without side light."""
    light = cheek_light(face)
    own = read_regions(face, light)
    even = {region: without_side_light(own[region], region, shadows=False) for region in own}
    return light, own, even


def _limited(change: FloatArray, region: Region) -> FloatArray:
    """Limit a change, because larger changes are light, not makeup."""
    lightness = change[..., 0]
    brighter, darker = np.float32(_BRIGHTER[region]), np.float32(_DARKER[region])
    limit = np.where(lightness > 0, brighter, darker)
    change[..., 0] = limit * np.tanh(lightness / limit)
    if region == Region.SKIN:
        chroma = change[..., 1:]
        chroma *= np.where(chroma < 0, np.float32(_SKIN_COOLER), np.float32(1))
        change[..., 1:] = _SKIN_CHROMA * np.tanh(chroma / np.float32(_SKIN_CHROMA))
    return change
