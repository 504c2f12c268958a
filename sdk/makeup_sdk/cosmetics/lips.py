"""Products of the lips: lipstick, lip liner, and their shine."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.axes import Mouth
from makeup_sdk.cosmetics.canvas import Canvas
from makeup_sdk.cosmetics.light import linear_color, luminance, to_linear
from makeup_sdk.cosmetics.maps import blur, bump, smoothstep
from makeup_sdk.cosmetics.textures import Hand, grain, sparkle
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.makeup.products import LipLiner, Lipstick

_MATTE = {"matte": 0.85, "satin": 0.1}
"""How much of the lips' own shine a finish removes."""
_WET = {"satin": 0.12, "gloss": 1.5, "metallic": 0.45, "shimmer": 0.4, "glitter": 0.5}
"""How much of a wet film's shine a finish has."""
_BARE_LIPS = 0.62
"""Luminance of bare lips relative to the cheeks."""
_IN_SHADE = 0.74
"""Light on the lips, which curve away from it, relative to the cheeks."""


@dataclass(frozen=True)
class LipSurface:
    """The lips of one face on its mouth's patch.

    Attributes:
        canvas: the canvas to paint on.
        whole: float32 (h, w), coverage of lip tissue.
        own: float32 (h, w), the lips' own highlights, 0..1.
        texture: float32 (h, w), the lips' fine texture, around 1.
        lit: light on the lips relative to the face.
    """

    canvas: Canvas
    whole: FloatArray
    own: FloatArray
    texture: FloatArray
    lit: float

    @classmethod
    def of(cls, view: FaceView, mouth: Mouth) -> "LipSurface | None":
        """The lips of a face; None if no lip is visible."""
        bare = view.bare(mouth.matrix, mouth.shape)
        label = view.share(Region.LIPS, 1.4, mouth.matrix, mouth.shape)
        visible = view.warped(view.visible, mouth.matrix, mouth.shape)
        y = luminance(bare)
        core = (mouth.inside > 0.02) & (mouth.gap < 0) & (label > 0.5)
        if core.sum() < 8:
            return None
        base = max(float(np.median(y[core])), 1e-5)
        margin = np.float32(0.04) * smoothstep(0.0, 0.08, np.minimum(mouth.t, 1 - mouth.t))
        outline = mouth.edge(mouth.inside + margin, 0.02)
        whole = outline * _tissue(mouth, bare, y, core, smoothstep(0.28, 0.72, label)) * visible
        ratio = base / (_BARE_LIPS * view.light.luminance)
        lit = _IN_SHADE * float(np.clip(ratio, 0.5, 1.3)) ** 0.5
        canvas = Canvas(bare, view.light.color * np.float32(lit), base, whole)
        own, texture = _own_shine(view, mouth, base)
        return cls(canvas, whole, own * smoothstep(0.015, 0.05, mouth.inside), texture, lit)


def paint_lipstick(
    surface: LipSurface, mouth: Mouth, hand: Hand, lips: Lipstick, side: float, amount: float
) -> None:
    """Paint lipstick and its finish; `side` is the light's direction (`SkinLight.side`)."""
    canvas = surface.canvas
    fade = 1.0 - lips.blur * (1.0 - smoothstep(0.0, 0.13, mouth.inside))
    opacity = np.float32(lips.opacity) * fade * grain(mouth, hand, "lips", 0.03)
    canvas.paint(
        opacity,
        linear_color(lips.color),
        amount=amount,
        hiding=0.15 + 0.5 * lips.opacity,
        leveling=0.3,
    )
    matte = _MATTE.get(lips.finish, 0.0) * min(amount, 1.0) * min(1.5 * lips.opacity, 1.0)
    if matte > 0:
        canvas.scale(1.0 - np.float32(matte * 0.75) * surface.own)
    wet = _WET.get(lips.finish, 0.0) * lips.shine * amount * min(4 * lips.opacity, 1.0)
    if wet > 0:
        film = _wet_shine(mouth, hand, side) * np.clip(surface.texture, 0.6, 1.4) ** 2
        shine: FloatArray = np.float32(0.5 * wet) * (0.5 * surface.own + film)
        tint: FloatArray | None = None
        if lips.finish == "metallic":
            sheet = bump(mouth.inside, 0.09, 0.07) * np.clip(surface.texture, 0.6, 1.5)
            shine = shine + np.float32(0.10 * wet) * sheet
            color = linear_color(lips.color)
            tint = np.float32(0.35) + color * np.float32(0.65 / max(float(color.max()), 0.02))
        elif lips.finish in ("shimmer", "glitter"):
            kind = "mica" if lips.finish == "shimmer" else "glitter"
            density = 0.05 if kind == "mica" else 0.11
            shine = shine + np.float32(density * wet) * sparkle(mouth, kind, hand, "lips")
        canvas.shine(shine * canvas.lit**0.5, tint)


def paint_lip_liner(surface: LipSurface, mouth: Mouth, liner: LipLiner, amount: float) -> None:
    """Paint a line along the lips' edge, blended inward."""
    reach = 0.03 + 0.12 * liner.width
    tissue = surface.whole > 0.5
    between = np.maximum.accumulate(tissue) & np.maximum.accumulate(tissue[::-1])[::-1]
    lips = between.astype(np.uint8)  # includes the teeth
    inward = blur(cv2.distanceTransform(lips, cv2.DIST_L2, 3), 0.7) * np.float32(mouth.cell)
    rim = smoothstep(reach, 0.25 * reach, np.minimum(inward, mouth.inside + np.float32(0.04)))
    surface.canvas.paint(np.float32(liner.opacity) * rim, linear_color(liner.color), amount=amount)


