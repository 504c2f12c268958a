"""Paint from networks that work in log light: the difference of two passes.

Such a network reads log light relative to the bare skin, and runs twice: with the look, and without
one. The difference is the makeup, as a change of log light. Reconstruction errors are in both
passes and cancel. The face keeps its own pixels: the network provides colour, not texture.
"""

from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE, NoFaceError, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.light import to_log
from makeup_sdk.faces.smoothing import SmoothingOptions
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import CropGrid, FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS, Part
from makeup_sdk.models.base import Painter, Strength
from makeup_sdk.models.factors import (
    GRIDS,
    LARGEST,
    SKIN_LIGHTNESS,
    FactorPaint,
    Factors,
    SmoothedFactors,
    cover_of,
    worn,
)
from makeup_sdk.models.papers.faces import NetworkFace

PIXEL_MIDDLE = 127.5
_BLUR = {Region.LIPS: 1.0, Region.SKIN: 3.0, Region.EYES: 1.0, Region.BROWS: 1.0}
"""Standard deviation of the smoothing of each region's change, in 128ths of the network's crop."""
_BORDER = 16
"""Crop pixels over which paint fades out towards the border of the network's window."""
_ALL: Strength = dict.fromkeys(MAKEUP_REGIONS, 1.0)


@dataclass(frozen=True)
class LightView:
    """A network's view of a face: a window of its crop, in log light relative to its bare skin.

    The network's pixel values are 127.5 (1 + (light + offset) / range), clipped to 0 and 255.

    Attributes:
        offset, range: see the formula.
        left, top, side: the window, crop pixels.
    """

    offset: float
    range: float
    left: int
    top: int
    side: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of the crop that are seen."""
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)

    def face(self, face: FaceAnalysis, light: FloatArray, tone: SkinTone, size: int) -> NetworkFace:
        """A face in the window, on a crop of side `size`.

        Args:
            face: the analysed face.
            light: float32 (256, 256, 3), log light of its crop.
            tone: its bare skin.
            size: side of the network's crop.
        """
        part = self.pixels
        crop = cv2.resize(face.crop[part], (size, size), interpolation=cv2.INTER_AREA)
        skin = cv2.resize(tone.over_crop()[part], (size, size), interpolation=cv2.INTER_AREA)
        above = (to_log(np.asarray(crop, np.uint8)) - skin + self.offset) / self.range
        regions = cv2.resize(face.regions[part], (size, size), interpolation=cv2.INTER_NEAREST)
        places = face.crop_landmarks - np.array([self.left, self.top], np.float32) + 0.5
        return NetworkFace(
            np.asarray(PIXEL_MIDDLE * (1 + np.clip(above, -1, 1)), np.float32),
            (places * (size / self.side) - 0.5).astype(np.float32),
            np.asarray(regions, np.uint8),
        )

    def on_grid(self, change: FloatArray, grid: CropGrid) -> FloatArray:
        """Resample a change in the window, (S, S, 3), to a grid: (3, rows, columns), 0 outside."""
        crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.float32)
        crop[self.pixels] = cv2.resize(change, (self.side, self.side)) * _fade(self.side)
        cells = crop[grid.pixels]
        if grid.cell > 1:
            size = (grid.columns, grid.rows)
            cells = cv2.resize(cells, size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(cells.transpose(2, 0, 1))

    def reference(self, face: FaceAnalysis, size: int) -> NetworkFace:
        """A reference face in the window, replaced by bare skin outside its regions.

        Otherwise cells at the hairline would transfer the hair's colour.

        Raises:
            NoFaceError: too little of its skin is visible.
        """
        light = to_log(face.crop)
        tone = SkinTone.fit(light, face.regions)
        if tone is None:
            raise NoFaceError(
                "reference: too little of its skin is visible to tell the makeup from the light; "
                "use a photo in which nothing covers the face"
            )
        seen = self.face(face, light, tone, size)
        off = cv2.dilate((seen.regions == 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        seen.image[off] = PIXEL_MIDDLE * (1 + self.offset / self.range)
        return seen


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
    """

    def __init__(self, painter: PassPainter, view: LightView, size: int) -> None:
        self._painter, self._view, self._size = painter, view, size

    def paint(self, face: FaceAnalysis, strength: Strength) -> FactorPaint:
        """See `Painter.paint`; a face with too little visible skin stays bare."""
        factors = self.factors(face)
        return worn(factors, {part: cover_of(face, part) for part in factors}, strength)

    def follow(self, options: SmoothingOptions) -> SmoothedFactors:
        """See `Painter.follow`."""
        return SmoothedFactors(self, options)

    def factors(self, face: FaceAnalysis, *, tone: bool = False) -> Factors:
        """See `FactorPainter.factors`; does not change the shade of the whole face."""
        source = self.seen(face)
        return {} if source is None else self.changes(source, *self._painter.both(source, _ALL))

    def seen(self, face: FaceAnalysis) -> NetworkFace | None:
        """The network's view of a face; None if too little skin is visible."""
        light = to_log(face.crop)
        skin = SkinTone.fit(light, face.regions)
        return None if skin is None else self._view.face(face, light, skin, self._size)

    def changes(
        self, source: NetworkFace, made_up: FloatArray, bare: FloatArray
    ) -> dict[Part, FloatArray]:
        """The two passes' difference, smoothed inside each region: factors by region."""
        view, size = self._view, self._size
        found = (made_up - bare).transpose(1, 2, 0) * (view.range / PIXEL_MIDDLE)
        factors: dict[Part, FloatArray] = {}
        for region in MAKEUP_REGIONS:
            here = (source.regions == region).astype(np.float32)
            if not here.any():
                continue
            change = np.clip(_spread(found, here, _BLUR[region] * size / 128), *LARGEST)
            if region is Region.SKIN:
                lightness = change.mean(axis=2, keepdims=True)
                change += SKIN_LIGHTNESS * lightness - lightness
            factors[region] = view.on_grid(change, GRIDS[region])
        return factors


@cache
def _fade(side: int) -> FloatArray:
    """float32 (side, side, 1): 1, falling to 0 towards the window's border."""
    steps = np.arange(side, dtype=np.float32)
    ramp = np.clip((np.minimum(steps, side - 1 - steps) + 0.5) / _BORDER, 0, 1)
    return np.asarray((ramp[:, None] * ramp[None])[..., None], np.float32)


def _spread(change: FloatArray, here: FloatArray, sigma: float) -> FloatArray:
    """The change averaged inside a region and extrapolated beyond its edge."""
    values, weight = change * here[..., None], here
    near = cv2.GaussianBlur(weight, (0, 0), sigma)
    far = cv2.GaussianBlur(weight, (0, 0), 3 * sigma)
    smooth = cv2.GaussianBlur(values, (0, 0), sigma) / np.maximum(near, 1e-3)[..., None]
    wide = cv2.GaussianBlur(values, (0, 0), 3 * sigma) / np.maximum(far, 1e-3)[..., None]
    known = np.clip(4 * near, 0, 1)[..., None]
    return np.asarray(known * smooth + (1 - known) * wide, np.float32)
