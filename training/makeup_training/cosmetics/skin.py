"""Products of the skin: foundation, contour and highlighter, blush."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from makeup_training.cosmetics.geometry import Map, Window, blob, face_unit, stroke
from makeup_training.cosmetics.makeup import Blush, Contour, Foundation, linear_rgb
from makeup_training.cosmetics.pigment import Canvas, blur, grain, luminance

Points = NDArray[np.float64]


class _Side(NamedTuple):
    """Landmark indices of one half of the face."""

    jaw: tuple[int, int, int, int]
    temple: int
    cheek: int
    outer: int
    inner: int
    corner: int
    brow: int
    nostril: int


_LEFT = _Side((1, 3, 5, 7), 0, 2, 36, 39, 48, 18, 31)
_RIGHT = _Side((15, 13, 11, 9), 16, 14, 45, 42, 54, 25, 35)


def paint_foundation(
    canvas: Canvas, skin: Map, window: Window, unit: float, foundation: Foundation
) -> None:
    """Even out blotches, take away shine, shift the skin's shade. `skin` (h, w) weighs the skin."""
    view = canvas.linear[window.slices]
    y = np.maximum(luminance(view), 1e-4)
    weight = skin * foundation.coverage
    total = np.maximum(blur(skin, 0.07 * unit), 1e-3)
    mean = blur(y * skin, 0.07 * unit) / total
    fine = blur(y * skin, 0.008 * unit) / np.maximum(blur(skin, 0.008 * unit), 1e-3)
    blotch = np.clip(mean / np.maximum(fine, 1e-4), 0.85, 1.18) ** 0.6
    canvas.scale(window, 1.0 + weight * (blotch - 1.0))
    chroma = view / np.maximum(luminance(view), 1e-4)[..., None]
    even = (
        blur(chroma * skin[..., None], 0.1 * unit)
        / np.maximum(blur(skin, 0.1 * unit), 1e-3)[..., None]
    )
    factor = np.clip(even / np.maximum(chroma, 1e-3), 0.8, 1.25)
    canvas.scale(window, 1.0 + 0.7 * weight[..., None] * (factor - 1.0))
    shine = np.maximum(luminance(view) / np.maximum(mean, 1e-4) - 1.12, 0.0)
    canvas.scale(window, 1.0 / (1.0 + 0.8 * foundation.matte * skin * shine))
    shade = np.array([0.10, 0.12, 0.14]) * foundation.lightness
    shade = shade + np.array([0.05, 0.01, -0.10]) * foundation.warmth
    canvas.scale(window, (1.0 + skin[..., None] * (np.exp(shade) - 1.0)).astype(np.float32))


def paint_contour(
    canvas: Canvas,
    points: Points,
    window: Window,
    rng: np.random.Generator,
    contour: Contour,
) -> None:
    """Shade the face's hollows and light its ridges."""
    grid, unit = window.grid(), face_unit(points)
    rise = (points[27] - points[8]) / np.hypot(*(points[27] - points[8])) * unit
    shade = np.zeros(grid[0].shape, np.float32)
    light = 0.55 * stroke(grid, points[27:30], 0.035 * unit)
    light = np.maximum(light, 0.6 * stroke(grid, points[[30, 30]], 0.04 * unit))
    bow = points[50:53] + 0.1 * (points[33] - points[51])
    light = np.maximum(light, 0.6 * stroke(grid, bow, 0.025 * unit))
    for side in (_LEFT, _RIGHT):
        ear, hinge, jaw, chin = points[list(side.jaw)]
        outer, inner, corner, brow = points[[side.outer, side.inner, side.corner, side.brow]]
        hollow = np.stack([ear, 0.62 * points[side.cheek] + 0.38 * corner])
        hollow = hollow + 0.25 * (hinge - ear)
        temple = np.stack([points[side.temple], points[side.temple] + 0.18 * rise])
        temple[1] = 0.6 * temple[1] + 0.4 * brow
        bridge = points[27:30] + 0.34 * (inner - points[27])
        lines = (
            (1.0, hollow, 0.10, 0.6),
            (0.7, np.stack([hinge, jaw, chin]), 0.09, 0.5),
            (0.6, temple, 0.12, 0.0),
            (0.45, bridge, 0.045, 0.0),
        )
        strength = float(rng.uniform(0.92, 1.08))
        for weight, path, radius, taper in lines:
            line = stroke(grid, path, radius * unit, taper)
            shade = np.maximum(shade, strength * weight * line)
        ridge = np.stack([0.72 * outer + 0.28 * corner, 0.55 * outer + 0.45 * ear])
        light = np.maximum(light, stroke(grid, ridge, 0.065 * unit))
    depth = (contour.shade * shade)[..., None] * np.array([0.36, 0.44, 0.48], np.float32)
    canvas.scale(window, np.exp(-depth).astype(np.float32))
    if contour.highlight > 0:
        shading = luminance(canvas.linear[window.slices]) / canvas.light.skin_luminance
        amount = contour.highlight * light * np.clip(shading, 0.2, 1.4) ** 1.5
        reach = 0.10 + 0.22 * canvas.light.skin_luminance
        canvas.shine(window, amount * reach, linear_rgb(contour.highlight_color))


def paint_blush(
    canvas: Canvas, points: Points, window: Window, rng: np.random.Generator, blush: Blush
) -> None:
    """Blush on both cheeks."""
    grid = window.grid()
    spots = np.zeros(grid[0].shape, np.float32)
    for side in (_LEFT, _RIGHT):
        jitter = 1.0 + 0.06 * rng.standard_normal(3)
        outer, corner, nostril = points[[side.outer, side.corner, side.nostril]]
        ear = points[side.jaw[0]]
        out, down = ear - nostril, corner - outer
        if min(np.hypot(*out), np.hypot(*down)) < 2.0:  # a cheek turned away
            continue
        apple = nostril + 0.5 * out - 0.04 * down
        if blush.placement in ("apple", "sunkissed"):
            spot = blob(grid, apple, 0.33 * jitter[0] * out, 0.27 * jitter[1] * down)
        else:
            lift = 0.62 if blush.placement == "lifted" else 0.85
            bone = nostril + 0.82 * out - 0.16 * lift * down
            temple = outer + 0.55 * (ear - outer) - 0.3 * (lift - 0.45) * down
            width = 0.21 * float(np.hypot(*down) * jitter[0])
            spot = stroke(grid, np.stack([apple, bone, temple]), width, taper=0.35)
        spots = np.maximum(spots, spot * np.float32(jitter[2]))
    if blush.placement == "sunkissed":
        nose = 0.5 * (points[35] - points[31]), 0.5 * (points[30] - points[28])
        spots = np.maximum(0.9 * spots, 0.75 * blob(grid, points[29], *nose))
    powder = np.clip(1.0 + 0.06 * grain(rng, spots.shape, 1.2), 0.7, 1.3)
    canvas.paint(
        window, blush.opacity * 0.45 * spots * powder, linear_rgb(blush.color), hiding=0.35
    )
