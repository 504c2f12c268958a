"""Products of the skin: foundation, contour, highlighter, blush; on the whole face at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.canvas import Canvas
from makeup_sdk.cosmetics.light import linear_color, luminance, skin_color
from makeup_sdk.cosmetics.maps import Points, blob, blur, smoothstep, stroke
from makeup_sdk.cosmetics.textures import Hand
from makeup_sdk.cosmetics.view import FaceView, face_mask
from makeup_sdk.faces.light import LUMINANCE
from makeup_sdk.makeup.products import Blush, Contour, Foundation, Highlighter

CELL = 2
"""Crop pixels per cell of the skin's patch."""
_SIDE = CROP_SIZE // CELL
_COARSE = 4
"""Crop pixels per cell of the grid for soft shapes."""

_SUM = np.ones((1, 3), np.float32)

CELLS = np.array([[1 / CELL, 0, 0.5 / CELL - 0.5], [0, 1 / CELL, 0.5 / CELL - 0.5]])
"""float64 (2, 3): crop pixel to cell."""

_MATTE = {"matte": 0.75, "satin": 0.2}
"""How much of the skin's shine a foundation's finish removes."""
_SHEEN = {"satin": 0.05, "gloss": 0.16, "metallic": 0.2, "shimmer": 0.12, "glitter": 0.14}
"""Specular reflection of a blush's finish, as a fraction of the incident light."""
_SHARPNESS = {"matte": 0.6, "satin": 1.0, "gloss": 1.5, "metallic": 1.7, "shimmer": 1.2}
"""How a highlighter's finish follows the light: 1 is proportional, more concentrates it in the
brightest areas."""


class _Half(NamedTuple):
    """Landmark indices of one half of the face."""

    jaw: tuple[int, int, int, int]
    temple: int
    cheek: int
    outer: int
    inner: int
    corner: int
    brow: int
    nostril: int


_HALVES = (
    _Half((1, 3, 5, 7), 0, 2, 36, 39, 48, 18, 31),
    _Half((15, 13, 11, 9), 16, 14, 45, 42, 54, 25, 35),
)


