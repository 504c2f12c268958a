"""Lipstick, lip liner and gloss."""

import numpy as np
from numpy.typing import NDArray

from makeup_training.cosmetics.geometry import Map, Mouth, smoothstep
from makeup_training.cosmetics.makeup import Lipstick, linear_rgb
from makeup_training.cosmetics.pigment import Canvas, blur, grain, luminance


def paint_lips(canvas: Canvas, mouth: Mouth, rng: np.random.Generator, lips: Lipstick) -> None:
    """Lip liner, lipstick, and the way the lips shine in them."""
    window = mouth.window
    view = canvas.linear[window.slices]
    inside = mouth.outline_distance()
    corners = smoothstep(0.0, 0.06, np.minimum(mouth.t, 1.0 - mouth.t))
    outline = mouth.edge(inside + 0.002, 0.008) * corners
    ground = outline * (1.0 - mouth.opening()) * canvas.allowed[window.slices] > 0.6
    y = luminance(view)
    if ground.sum() < 8:
        return
    base = max(float(np.median(y[ground])), 4e-3)
    whole = outline * _tissue(mouth, view, ground)
    lit = float(np.clip(base / (0.62 * canvas.light.skin_luminance), 0.5, 1.3)) ** 0.5
    own = _own_shine(y, base, mouth.width, whole) * smoothstep(0.015, 0.05, inside)
    if lips.matte > 0:
        canvas.scale(window, 1.0 - 0.75 * lips.matte * whole * own)
    fade = 1.0 - lips.blur * (1.0 - smoothstep(0.0, 0.13, inside))
    wear = np.clip(1.0 + 0.05 * grain(rng, y.shape, 1.5), 0.8, 1.2)
    opacity = np.clip(lips.opacity * whole * fade * wear, 0.0, 1.0)
    hiding = 0.35 + 0.6 * lips.opacity
    canvas.paint(
        window, opacity, linear_rgb(lips.color), hiding=hiding, leveling=0.3, base=base, lit=lit
    )
    if lips.liner_color:
        rim = whole * smoothstep(0.055, 0.015, inside)
        canvas.paint(window, 0.75 * rim, linear_rgb(lips.liner_color), base=base, lit=lit)
    if lips.gloss > 0:
        amount = whole * (0.5 * own + _wet_shine(mouth, y, rng, canvas.light.side))
        canvas.shine(window, (0.5 * lit * lips.gloss * amount).astype(np.float32))


def _tissue(mouth: Mouth, view: Map, ground: NDArray[np.bool_]) -> Map:
    """Coverage of lip between the outer outline and the opening.

    The landmarks of the inner outline err by a pixel or two. Near it colour decides: bright
    colourless pixels are teeth and stay clear, lip-coloured ones just inside are lip.
    """
    opening = mouth.opening()
    if opening.max() == 0:
        return np.ones_like(opening)
    y = np.maximum(luminance(view), 1e-4)
    red = view[..., 0] / np.maximum(view[..., 1] + view[..., 2], 1e-4)
    y, red = y / np.median(y[ground]), red / np.median(red[ground])
    gap = np.minimum(mouth.v - mouth.upper_inner, mouth.lower_inner - mouth.v)
    teeth = smoothstep(0.92, 0.7, red) * smoothstep(1.1, 1.6, y) * smoothstep(-0.09, -0.02, gap)
    lip = smoothstep(0.72, 0.88, red) * smoothstep(0.4, 0.6, y) * smoothstep(0.045, 0.02, gap)
    cover = (1.0 - opening) * (1.0 - teeth) + opening * lip * (1.0 - teeth)
    return blur(cover, 0.5)


def _own_shine(y: Map, base: float, width: float, whole: Map) -> Map:
    """The lips' own highlights, sharpened; 0..1."""
    around = blur(y * whole, 0.07 * width) / np.maximum(blur(whole, 0.07 * width), 0.05)
    peak = np.maximum(y / np.maximum(around, 0.25 * base) - 1.12, 0.0)
    return np.clip(1.6 * peak, 0.0, 1.0) ** 1.2


def _wet_shine(mouth: Mouth, y: Map, rng: np.random.Generator, side: float) -> Map:
    """Highlights of a wet film: a broken band on the lower lip, two spots on the bow; 0..1."""
    t, v = mouth.t, mouth.v
    shift = 0.5 + 0.25 * float(np.clip(side, -0.3, 0.3))
    below = np.maximum(mouth.lower_outer - mouth.lower_inner, 1e-3)
    above = np.maximum(mouth.upper_inner - mouth.upper_outer, 1e-3)
    low, high = (v - mouth.lower_inner) / below, (v - mouth.upper_outer) / above
    bend = 0.42 + 0.5 * (t - 0.5) ** 2
    band = np.exp(-(((low - bend) / 0.13) ** 2) - (((t - shift) / 0.16) ** 2))
    spots = sum(np.exp(-(((t - shift - dx) / 0.045) ** 2)) for dx in (-0.085, 0.095))
    bow = 0.55 * np.exp(-(((high - 0.45) / 0.14) ** 2)) * spots
    phase = np.cumsum(rng.uniform(0.02, 0.05, 60))
    ridges = np.interp(t, phase - 0.2, rng.uniform(0.25, 1.0, 60)).astype(np.float32)
    texture = np.clip(y / np.maximum(blur(y, 1.5), 1e-4), 0.6, 1.4) ** 2
    thick = np.minimum(smoothstep(0.02, 0.09, below), 1.0)
    return (0.75 * (band * thick * ridges + bow) * texture).astype(np.float32)
