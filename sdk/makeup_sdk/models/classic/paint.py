"""Put a `classic` look on a face: the reference's colour, the face's own light and texture."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region, RegionHistogram
from makeup_sdk.faces.layout import FINE_STRIDE, FaceLayout, LaidFields, Placement, masked_blur
from makeup_sdk.faces.light import from_log, luminance, to_log
from makeup_sdk.faces.smoothing import SmoothingOptions
from makeup_sdk.faces.template import template_landmarks, template_regions
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.fields import MakeupFields
from makeup_sdk.models.base import CropPaint, Painter
from makeup_sdk.models.classic.bare_face import bare_face
from makeup_sdk.models.classic.encode import DETAIL_SCALE, detail_image
from makeup_sdk.models.smoothing import SmoothedLayer

FloatArray = NDArray[np.float32]

_MARGIN = 12
"""Crop pixels around a region in which its paint is worked out; three blurs wide."""
_LIP_BASE_SIGMA = 5.0
"""Crop pixels: the lips' modelling below this width stays their own."""
_GLOSS_SHARE = 0.7
"""How far the lips' fine structure moves to the reference's distribution."""
_EYE_EVIDENCE = (0.25, 1.05)
"""Log-light departure from a bare lid at which makeup starts to take its place, and does fully."""
_EYE_COLOR_FLOOR = 0.08
"""Log-light colour of a lid below which it is light, not eye shadow."""
_LIGHT_LIDS = 0.4
"""How much of a lid's being lighter than a bare one counts as makeup."""
_FAINTEST = 0.004
"""Paint thinner than this changes no pixel by a whole step."""
_REDNESS = (0.02, 0.1)
"""Log red over green from which colour on the skin starts to be blush, and is nothing else; what is
less red is light, or jewellery."""
_BLUSH_GAIN = 1.6
"""Makes up for the blush that the reference's skin model has taken away."""


@dataclass(frozen=True)
class _Part:
    """One region's window of the crop: everything below is cut to it."""

    window: tuple[slice, slice]
    light: FloatArray
    bare: FloatArray
    inside: NDArray[np.bool_]
    on_face: NDArray[np.bool_]
    look: FloatArray
    """(h, w, 3): made-up face minus bare skin."""
    worn: FloatArray
    """(h, w, 3): made-up face minus a bare face, so the makeup alone."""
    shade: FloatArray
    """(3,): step from this skin to the reference's, as far as the makeup covers."""