class Skin:
    """The skin of one face: its canvas, and the grid for soft shapes.

    Args:
        view: the face.
    """

    def __init__(self, view: FaceView) -> None:
        self.view = view
        self.bare = view.half
        self.canvas = view.once("skin", lambda: _bare_canvas(view)).clean()
        axis = np.arange(CROP_SIZE // _COARSE, dtype=np.float32) * _COARSE + (_COARSE - 1) / 2
        self.grid = axis[None], axis[:, None]
        """x and y of the coarse cells, crop pixels."""

    def fine(self, weights: FloatArray) -> FloatArray:
        """Resample weights from the coarse grid to the patch's cells."""
        fine: FloatArray = cv2.resize(weights, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
        return fine

    def line(self, path: Points, radius: float, taper: float = 0.0) -> FloatArray:
        """See `stroke`: on the coarse grid, computed once per face."""
        key = (path.tobytes(), radius, taper)
        return self.view.once(key, lambda: stroke(self.grid, path, radius, taper))

    @property
    def evenness(self) -> "_Evenness":
        """See `_Evenness`."""
        return self.view.once("evenness", lambda: _Evenness.of(self))

    def bare_skin(self) -> FloatArray:
        """float32 (128, 128): weight of the skin: the face without eyes, brows and lips, and pixels
        too dark or too pale for this skin (nostrils, glasses frames, hair)."""
        regions = self.view.regions
        there = ((regions == Region.SKIN) | (regions == Region.EYES)).view(np.uint8)
        there = cv2.resize(255 * there, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        skin: FloatArray = blur(there, 0.8) * np.float32(1 / 255)
        chroma = self.bare / np.maximum(cv2.transform(self.bare, _SUM), np.float32(1e-6))[..., None]
        own = self.view.light.skin / self.view.light.skin.sum()
        away = cv2.transform(np.abs(chroma - own), _SUM)
        likely = smoothstep(0.08, 0.3, self.canvas.shade) * smoothstep(0.32, 0.16, away)
        skin *= blur(likely, 0.012 * self.view.unit / CELL)
        return skin

    def below_hair(self) -> FloatArray:
        """float32 (128, 128): fades out over the upper forehead, which has no landmarks."""
        points, unit = self.view.points / CELL, self.view.unit / CELL
        rise = (points[27] - points[8]) / np.hypot(*(points[27] - points[8]))
        brows = points[19:25].mean(axis=0)
        cells = np.arange(_SIDE)
        above = (cells - brows[0])[None] * rise[0] + (cells - brows[1])[:, None] * rise[1]
        return smoothstep(0.42 * unit, 0.05 * unit, np.asarray(above, np.float32))


def _bare_canvas(view: FaceView) -> Canvas:
    """The skin without paint."""
    points = (view.points + 0.5) / CELL - 0.5
    unit = view.unit / CELL
    allowed = face_mask(points, unit, (_SIDE, _SIDE), 0.07 * unit) * view.visible
    return Canvas(view.half, view.light.color, view.light.luminance, allowed)


@dataclass(frozen=True)
class _Evenness:
    """How even the bare skin is, before any foundation.

    Attributes:
        weight: float32 (128, 128), coverage of skin that wears foundation.
        bright: float32 (128, 128), luminance over its wide mean.
        blotch: float32 (128, 128), change of light that evens blotches out.
        redness: float32 (3, 128, 128), change of B, G, R that evens the colour out.
    """

    weight: FloatArray
    bright: FloatArray
    blotch: FloatArray
    redness: FloatArray

    @classmethod
    def of(cls, skin: Skin) -> "_Evenness":
        """Measured on the bare skin."""
        weight = skin.bare_skin() * skin.below_hair()
        unit = skin.view.unit / CELL
        y = np.maximum(luminance(skin.bare), np.float32(1e-6))
        chroma = np.stack(cv2.split(skin.bare))
        chroma /= y
        np.maximum(chroma, np.float32(1e-3), out=chroma)
        lit = y * weight
        *even, mean, wide = _wide([*(chroma * weight), lit, weight], 0.09 * unit)
        np.maximum(wide, np.float32(1e-3), out=wide)
        mean = np.maximum(mean / wide, np.float32(1e-6))
        near = 0.016 * unit
        fine = blur(lit, near) / np.maximum(blur(weight, near), np.float32(1e-3))
        blotch = _within(mean / np.maximum(fine, np.float32(1e-6)), 0.85, 1.18) ** np.float32(0.6)
        redness = _within(np.stack(even) / (wide * chroma), 0.8, 1.25)
        return cls(weight, y / mean, blotch - np.float32(1), redness - np.float32(1))


def paint_foundation(skin: Skin, foundation: Foundation, amount: float) -> None:
    """Even out blotches, remove or add shine, shift the skin's shade."""
    even = skin.evenness
    weight, bright = even.weight, even.bright
    unit = skin.view.unit / CELL
    share = min(amount, 1.0)
    cover = weight * np.float32(foundation.opacity * share)
    change = even.redness * (np.float32(0.7) * cover)
    change += 1.0
    change *= 1.0 + cover * even.blotch
    matte = _MATTE.get(foundation.finish, 0.0) * min(2 * foundation.opacity, 1.0)
    if matte > 0:
        peak = np.maximum(bright - np.float32(1.12), np.float32(0)) * weight
        change /= 1.0 + np.float32(0.9 * matte * share) * peak
    step = np.exp(np.log(_shade(skin, foundation)) * share).astype(np.float32)
    change *= 1.0 + weight * (step[:, None, None] - 1.0)
    skin.canvas.scale(change)
    if foundation.finish in ("gloss", "shimmer", "metallic", "glitter"):
        dewy = blur(np.maximum(bright - 1.0, 0.0) * weight, 0.01 * unit)
        shine = np.float32(0.5 * foundation.opacity * skin.view.light.reflectance * amount)
        skin.canvas.shine(shine * np.minimum(dewy, 0.6))


def _wide(planes: Sequence[FloatArray], sigma: float) -> list[FloatArray]:
    """Blur planes of the patch's cells widely, computed on cells twice as large."""
    side = _SIDE // 2
    blurred = []
    for plane in planes:
        half = cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA)
        half = blur(half, sigma / 2)
        blurred.append(
            np.asarray(cv2.resize(half, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), np.float32)
        )
    return blurred


def _within(values: FloatArray, low: float, high: float) -> FloatArray:
    """Values limited to [low, high], in place."""
    np.maximum(values, np.float32(low), out=values)
    np.minimum(values, np.float32(high), out=values)
    return values


def _shade(skin: Skin, foundation: Foundation) -> FloatArray:
    """float32 (3,): factor on the skin's reflectance for the foundation's shade."""
    shift = np.array([0.14, 0.12, 0.10]) * foundation.lightness
    shift = shift + np.array([-0.10, 0.01, 0.05]) * foundation.warmth
    if foundation.color is not None:
        shade = linear_color(foundation.color)
        own = skin_color(skin.view.light.reflectance)
        shift = shift + foundation.opacity * np.clip(np.log(shade / own), -0.9, 0.9)
    factor: FloatArray = np.exp(shift).astype(np.float32)
    return factor


def paint_contour(skin: Skin, hand: Hand, contour: Contour, amount: float) -> None:
    """Shade the face's hollows."""
    points, unit = skin.view.points, skin.view.unit
    rise = (points[27] - points[8]) / np.hypot(*(points[27] - points[8])) * unit
    shade = np.zeros((CROP_SIZE // _COARSE,) * 2, np.float32)
    strengths = np.clip(hand.vary("contour", 0.04, 2), 0.92, 1.08)
    for half, strength in zip(_HALVES, strengths, strict=True):
        ear, hinge, jaw, chin = points[list(half.jaw)]
        inner, corner, brow = points[[half.inner, half.corner, half.brow]]
        hollow = np.stack([ear, 0.62 * points[half.cheek] + 0.38 * corner])
        hollow = hollow + 0.25 * (hinge - ear)
        temple = np.stack([points[half.temple], points[half.temple] + 0.18 * rise])
        temple[1] = 0.6 * temple[1] + 0.4 * brow
        bridge = points[27:30] + 0.34 * (inner - points[27])
        for weight, path, radius, taper in (
            (contour.cheeks, hollow, 0.10, 0.6),
            (contour.jaw, np.stack([hinge, jaw, chin]), 0.09, 0.5),
            (contour.temples, temple, 0.12, 0.0),
            (contour.nose, bridge, 0.045, 0.0),
        ):
            if weight > 0:
                line = skin.line(path, radius * unit, taper)
                np.maximum(shade, strength * np.float32(weight) * line, out=shade)
    depth = np.array([0.48, 0.44, 0.36], np.float32)[:, None, None] * skin.fine(shade)
    skin.canvas.scale(np.exp(depth * np.float32(-contour.opacity * amount)))


def paint_highlighter(skin: Skin, product: Highlighter, amount: float) -> None:
    """Brighten the face's ridges, in proportion to the light on them."""
    points, unit = skin.view.points, skin.view.unit
    light = np.float32(product.nose) * np.maximum(
        skin.line(points[27:30], 0.035 * unit), skin.line(points[[30, 30]], 0.04 * unit)
    )
    bow = points[50:53] + 0.1 * (points[33] - points[51])
    light = np.maximum(light, np.float32(product.bow) * skin.line(bow, 0.025 * unit))
    for half in _HALVES:
        outer, corner, ear = points[half.outer], points[half.corner], points[half.jaw[0]]
        ridge = np.stack([0.72 * outer + 0.28 * corner, 0.55 * outer + 0.45 * ear])
        line = skin.line(ridge, 0.065 * unit)
        light = np.maximum(light, np.float32(product.cheeks) * line)
    sharp = _SHARPNESS.get(product.finish, 1.2)
    lit = np.clip(skin.canvas.shade, 0.2, 1.4) ** np.float32(1.5 * sharp)
    reach = 0.10 + 0.9 * skin.view.light.reflectance * 0.26
    strength = np.float32(product.opacity * amount * reach)
    skin.canvas.shine(strength * skin.fine(light) * lit, linear_color(product.color))


def paint_blush(skin: Skin, hand: Hand, blush: Blush, amount: float) -> None:
    """Blush on both cheeks."""
    spots = _blush_spots(skin, hand, blush.placement)
    color = linear_color(blush.color)
    skin.canvas.paint(np.float32(blush.opacity * 0.45) * spots, color, amount=amount, hiding=0.2)
    sheen = _SHEEN.get(blush.finish, 0.0) * blush.shine * min(2 * blush.opacity, 1.0) * amount
    if sheen > 0:
        lit = np.clip(skin.canvas.shade, 0.2, 1.4) ** 2
        tint = 0.5 + 0.5 * color / max(float(color @ LUMINANCE), 0.05)
        strength = np.float32(sheen * skin.view.light.reflectance)
        skin.canvas.shine(strength * spots * lit, np.minimum(tint, 2.0))


def _blush_spots(skin: Skin, hand: Hand, placement: str) -> FloatArray:
    points, grid = skin.view.points, skin.grid
    spots = np.zeros((CROP_SIZE // _COARSE,) * 2, np.float32)
    for number, half in enumerate(_HALVES):
        jitter = hand.vary(f"blush {number}", 0.06, 3)
        outer, corner, nostril = points[[half.outer, half.corner, half.nostril]]
        ear = points[half.jaw[0]]
        out, down = ear - nostril, corner - outer
        if min(np.hypot(*out), np.hypot(*down)) < 2.0:  # a cheek turned away
            continue
        apple = nostril + 0.5 * out - 0.04 * down
        if placement in ("apple", "sunkissed"):
            spot = blob(grid, apple, 0.33 * float(jitter[0]) * out, 0.27 * float(jitter[1]) * down)
        else:
            lift = 0.62 if placement == "lifted" else 0.85
            bone = nostril + 0.82 * out - 0.16 * lift * down
            temple = outer + 0.55 * (ear - outer) - 0.3 * (lift - 0.45) * down
            width = 0.21 * float(np.hypot(*down) * jitter[0])
            spot = skin.line(np.stack([apple, bone, temple]), width, taper=0.35)
        np.maximum(spots, spot * jitter[2], out=spots)
    if placement == "sunkissed":
        nose = 0.5 * (points[35] - points[31]), 0.5 * (points[30] - points[28])
        spots = np.maximum(0.9 * spots, 0.75 * blob(grid, points[29], *nose))
    return skin.fine(spots)
