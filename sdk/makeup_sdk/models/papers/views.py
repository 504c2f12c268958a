"""What small networks see of a face: a window of its crop, with its own light taken out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from makeup_kernels import NoFaceError, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.light import to_log
from makeup_sdk.faces.skin_light import CheekLight, cheek_light, log_factors
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import CropGrid, FaceAnalysis
from makeup_sdk.makeup.appearance import EXPOSURE_SHARE
from makeup_sdk.models.factors import SKIN_LIGHTNESS
from makeup_sdk.models.papers.faces import NetworkFace

PIXEL_MIDDLE = 127.5
_BORDER = 16
"""Crop pixels over which paint fades out towards the border of the network's window."""

_MIN_SKIN = 640
"""Crop pixels of skin below which makeup cannot be told from the light."""


class View(ABC):
    """A window of the crop, and the colours in which a network sees it.

    Attributes:
        left, top, side: the window, crop pixels.
    """

    left: int
    top: int
    side: int

    @abstractmethod
    def frame(self, face: FaceAnalysis, size: int) -> NetworkFace | None:
        """A face that is to be painted, on a crop of side `size`.

        None where too little skin shows to tell makeup from light.
        """

    @abstractmethod
    def reference(self, face: FaceAnalysis, size: int) -> NetworkFace:
        """A face that lends, bare skin where it shows no region.

        A cell at the hairline would lend the hair's colour else.

        Raises:
            NoFaceError: too little of its skin is visible.
        """

    @abstractmethod
    def factors(
        self, face: FaceAnalysis, own: FloatArray, change: FloatArray, region: Region
    ) -> FloatArray:
        """A change of the network's image as log factors of linear B, G, R.

        Args:
            face: the face.
            own: float32 (S, S, 3), the network's view of it, smoothed in the region.
            change: float32 (S, S, 3), in the same units, smoothed likewise.
            region: that wears it; of skin's lightness `SKIN_LIGHTNESS` is taken.
        """

    def on_grid(self, change: FloatArray, grid: CropGrid) -> FloatArray:
        """A change in the window, (S, S, 3), on a grid: (3, rows, columns), 0 beyond the window."""
        wide = cv2.resize(change, (self.side, self.side))
        there, here = zip(*map(_common, grid.pixels, self.pixels), strict=True)
        cells = np.zeros((grid.rows * grid.cell, grid.columns * grid.cell, 3), np.float32)
        cells[there] = wide[here] * _fade(self.side)[here]
        if grid.cell > 1:
            size = (grid.columns, grid.rows)
            cells = cv2.resize(cells, size, interpolation=cv2.INTER_AREA)
        return np.stack(cv2.split(cells)).astype(np.float32, copy=False)

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of the crop that are seen."""
        return np.s_[self.top : self.top + self.side, self.left : self.left + self.side]

    def _shrunk(self, pixels: Image | FloatArray, size: int) -> Image | FloatArray:
        part = pixels[self.pixels]
        return np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA))

    def _seen(
        self, face: FaceAnalysis, colors: FloatArray, size: int, skin: FloatArray
    ) -> NetworkFace:
        """A face of these colours, float32 (S, S, 3) in [-1, 1], whose skin has a log light."""
        regions = cv2.resize(
            face.regions[self.pixels], (size, size), interpolation=cv2.INTER_NEAREST
        )
        places = face.crop_landmarks - np.array([self.left, self.top], np.float32) + 0.5
        return NetworkFace(
            np.asarray(PIXEL_MIDDLE * (1 + np.clip(colors, -1, 1)), np.float32),
            (places * (size / self.side) - 0.5).astype(np.float32),
            np.asarray(regions, np.uint8),
            np.asarray(skin, np.float32),
        )


@dataclass(frozen=True)
class LightView(View):
    """Log light above the bare skin.

    The network's pixel values are 127.5 (1 + (light + offset) / range), cut off at 0 and 255.

    Attributes:
        offset, range: see there.
        left, top, side: the window, crop pixels.
    """

    offset: float
    range: float
    left: int
    top: int
    side: int

    def frame(self, face: FaceAnalysis, size: int) -> NetworkFace | None:
        """See `View.frame`."""
        tone = SkinTone.fit(to_log(face.crop), face.regions)
        if tone is None:
            return None
        light = to_log(np.asarray(self._shrunk(face.crop, size), np.uint8))
        above = light - self._shrunk(tone.over_crop(), size)
        return self._seen(face, (above + self.offset) / self.range, size, tone.mean)

    def reference(self, face: FaceAnalysis, size: int) -> NetworkFace:
        """See `View.reference`."""
        seen = self.frame(face, size)
        if seen is None:
            raise _too_little_skin()
        return _regions_alone(seen, self.offset / self.range)

    def factors(
        self, face: FaceAnalysis, own: FloatArray, change: FloatArray, region: Region
    ) -> FloatArray:
        """See `View.factors`."""
        factors: FloatArray = change * np.float32(self.range / PIXEL_MIDDLE)
        if region is Region.SKIN:
            lightness = factors.mean(axis=2, keepdims=True)
            factors += SKIN_LIGHTNESS * lightness - lightness
        return factors


@dataclass(frozen=True)
class LabView(View):
    """CIELAB in standard light, relative to the cheeks, as `mobile` reads it; b* comes first.

    A look is a difference of such colours whatever the skin's shade. The network's pixel values
    are 127.5 (1 + color / lab), cut off at 0 and 255.

    Attributes:
        lab: see there.
        left, top, side: the window, crop pixels.
    """

    lab: float
    left: int
    top: int
    side: int

    def frame(self, face: FaceAnalysis, size: int) -> NetworkFace | None:
        """See `View.frame`."""
        return self._view(face, size, cheek_light(face)) if _shows_skin(face) else None

    def reference(self, face: FaceAnalysis, size: int) -> NetworkFace:
        """See `View.reference`."""
        if not _shows_skin(face):
            raise _too_little_skin()
        light = cheek_light(face, EXPOSURE_SHARE)
        return _regions_alone(self._view(face, size, light), 0.0)

    def factors(
        self, face: FaceAnalysis, own: FloatArray, change: FloatArray, region: Region
    ) -> FloatArray:
        """See `View.factors`."""
        light = cheek_light(face)
        scale = np.float32(self.lab / PIXEL_MIDDLE)
        colors = (own[..., ::-1] - np.float32(PIXEL_MIDDLE)) * scale + light.skin_lab
        step = change[..., ::-1] * scale
        if region is Region.SKIN:
            step[..., 0] *= np.float32(SKIN_LIGHTNESS)
        return log_factors(colors, step)

    def _view(self, face: FaceAnalysis, size: int, light: CheekLight) -> NetworkFace:
        colors = light.relative(light.lab(np.asarray(self._shrunk(face.crop, size), np.uint8)))
        scaled = colors[..., ::-1] / np.float32(self.lab)
        return self._seen(face, scaled, size, np.log(light.skin).astype(np.float32))


def _common(grid: slice, window: slice) -> tuple[slice, slice]:
    """The pixels that two ranges share, counted from the start of each."""
    start, stop = max(grid.start, window.start), min(grid.stop, window.stop)
    stop = max(start, stop)
    return (
        slice(start - grid.start, stop - grid.start),
        slice(start - window.start, stop - window.start),
    )


def _shows_skin(face: FaceAnalysis) -> bool:
    return int(np.count_nonzero(face.regions == Region.SKIN)) >= _MIN_SKIN


def _regions_alone(seen: NetworkFace, skin: float) -> NetworkFace:
    """A face that lends, of bare skin's value where it shows no region."""
    off = cv2.dilate((seen.regions == 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    seen.image[off] = PIXEL_MIDDLE * (1 + skin)
    return seen


def _too_little_skin() -> NoFaceError:
    return NoFaceError(
        "reference: too little of its skin is visible to tell the makeup from the light; "
        "use a photo in which nothing covers the face"
    )


@cache
def _fade(side: int) -> FloatArray:
    """float32 (side, side, 1): 1, falling to 0 towards the window's border."""
    steps = np.arange(side, dtype=np.float32)
    ramp = np.clip((np.minimum(steps, side - 1 - steps) + 0.5) / _BORDER, 0, 1)
    return np.asarray((ramp[:, None] * ramp[None])[..., None], np.float32)
