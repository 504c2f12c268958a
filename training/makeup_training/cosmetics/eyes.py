"""Products of the eyes: shadow, liner, mascara, brow tint; one eye at a time."""

import cv2
import numpy as np

from makeup_training.cosmetics.geometry import Eye, Map, smoothstep
from makeup_training.cosmetics.makeup import BrowTint, EyeShadow, Liner, linear_rgb
from makeup_training.cosmetics.pigment import Canvas, blur, grain, luminance


def paint_shadow(canvas: Canvas, eye: Eye, rng: np.random.Generator, shadow: EyeShadow) -> None:
    """Blend lid, crease, outer corner and inner highlight over one eye."""
    jitter = 1.0 + 0.04 * rng.standard_normal(3)
    t, h, v = eye.t, eye.h, eye.v
    top = (0.45 + 0.5 * shadow.extent) * float(jitter[0])
    crease_line = (0.36 + 0.12 * shadow.extent) * float(jitter[1])
    # the top border falls toward both corners
    dome = np.clip(1.0 - 1.1 * np.maximum(0.3 - t, 0) - 0.55 * np.maximum(t - 0.85, 0), 0.3, 1.0)
    height = h / dome
    ends = smoothstep(-0.12, 0.12, t) * smoothstep(1.42 + 0.1 * shadow.extent, 0.98, t)
    body = eye.edge(v - eye.lid + 0.02, 0.01) * smoothstep(top, 0.35 * top, height) * ends
    beneath = eye.under - v
    smudge = smoothstep(0.17, 0.0, beneath) * eye.edge(beneath + 0.01, 0.01)
    smudge *= smoothstep(0.15, 0.75, t) * smoothstep(1.3, 0.98, t) * shadow.lower
    lid = smoothstep(crease_line + 0.12, crease_line - 0.12, height) + 0.15
    weights, colors = [lid], [shadow.lid_color]
    if shadow.crease_color:
        band = np.exp(-(((height - crease_line) / 0.17) ** 2)) * smoothstep(0.0, 0.6, t)
        weights.append(1.6 * band + 0.5 * smoothstep(crease_line, top, height))
        colors.append(shadow.crease_color)
    if shadow.outer_color:
        corner = smoothstep(0.55, 1.0, t + 0.22 * (1.0 - np.clip(height, 0, 1)) - 0.1)
        weights.append(2.6 * corner + 2.0 * smudge)
        colors.append(shadow.outer_color)
    total = np.sum(weights, axis=0)[..., None]
    color = sum(w[..., None] * linear_rgb(c) for w, c in zip(weights, colors, strict=True)) / total
    powder = np.clip(1.0 + 0.07 * grain(rng, t.shape, 1.0), 0.7, 1.3)
    coverage = np.maximum(body * (0.55 + 0.45 * np.clip(total[..., 0], 0, 1)), 0.8 * smudge)
    clear = (1.0 - eye.opening()) * _lids_in_sight(canvas, eye)
    amount = float(np.clip(shadow.opacity * jitter[2], 0, 1))
    canvas.paint(
        eye.window, amount * coverage * powder * clear, color.astype(np.float32), hiding=0.75
    )
    if shadow.inner_color:
        spot = np.exp(-(((t - 0.03) / 0.12) ** 2) - (((v - 0.02) / 0.09) ** 2)) * clear
        canvas.paint(eye.window, 0.5 * amount * spot, linear_rgb(shadow.inner_color))
        canvas.shine(eye.window, 0.06 * amount * spot, linear_rgb(shadow.inner_color))
    if shadow.shimmer > 0:
        _sparkle(canvas, eye, rng, shadow, body * lid * clear)


def _lids_in_sight(canvas: Canvas, eye: Eye) -> Map:
    """1 on skin, 0 on what is far darker than this face's skin: sunglasses, frames, thick hair."""
    tone = luminance(canvas.linear[eye.window.slices]) / canvas.light.skin_luminance
    return smoothstep(0.04, 0.16, blur(tone, 0.05 * eye.width))


def _sparkle(
    canvas: Canvas, eye: Eye, rng: np.random.Generator, shadow: EyeShadow, weight: Map
) -> None:
    """Mica: a satin sheen where the lid bulges, and single bright grains."""
    view = canvas.linear[eye.window.slices]
    lit = np.clip(luminance(view) / max(canvas.light.skin_luminance, 1e-3), 0.1, 1.5)
    bulge = np.exp(-(((eye.t - 0.5) / 0.28) ** 2) - (((eye.h - 0.2) / 0.2) ** 2))
    flakes = np.clip(grain(rng, eye.t.shape, 0.45) - 1.2, 0.0, 2.0)
    tint = 0.5 + 0.5 * linear_rgb(shadow.lid_color)
    amount = shadow.shimmer * weight * lit * (0.09 * bulge + 0.05 * flakes * (0.35 + bulge))
    canvas.shine(eye.window, amount.astype(np.float32), tint)