class ClassicPainter(Painter):
    """A look, prepared to be painted on faces. Immutable; may be shared by threads.

    Args:
        makeup: the look's.
        threads: CPU threads; None: one per core.
    """

    def __init__(self, makeup: MakeupFields, threads: int | None = None) -> None:
        template = FaceLayout(template_landmarks(), template_regions())
        worn = np.where(makeup.fields != 0, makeup.fields - bare_face(), 0).astype(np.float32)
        worn *= _where_blush_goes()
        self._laid = LaidFields(np.concatenate([makeup.fields, worn]), template, threads=threads)
        self._threads = threads
        self._skin = makeup.skin
        self._cover = makeup.cover
        self._lip_presence = makeup.lip_presence
        self._lip_detail = RegionHistogram(
            makeup.lip_detail,
            np.full(makeup.lip_detail.shape[:2], Region.LIPS, np.uint8),
            regions=(Region.LIPS,),
            threads=threads,
        )

    def paint(self, face: FaceAnalysis, strength: Mapping[Region, float]) -> CropPaint:
        """Paint the aligned crop of a face.

        Args:
            face: the analysed face.
            strength: per region in [0, 1]; a region that is not named stays as it is.

        Returns:
            the painted crop, feathered into the bare one; its mask is 1 where the two may differ,
            else 0. A face with too little visible skin comes back unpainted, with an empty mask.
        """
        light = to_log(face.crop)
        tone = SkinTone.fit(light, face.regions)
        if tone is None:
            return CropPaint(face.crop, np.zeros((CROP_SIZE, CROP_SIZE), np.float32))
        change, mask = self.layer(face, light, tone, strength)
        return CropPaint(from_log(light + change), mask)

    def layer(
        self,
        face: FaceAnalysis,
        light: FloatArray,
        tone: SkinTone,
        strength: Mapping[Region, float],
    ) -> tuple[FloatArray, FloatArray]:
        """The makeup alone. Layers of several looks may be added up; each is linear in strength.

        Args:
            face: the analysed face.
            light: float32 (256, 256, 3), the log light of its crop.
            tone: its bare skin; streams pass one that is steady over time.
            strength: per region in [0, 1]; a region that is not named stays as it is.

        Returns:
            float32 (256, 256, 3), the change of log light, and float32 (256, 256), 1 where it is
            not 0, else 0.
        """
        mask = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
        bare = tone.over_crop()
        layout = FaceLayout(face.crop_landmarks, face.regions)
        change = np.zeros_like(light)
        skin_step = np.clip(self._skin - tone.mean, -2.0, 1.3)
        for placement, grid, values in self._laid.on(layout):
            for region in placement.regions:
                amount = strength.get(region, 0.0)
                if amount <= 0 or not (grid == region).any():
                    continue
                shade = skin_step * self._cover[region]
                part = _cut(light, bare, face.regions, placement, grid, region, values, shade)
                alpha = _feather(region, part)
                alpha[alpha <= _FAINTEST] = 0
                change[part.window] += (
                    self._change(region, part, tone) * (alpha * np.float32(amount))[..., None]
                )
                mask[part.window][alpha > 0] = 1
        return change, mask

    def follow(self, options: SmoothingOptions) -> SmoothedLayer:
        """See `Painter.follow`."""
        return SmoothedLayer(self.layer, options)

    def _change(self, region: Region, part: _Part, tone: SkinTone) -> FloatArray:
        if region is Region.LIPS:
            return self._lips(part)
        if region is Region.EYES:
            return _eyes(part)
        if region is Region.BROWS:
            return 0.5 * np.clip(part.worn, -1.0, 0.4)
        return self._skin_change(part, tone)

    def _lips(self, part: _Part) -> FloatArray:
        """The look's lip colour in place of the lips' own, its gloss in the lips' own folds."""
        base = masked_blur(part.light, part.inside.astype(np.float32), _LIP_BASE_SIGMA)
        detail = detail_image(part.light, part.inside)
        regions = np.where(part.inside, np.uint8(Region.LIPS), np.uint8(0))
        matched = self._lip_detail.match(detail, regions, threads=self._threads)
        matched = cv2.GaussianBlur(matched, (0, 0), 0.6)
        gloss = (matched.astype(np.float32) - detail) * np.float32(_GLOSS_SHARE / DETAIL_SCALE)
        replace = part.bare + part.look + part.shade - base
        replace += np.where(part.inside[..., None], gloss, 0)
        change: FloatArray = self._lip_presence * replace
        return change + (1 - self._lip_presence) * 0.5 * part.worn

    def _skin_change(self, part: _Part, tone: SkinTone) -> FloatArray:
        """Blush and contour, and a gentle step towards the reference's skin colour."""
        lightness = luminance(part.worn)[..., None]
        sculpt = 0.25 * np.clip(lightness, -0.5, 0.4)
        color = part.worn - lightness
        redness = color[..., 2:] - color[..., 1:2]
        low, high = _REDNESS
        share = _BLUSH_GAIN * np.clip((redness - low) / (high - low), 0, 1)
        step = self._skin - tone.mean
        step = np.clip(0.2 * (step - luminance(step)), -0.12, 0.12)
        change: FloatArray = share * color + sculpt + step
        return change


