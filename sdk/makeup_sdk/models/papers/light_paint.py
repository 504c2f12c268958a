"""Paint of networks that work in the face's own light: the difference of two passes.

Such a network sees log light above the bare skin, and is asked twice: for the look, and for
nothing. What sets the two apart is the makeup, a change of log light. Errors of reconstruction are
in both and cancel, and the face keeps its own pixels: from the network comes colour, not texture.
"""

from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE, NoFaceError, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.faces.smoothing import SmoothingOptions
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.smoothing import SmoothedLayer

_PIXEL_MIDDLE = 127.5
_BLUR, _SKIN_BLUR = 1 / 128, 5 / 128
"""Standard deviation, in shares of the network's crop, to which its change is smoothed."""
_SKIN_COLOR = 0.18
"""Log light by which a channel of the skin's colour may change: more is no blush, but a mistake."""
_SKIN_LIGHTNESS, _SKIN_LIGHTER = 0.2, (-0.08, 0.06)
"""Share of the skin's change of lightness that is painted, and its limits: the rest is light."""
_FAINTEST = 0.004
"""Paint thinner than this changes no pixel by a whole step."""
_FULLNESS = 1.3
"""Gain of a soft edge before it is cut off at 1."""
_BORDER = 16
"""Crop pixels over which paint fades out towards the border of the network's window."""
_JAW = 9
"""Crop pixels by which paint on the skin stays away from jaw and hairline."""


@dataclass(frozen=True)
class LightView:
    """What a network sees of a face: a window of its crop, in log light above its bare skin.

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

    def face(self, face: FaceAnalysis, light: FloatArray, tone: SkinTone, size: int) -> NetworkFace:
        """A face in the window, on a crop of side `size`.

        Args:
            face: the analysed face.
            light: float32 (256, 256, 3), log light of its crop.
            tone: its bare skin.
            size: of the network's crop.
        """
        part = np.s_[self.top : self.top + self.side, self.left : self.left + self.side]
        crop = cv2.resize(face.crop[part], (size, size), interpolation=cv2.INTER_AREA)
        skin = cv2.resize(tone.over_crop()[part], (size, size), interpolation=cv2.INTER_AREA)
        above = (to_log(np.asarray(crop, np.uint8)) - skin + self.offset) / self.range
        regions = cv2.resize(face.regions[part], (size, size), interpolation=cv2.INTER_NEAREST)
        places = face.crop_landmarks - np.array([self.left, self.top], np.float32) + 0.5
        return NetworkFace(
            np.asarray(_PIXEL_MIDDLE * (1 + np.clip(above, -1, 1)), np.float32),
            (places * (size / self.side) - 0.5).astype(np.float32),
            np.asarray(regions, np.uint8),
        )

    def reference(self, face: FaceAnalysis, size: int) -> NetworkFace:
        """A reference face in the window.

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
        return self.face(face, light, tone, size)


@runtime_checkable
class PassPainter(Protocol):
    """A painter whose network can be asked for its look and for nothing."""

    def both(self, source: NetworkFace, strength: Strength) -> tuple[FloatArray, FloatArray]:
        """Its images with the look and with none, float32 (3, S, S), BGR, in units of pixels."""
        ...