def _tissue(
    mouth: Mouth, bare: FloatArray, y: FloatArray, core: NDArray[np.bool_], label: FloatArray
) -> FloatArray:
    """Coverage of lip between the outer outline and the opening; `label`: region map's lips.

    Map and landmarks have errors of a pixel or two at the inner outline of a parted mouth. Near it,
    colour decides: bright colourless pixels are teeth and stay clear, lip-coloured ones are lip. In
    a hardly open mouth, lip-coloured pixels are lip everywhere, and the map is trusted. Dark
    colourless pixels away from the opening are beard.
    """
    y = np.maximum(y, np.float32(1e-6))
    red = bare[..., 2] / np.maximum(bare[..., 1] + bare[..., 0], np.float32(1e-6))
    y, red = y / np.float32(np.median(y[core])), red / np.float32(np.median(red[core]))
    gap, opening = mouth.gap, mouth.opening
    hair = smoothstep(0.5, 0.25, y) * smoothstep(0.95, 0.75, red) * smoothstep(-0.03, -0.09, gap)
    if opening.max() == 0:
        return label * (1.0 - blur(hair, 0.7))
    teeth = smoothstep(0.92, 0.7, red) * smoothstep(1.1, 1.6, y) * smoothstep(-0.09, -0.02, gap)
    shut = float(smoothstep(0.1, 0.05, np.float32(mouth.openness)))
    teeth *= 1.0 - shut * smoothstep(0.7, 0.95, label)  # those are shiny lips
    hardly = float(smoothstep(0.22, 0.12, np.float32(mouth.openness)))
    shaded = hardly * smoothstep(1.0, 1.2, red) * smoothstep(0.1, 0.25, y)
    lip = smoothstep(0.72, 0.88, red) * np.maximum(smoothstep(0.4, 0.6, y), shaded)
    inner = lip * smoothstep(0.045 + 0.035 * hardly, 0.02 + 0.03 * hardly, gap)
    near = (
        lip * smoothstep(-0.14, -0.10, gap) * smoothstep(0.1, 0.2, np.minimum(mouth.t, 1 - mouth.t))
    )
    outside = (1.0 - opening) * np.maximum(label, near * smoothstep(0.0, 0.03, mouth.inside))
    clear = np.maximum(teeth, hair)
    return blur((outside + opening * inner) * (1.0 - clear), 0.5)


def _own_shine(view: FaceView, mouth: Mouth, base: float) -> tuple[FloatArray, FloatArray]:
    """float32 (h, w) each: the lips' own highlights, sharpened, 0..1; their fine texture."""
    width = float(np.hypot(*(view.points[54] - view.points[48])))
    low = np.floor(view.points[48:68].min(axis=0) - 8).astype(int)
    high = np.ceil(view.points[48:68].max(axis=0) + 8).astype(int)
    x0, y0 = np.clip(low, 0, 254)
    x1, y1 = np.clip(high, (x0 + 2, y0 + 2), 256)
    window = slice(y0, y1), slice(x0, x1)
    y = luminance(to_linear(view.crop[window]))
    lips = (view.regions[window] == Region.LIPS).astype(np.float32)
    around = blur(y * lips, 0.07 * width) / np.maximum(blur(lips, 0.07 * width), 0.05)
    peak = np.maximum(y / np.maximum(around, 0.25 * base) - 1.12, 0.0)
    own = np.clip(1.6 * peak, 0.0, 1.0) ** 1.2
    texture = y / np.maximum(blur(y, 1.5), 1e-6)
    at = mouth.matrix.copy()
    at[:, 2] += at[:, :2] @ (x0, y0)
    own, texture = cv2.split(
        cv2.warpAffine(cv2.merge([own, texture]), at, mouth.shape[::-1], flags=cv2.INTER_LINEAR)
    )
    return own, texture


@lru_cache(maxsize=32)
def _ridges(seed: int) -> tuple[FloatArray, FloatArray]:
    """Breaks of a wet film along the lip: positions t, and brightness in [0.25, 1]."""
    rng = np.random.default_rng([seed, 7])
    places = np.cumsum(rng.uniform(0.02, 0.05, 60)) - 0.2
    return places.astype(np.float32), rng.uniform(0.25, 1.0, 60).astype(np.float32)


def _wet_shine(mouth: Mouth, hand: Hand, side: float) -> FloatArray:
    """Highlights of a wet film: a broken band on the lower lip, two spots on the bow; 0..1."""
    t, v = mouth.t, mouth.v
    shift = 0.5 + 0.25 * float(np.clip(side, -0.3, 0.3))
    below = np.maximum(mouth.lower_outer - mouth.lower_inner, 1e-3)
    above = np.maximum(mouth.upper_inner - mouth.upper_outer, 1e-3)
    low, high = (v - mouth.lower_inner) / below, (v - mouth.upper_outer) / above
    bend = 0.42 + 0.5 * np.square(t - 0.5)
    ridges = np.interp(t, *_ridges(hand.seed)).astype(np.float32)
    thick = smoothstep(0.02, 0.09, below) * ridges * bump(t, shift, 0.16)
    band = bump(low - bend, 0.0, 0.13) * thick
    spots = bump(t, shift - 0.085, 0.045) + bump(t, shift + 0.095, 0.045)
    bow = bump(high, 0.45, 0.14) * (np.float32(0.55) * spots)
    film: FloatArray = np.float32(0.75) * (band + bow)
    return film