@cache
def _where_blush_goes() -> FloatArray:
    """float32 (128, 128): 1, and on the skin of forehead, nose and chin down to 0.2."""
    cells = template_regions()[::FINE_STRIDE, ::FINE_STRIDE]
    points = template_landmarks() / FINE_STRIDE
    steps = np.arange(cells.shape[0], dtype=np.float32)
    below_brows = 1 + (steps[:, None] - points[17:27, 1].min()) / 12
    beside_nose = (np.abs(steps[None] - points[27, 0]) - 7) / 10
    cheeks = np.clip(np.minimum(below_brows, beside_nose), 0.2, 1)
    return np.where(cells == Region.SKIN, cheeks, 1).astype(np.float32)


def _eyes(part: _Part) -> FloatArray:
    """Weak makeup is laid over the lid's own shading, strong makeup takes its place.

    Lids lighter than bare ones are mostly closed or lit ones, and count little.
    """
    lightness = luminance(part.worn)
    color = part.worn - lightness[..., None]
    strength = np.sqrt(np.square(color).sum(axis=-1))
    darker = np.minimum(lightness, 0)
    lighter = np.maximum(lightness, 0)
    low, high = _EYE_EVIDENCE
    share = 0.6 * np.clip((np.hypot(strength, 0.5 * darker) - low) / (high - low), 0, 1)[..., None]
    base = masked_blur(part.light, part.inside.astype(np.float32), 2.5)
    replace = part.bare + part.look + part.shade - base - (1 - _LIGHT_LIDS) * lighter[..., None]
    visible = 1 - _EYE_COLOR_FLOOR / np.maximum(strength, _EYE_COLOR_FLOOR)
    over = color * visible[..., None] + (darker + _LIGHT_LIDS * lighter)[..., None]
    change: FloatArray = share * replace + (1 - share) * np.clip(over, -2.2, 1.0)
    return change


def _cut(
    light: FloatArray,
    bare: FloatArray,
    regions: NDArray[np.uint8],
    placement: Placement,
    grid: NDArray[np.uint8],
    region: Region,
    values: FloatArray,
    shade: FloatArray,
) -> _Part:
    stride = placement.stride
    cells = grid == region
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    margin = _MARGIN // stride
    size = grid.shape[0]
    top, bottom = max(rows[0] - margin, 0), min(rows[-1] + 1 + margin, size)
    left, right = max(columns[0] - margin, 0), min(columns[-1] + 1 + margin, size)
    laid = masked_blur(
        np.ascontiguousarray(values[:, top:bottom, left:right].transpose(1, 2, 0)),
        cells[top:bottom, left:right].astype(np.float32),
        1.0,
    )
    fine = cv2.warpAffine(  # crop pixel (x, y) lies at cell (x, y) / stride
        laid,
        np.array([[stride, 0, 0], [0, stride, 0]], np.float64),
        ((right - left) * stride, (bottom - top) * stride),
        borderMode=cv2.BORDER_REPLICATE,
    )
    window = (slice(top * stride, bottom * stride), slice(left * stride, right * stride))
    inside = regions[window] == region
    if placement.side:
        near = cv2.resize(
            cells[top:bottom, left:right].astype(np.uint8), fine.shape[1::-1], interpolation=0
        )
        inside &= cv2.dilate(near, np.ones((3, 3), np.uint8)) > 0
    return _Part(
        window,
        light[window],
        bare[window],
        inside,
        regions[window] > 0,
        fine[..., :3],
        fine[..., 3:],
        shade,
    )


def _feather(region: Region, part: _Part) -> FloatArray:
    """float32 (h, w) in [0, 1]: soft edges; inward at the jaw and hairline, and off the eyeball."""
    inside = part.inside.astype(np.float32)
    if region is Region.LIPS:
        return _blur(inside, 1.2)
    if region is Region.SKIN:
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
        core = cv2.erode(part.on_face.astype(np.uint8), ellipse)
        return _blur(core.astype(np.float32), 5.0) * _blur(inside, 1.5)
    return _blur(inside, 3.0) * _blur(part.on_face.astype(np.float32), 1.0)


def _blur(weights: FloatArray, sigma: float) -> FloatArray:
    blurred: FloatArray = cv2.GaussianBlur(weights, (0, 0), sigma)
    return blurred