def paint_liner(canvas: Canvas, eye: Eye, rng: np.random.Generator, liner: Liner) -> None:
    """Upper line with wing, lower line and mascara of one eye."""
    t, v = eye.t, eye.v
    width = (0.025 + 0.085 * liner.width) * (1.0 + 0.06 * float(rng.standard_normal()))
    wing = 0.45 * liner.wing * (1.0 + 0.08 * float(rng.standard_normal()))
    grow = 0.35 + 0.65 * smoothstep(0.0, 0.85, t)
    ending = smoothstep(1.06, 0.97, t)
    tail = np.clip(1.0 - (t - 1.0) / wing, 0.0, 1.0) if wing > 0.02 else ending
    line = eye.edge(
        np.minimum(v - eye.lid + 0.015, eye.lid + width * grow * tail - v), 0.012
    ) * smoothstep(0.0, 0.1, t)
    line = line * (tail > 0)
    under = eye.under - v
    lower = smoothstep(0.075, 0.0, under) * eye.edge(under + 0.02, 0.012)
    lower = lower * smoothstep(0.1, 0.8, t) * smoothstep(1.05, 0.98, t)
    root = np.exp(-(((v - eye.lid) / 0.03) ** 2)) * eye.edge(v - eye.lid + 0.02, 0.01)
    root = root * smoothstep(0.0, 0.2, t) * smoothstep(1.08, 0.98, t)
    opacity = liner.opacity * np.maximum(line, 0.8 * liner.lower * lower)
    black = linear_rgb("#0d0a09")
    if liner.lashes > 0:
        lashes = np.maximum(_lashes(eye, rng, liner.lashes), 0.6 * liner.lashes * root)
        canvas.paint(eye.window, 0.9 * lashes, black)
    clear = 1.0 - 0.85 * eye.opening()
    canvas.paint(eye.window, opacity * clear, linear_rgb(liner.color))


def _lashes(eye: Eye, rng: np.random.Generator, amount: float) -> Map:
    """Coverage of the upper lashes; lowered lids carry them downward."""
    scale = 4
    window = eye.window
    ink = np.zeros(((window.y1 - window.y0) * scale, (window.x1 - window.x0) * scale), np.uint8)
    rise = 1.0 - 1.7 * eye.closed
    count = 16 + round(10 * amount)
    roots = np.linspace(0.12, 1.03, count) + rng.normal(0, 0.02, count)
    for root, height in zip(roots, eye.lid_height(roots), strict=True):
        length = (0.09 + 0.13 * amount) * (0.55 + 0.6 * root) * float(rng.uniform(0.6, 1.15))
        lean = 0.9 * (root - 0.42) + float(rng.normal(0, 0.12))
        s = np.linspace(0.0, 1.0, 6)
        path = np.stack(
            [root + lean * length * s**1.2, height + rise * length * (0.55 * s + 0.45 * s**2)],
            axis=1,
        )
        pixels = (eye.frame.pixels(path) - (window.x0, window.y0) + 0.5) * scale - 0.5
        for index in range(5):
            thick = max(1, round((1.0 - 0.17 * index) * 0.015 * eye.width * scale))
            ends = np.round(pixels[index : index + 2] * 16).astype(int)
            cv2.line(ink, tuple(ends[0]), tuple(ends[1]), 255, thick, cv2.LINE_AA, 4)
    size = (window.x1 - window.x0, window.y1 - window.y0)
    coverage = cv2.resize(ink, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    return coverage * (0.3 + 0.45 * amount)


def paint_brows(canvas: Canvas, eye: Eye, rng: np.random.Generator, brows: BrowTint) -> None:
    """Tint brow hair and fill the gaps with fine strokes."""
    weight = eye.brow_map()
    view = canvas.linear[eye.window.slices]
    dark = 1.0 - np.clip(luminance(view) / canvas.light.skin_luminance, 0.0, 1.0)
    hairs = grain(rng, weight.shape, 0.7)
    fill = np.clip(0.55 + 0.12 * hairs + 0.7 * dark, 0.0, 1.0)
    canvas.paint(eye.window, brows.opacity * weight * fill, linear_rgb(brows.color))