class LightPainter(Painter):
    """A painter whose paint is the difference of two passes.

    Args:
        painter: runs the passes.
        view: what its network sees.
        size: side S of the network's crop.
    """

    def __init__(self, painter: PassPainter, view: LightView, size: int) -> None:
        self._painter, self._view, self._size = painter, view, size

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`; a face with too little visible skin stays bare."""
        light = to_log(face.crop)
        tone = SkinTone.fit(light, face.regions)
        if tone is None:
            return CropPaint(face.crop, np.zeros((CROP_SIZE, CROP_SIZE), np.float32))
        change, mask = self.layer(face, light, tone, strength)
        return CropPaint(from_log(light + change), mask)

    def follow(self, options: SmoothingOptions) -> SmoothedLayer:
        """See `Painter.follow`."""
        return SmoothedLayer(self.layer, options)

    def layer(
        self, face: FaceAnalysis, light: FloatArray, tone: SkinTone, strength: Strength
    ) -> tuple[FloatArray, FloatArray]:
        """The makeup alone; see `smoothing.Layer`."""
        source = self._view.face(face, light, tone, self._size)
        made_up, bare = self._painter.both(source, strength)
        found = (made_up - bare).transpose(1, 2, 0) * (self._view.range / _PIXEL_MIDDLE)
        change = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.float32)
        mask = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
        view, fade = self._view, _fade(self._view.side)
        part = np.s_[view.top : view.top + view.side, view.left : view.left + view.side]
        for region in MAKEUP_REGIONS:
            amount = strength.get(region, 0.0)
            here = (source.regions == region).astype(np.float32)
            if amount <= 0 or not here.any():
                continue
            alpha = _feather(region, face.regions)[part] * fade
            alpha[alpha <= _FAINTEST] = 0
            if region is Region.SKIN:
                smooth = _of_skin(_spread(found, here, _SKIN_BLUR * self._size))
            else:
                smooth = _spread(found, here, _BLUR * self._size)
            smooth = cv2.resize(smooth, (view.side, view.side))
            change[part] += smooth * (alpha * np.float32(amount))[..., None]
            mask[part][alpha > 0] = 1
        return change, mask


@cache
def _fade(side: int) -> FloatArray:
    """float32 (side, side): 1, falling to 0 towards the window's border."""
    steps = np.arange(side, dtype=np.float32)
    ramp = np.clip((np.minimum(steps, side - 1 - steps) + 0.5) / _BORDER, 0, 1)
    return np.asarray(ramp[:, None] * ramp[None], np.float32)


def _of_skin(change: FloatArray) -> FloatArray:
    """A change on the skin without what is likelier to be light than makeup."""
    lightness = change.mean(axis=2, keepdims=True)
    color = np.clip(change - lightness, -_SKIN_COLOR, _SKIN_COLOR)
    return np.asarray(color + np.clip(_SKIN_LIGHTNESS * lightness, *_SKIN_LIGHTER), np.float32)


def _spread(change: FloatArray, here: FloatArray, sigma: float) -> FloatArray:
    """The change averaged inside a region, and continued beyond its edge."""
    values, weight = change * here[..., None], here
    near = cv2.GaussianBlur(weight, (0, 0), sigma)
    far = cv2.GaussianBlur(weight, (0, 0), 3 * sigma)
    smooth = cv2.GaussianBlur(values, (0, 0), sigma) / np.maximum(near, 1e-3)[..., None]
    wide = cv2.GaussianBlur(values, (0, 0), 3 * sigma) / np.maximum(far, 1e-3)[..., None]
    known = np.clip(4 * near, 0, 1)[..., None]
    return np.asarray(known * smooth + (1 - known) * wide, np.float32)


def _feather(region: Region, regions: Image) -> FloatArray:
    """float32 (256, 256) in [0, 1]: soft edges, inward at the jaw and the hairline."""
    inside = (regions == region).astype(np.float32)
    if region is Region.LIPS:
        return _full(inside, 0.8)
    on_face = (regions > 0).astype(np.uint8)
    if region is Region.SKIN:
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_JAW, _JAW))
        core = cv2.erode(on_face, ellipse).astype(np.float32)
        return _blurred(core, 5.0) * _blurred(inside, 1.5)
    return _full(inside, 2.0) * _blurred(on_face.astype(np.float32), 1.0)


def _full(inside: FloatArray, sigma: float) -> FloatArray:
    """A soft edge that is full up to the outline nearly, and ends beyond it."""
    return np.asarray(np.minimum(_FULLNESS * _blurred(inside, sigma), 1), np.float32)


def _blurred(weights: FloatArray, sigma: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(weights, (0, 0), sigma), np.float32)
