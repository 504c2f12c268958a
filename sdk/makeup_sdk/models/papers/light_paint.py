"""Paint from networks that work in relative colours: the difference of two passes.

Such a network reads colours relative to the bare skin (`views`), and runs twice: with the look,
and without one. The difference is the makeup, a change of light. Reconstruction errors are in both
passes and cancel. The face keeps its own pixels: the network provides colour, not texture.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from makeup_kernels import Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.smoothing import SmoothingOptions
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS, Part
from makeup_sdk.models.base import Painter, Strength
from makeup_sdk.models.factors import (
    GRIDS,
    LARGEST,
    NEAR_LIPS,
    FactorPaint,
    Factors,
    SmoothedFactors,
    at_strength,
    cover_of,
)
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.papers.views import View

_BLUR = {Region.LIPS: 1.0, Region.SKIN: 3.0, Region.EYES: 1.0, Region.BROWS: 1.0}
"""Standard deviation of the smoothing of each region's change, in 128ths of the network's crop."""
_REACH = 12.0
"""Standard deviations beyond which `_spread` gives 0: its wide filter has three of them."""
_ALL: Strength = dict.fromkeys(MAKEUP_REGIONS, 1.0)


@runtime_checkable
class PassPainter(Protocol):
    """A painter whose network can run with its look and without one."""

    def both(self, source: NetworkFace, strength: Strength) -> tuple[FloatArray, FloatArray]:
        """Its images with the look and without one, float32 (3, S, S), BGR, pixel values."""
        ...


class LightPainter(Painter):
    """A painter whose paint is the difference of two passes.

    Args:
        painter: runs the passes.
        view: its network's view.
        size: side S of the network's crop.
        gains: times the network's change, by region, where it makes more or less than it should.
    """

    def __init__(
        self,
        painter: PassPainter,
        view: View,
        size: int,
        gains: Mapping[Region, float] | None = None,
    ) -> None:
        self._painter, self._view, self._size = painter, view, size
        self._gains = gains or {}

    def paint(self, face: FaceAnalysis, strength: Strength) -> FactorPaint:
        """See `Painter.paint`; a face with too little visible skin stays bare."""
        factors = self.factors(face)
        return at_strength(factors, {part: cover_of(face, part) for part in factors}, strength)

    def follow(self, options: SmoothingOptions) -> SmoothedFactors:
        """See `Painter.follow`."""
        return SmoothedFactors(self, options)

    def factors(self, face: FaceAnalysis, *, tone: bool = False) -> Factors:
        """See `FactorPainter.factors`; does not change the shade of the whole face."""
        source = self.seen(face)
        if source is None:
            return {}
        return self.changes(face, source, *self._painter.both(source, _ALL))

    def seen(self, face: FaceAnalysis) -> NetworkFace | None:
        """The network's view of a face; None if too little skin is visible."""
        return self._view.frame(face, self._size)

    def changes(
        self, face: FaceAnalysis, source: NetworkFace, made_up: FloatArray, bare: FloatArray
    ) -> dict[Part, FloatArray]:
        """The two passes' difference, smoothed inside each region: factors by region."""
        view, size = self._view, self._size
        both = np.dstack([*(made_up - bare), np.asarray(source.image, np.float32)])
        factors: dict[Part, FloatArray] = {}
        for region in MAKEUP_REGIONS:
            here = (source.regions == region).astype(np.float32)
            if region is Region.SKIN:
                here *= _far_from_lips(source.regions)
            if not here.any():
                continue
            sigma = _BLUR[region] * size / 128
            box = _around(here, _REACH * sigma)
            smooth = _spread(both[box], here[box], sigma)
            change = smooth[..., :3] * np.float32(self._gains.get(region, 1.0))
            logs = np.zeros((size, size, 3), np.float32)
            logs[box] = np.clip(view.factors(face, smooth[..., 3:], change, region), *LARGEST)
            factors[region] = view.on_grid(logs, GRIDS[region])
        return factors


def _far_from_lips(regions: Image) -> FloatArray:
    """float32 (S, S): 0 on the lips and within `NEAR_LIPS` of them, else 1."""
    side = 2 * round(NEAR_LIPS * len(regions)) + 1
    lips = (regions == Region.LIPS).astype(np.uint8)
    near = cv2.dilate(lips, np.ones((side, side), np.uint8))
    return np.asarray(1 - near, np.float32)


def _around(here: FloatArray, margin: float) -> tuple[slice, slice]:
    """Rows and columns that hold a region and a margin around it."""
    left, top, width, height = cv2.boundingRect((here > 0).astype(np.uint8))
    more = int(margin) + 1
    rows = slice(max(top - more, 0), top + height + more)
    return rows, slice(max(left - more, 0), left + width + more)


def _spread(change: FloatArray, here: FloatArray, sigma: float) -> FloatArray:
    """A change (H, W, C), averaged inside a region and extrapolated beyond its edge."""
    values, weight = change * here[..., None], here
    near = cv2.GaussianBlur(weight, (0, 0), sigma)
    far = cv2.GaussianBlur(weight, (0, 0), 3 * sigma)
    smooth = cv2.GaussianBlur(values, (0, 0), sigma) / np.maximum(near, 1e-3)[..., None]
    wide = cv2.GaussianBlur(values, (0, 0), 3 * sigma) / np.maximum(far, 1e-3)[..., None]
    known = np.clip(4 * near, 0, 1)[..., None]
    return np.asarray(known * smooth + (1 - known) * wide, np.float32)
