"""`mobile` as a `Model`: the appearance of a real photo, in the face's own light."""

import numpy as np

from makeup_kernels import InvalidInputError, NoFaceError, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.skin_light import cheek_light
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.appearance import EXPOSURE_SHARE, Appearance, RegionAppearance
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.base import Painter
from makeup_sdk.models.mobile.paint import MobilePainter
from makeup_sdk.models.mobile.read import read_regions, seen_share, without_side_light

_HIGHLIGHT = 6.0
"""Soft limit of L* above the median of the lips: anything brighter is gloss."""

_MIN_HUES = 0.012
"""Mean deviation, over the face, of the log ratios of its channels; below this a photo is black and
white, or toned."""


class MobileModel:
    """The default model: uses no network besides the face analysis. See `Model`.

    It reads a reference's regions into colour maps relative to the reference's cheeks, and brings a
    face's regions to these colours, relative to the face's own cheeks.
    """

    name = "mobile"
    kind = Appearance.kind
    wears = frozenset({kind})
    regions = frozenset(MAKEUP_REGIONS)

    def encode(self, face: FaceAnalysis) -> Appearance:
        """Read the makeup of a reference face.

        Raises:
            InvalidInputError: the photo has no colour.
            NoFaceError: the cheeks, or all parts with makeup, are covered.
        """
        light = cheek_light(face, EXPOSURE_SHARE)
        found = read_regions(face, light)
        if Region.SKIN not in found or len(found) == 1:
            raise NoFaceError(
                "the reference shows too little of the face; expected uncovered cheeks, and lips "
                "or eyes; use a photo in which hair, hands or a mask do not cover them"
            )
        _check_color(face)
        maps = {}
        for region, colors in found.items():
            lab = without_side_light(colors, region, shadows=region != Region.LIPS)
            if region == Region.LIPS:
                lab[..., 0] = _without_highlights(lab[..., 0], colors.share)
            maps[region] = RegionAppearance(lab.astype(np.float32), seen_share(colors, region))
        return Appearance(maps, light.skin_lab)

    def painter(self, makeup: Appearance) -> Painter:
        """Prepare a makeup for painting."""
        return MobilePainter(makeup)


def _without_highlights(lightness: FloatArray, share: FloatArray) -> FloatArray:
    middle = np.median(lightness[share > 0.5]) if (share > 0.5).any() else np.float32(0)
    above = lightness - middle
    limited: FloatArray = middle + np.where(
        above > 0, _HIGHLIGHT * np.tanh(above / np.float32(_HIGHLIGHT)), above
    )
    return limited


def _check_color(face: FaceAnalysis) -> None:
    pixels = face.crop[face.regions > 0].astype(np.float32) + 8
    hues = np.log(pixels[:, ::2] / pixels[:, 1:2])
    if float(np.abs(hues - np.median(hues, axis=0)).mean()) < _MIN_HUES:
        raise InvalidInputError(
            "the reference photo has no colour; use a colour photo, since makeup is read from it"
        )
