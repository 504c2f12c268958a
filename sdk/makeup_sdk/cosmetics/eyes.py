"""Products of the eyes: shadow, liner, lashes, brows; one eye at a time."""

from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np

from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.axes import Eye
from makeup_sdk.cosmetics.canvas import Canvas
from makeup_sdk.cosmetics.light import linear_color
from makeup_sdk.cosmetics.maps import bump, smoothstep
from makeup_sdk.cosmetics.textures import (
    LASH_HEIGHT,
    LASH_SPAN,
    Hand,
    grain,
    lashes,
    sparkle,
    strokes,
)
from makeup_sdk.makeup.products import Brows, Eyeliner, EyeShadow, Lashes

_T_RANGE, _COLUMNS = (-0.4, 1.8), 112
_ABOVE, _BELOW, _ROWS = 1.3, 0.3, 96
"""Extent of the shadow's map above the lid's edge (in h) and below the lower lid (in v)."""

_WING_START = 0.74
"""Position along the eye where the wing's upper edge leaves the lid."""
_WING_SAG = np.float32(0.16)
"""Sag of that edge, in quarters of an eye width."""

_SHEEN = {"satin": 0.03, "gloss": 0.11, "metallic": 0.13, "shimmer": 0.08, "glitter": 0.04}
"""Specular reflection of a finish where the lid bulges, as a fraction of the incident light."""
_FLAKES = {"metallic": 0.02, "shimmer": 0.055, "glitter": 0.16}
"""Specular reflection of its grains."""


def paint_shadow(canvas: Canvas, eye: Eye, hand: Hand, shadow: EyeShadow, amount: float) -> None:
    """Blend lid, crease, outer corner and inner highlight over one eye."""
    bottom = float(eye.under.min()) - 0.2 if shadow.lower > 0 else float(eye.lid.min()) - 0.05
    if shadow.inner:
        bottom = min(bottom, -0.2)
    rows = eye.rows(bottom, float((eye.lid + eye.room).max()))
    v = eye.v[rows]
    above, place, edge, uneven = eye.once(
        ("shadow", rows.start, rows.stop, hand), lambda: _under_shadow(eye, rows, hand)
    )
    color_map, lid_map = _shadow_map(shadow, hand)
    *color, coverage = cv2.split(_sampled(color_map, place))
    coverage *= edge
    opacity = coverage * uneven
    opacity *= np.float32(min(shadow.opacity * float(hand.vary("amount", 0.04)[0]), 1.0))
    hiding = 0.7 if shadow.finish == "metallic" else 0.5
    canvas.paint(opacity, np.stack(color), rows, amount=amount, hiding=hiding, leveling=0.2)
    lit = canvas.lit[rows]
    if shadow.inner:
        spot = bump(eye.t, 0.03, 0.12) * bump(v, 0.02, 0.09) * edge
        tint = linear_color(shadow.inner)
        inner = np.float32(0.45 * shadow.opacity) * spot
        canvas.paint(inner, tint, rows, amount=amount, hiding=0.5)
        canvas.shine(np.float32(0.02 * shadow.opacity * amount) * spot * lit, tint, rows)
    sheen = _SHEEN.get(shadow.finish, 0.0)
    if sheen > 0:
        bulge = bump(above / eye.room, 0.2, 0.2) * bump(eye.t, 0.5, 0.28)
        glow = np.float32(sheen) * bulge
        flakes = _FLAKES.get(shadow.finish, 0.0)
        if flakes > 0:
            kind = "glitter" if shadow.finish == "glitter" else "mica"
            bulge += np.float32(0.35)
            bulge *= np.float32(flakes)
            glow += bulge * sparkle(eye, kind, hand, "flakes")[rows]
        tint = 0.5 + 0.5 * linear_color(shadow.color)
        glow *= np.float32(shadow.shine * amount * min(2 * shadow.opacity, 1.0))
        glow *= coverage
        glow *= _sampled(lid_map, place)
        canvas.shine(glow * lit, tint, rows)


_Place: TypeAlias = tuple[FloatArray, FloatArray]


def _under_shadow(
    eye: Eye, rows: slice, hand: Hand
) -> tuple[FloatArray, _Place, FloatArray, FloatArray]:
    """What any shadow needs of some rows of an eye, float32 (n, w) each.

    Returns:
        height above the lid's edge, positions on a shadow's map, coverage of the lids, grain.
    """
    v = eye.v[rows]
    above = v - eye.lid
    edge = np.maximum(
        eye.edge(above + np.float32(0.02), 0.01), eye.edge(eye.under - v + np.float32(0.01), 0.01)
    )
    edge *= eye.around[rows]
    return above, _place_on_map(eye, v, above), edge, grain(eye, hand, "shadow", 0.06)[rows]


@lru_cache(maxsize=64)
def _shadow_map(shadow: EyeShadow, hand: Hand) -> tuple[FloatArray, FloatArray]:
    """float32 (96, 112, 4), linear blue, green, red and coverage, and (96, 112), fraction of lid
    colour. Rows run from below the lower lid over the lid's edge towards the brow."""
    top_share, crease_share = hand.vary("shadow", 0.04, 2)
    t = np.linspace(*_T_RANGE, _COLUMNS, dtype=np.float32)[None]
    q = np.linspace(-_BELOW, _ABOVE, _ROWS, dtype=np.float32)[:, None]
    top = (0.45 + 0.5 * shadow.extent) * float(top_share)
    crease_line = (0.36 + 0.12 * shadow.extent) * float(crease_share)
    # the top border falls towards both corners
    dome = np.clip(1.0 - 1.1 * np.maximum(0.3 - t, 0) - 0.55 * np.maximum(t - 0.85, 0), 0.3, 1.0)
    height = np.maximum(q, 0) / dome
    ends = smoothstep(-0.12, 0.12, t) * smoothstep(1.42 + 0.1 * shadow.extent, 0.98, t)
    body = smoothstep(top, 0.35 * top, height) * ends * (q >= 0)
    smudge = smoothstep(-0.17, 0.0, q) * (q < 0) * smoothstep(0.15, 0.75, t)
    smudge = smudge * smoothstep(1.3, 0.98, t) * np.float32(shadow.lower)
    lid = smoothstep(crease_line + 0.12, crease_line - 0.12, height) + 0.15
    weights, colors = [lid + 0 * t], [shadow.color]
    if shadow.crease:
        band = bump(height, crease_line, 0.17) * smoothstep(0.0, 0.6, t)
        weights.append(1.6 * band + 0.5 * smoothstep(crease_line, top, height))
        colors.append(shadow.crease)
    if shadow.outer:
        corner = smoothstep(0.55, 1.0, t + 0.22 * (1.0 - np.clip(height, 0, 1)) - 0.1)
        weights.append(2.6 * corner + 2.0 * smudge)
        colors.append(shadow.outer)
    total = np.sum([weight + 0 * body for weight in weights], axis=0)
    result = np.empty((_ROWS, _COLUMNS, 4), np.float32)
    mixed = sum(w[..., None] * linear_color(c) for w, c in zip(weights, colors, strict=True))
    result[..., :3] = mixed / total[..., None]
    if shadow.lower_color:
        result[:, :, :3] = np.where(
            q[..., None] < 0, linear_color(shadow.lower_color), result[..., :3]
        )
    result[..., 3] = np.maximum(body * (0.55 + 0.45 * np.clip(total, 0, 1)), 0.8 * smudge)
    return result, (lid * (q >= 0) + 0 * t).astype(np.float32)


def _place_on_map(eye: Eye, v: FloatArray, above: FloatArray) -> _Place:
    """Positions of the cells of some rows of an eye on a shadow's map: columns, rows."""
    x, q = np.empty((2, *above.shape), np.float32)
    x[:] = (eye.t - _T_RANGE[0]) * np.float32((_COLUMNS - 1) / (_T_RANGE[1] - _T_RANGE[0]))
    np.minimum(v - eye.under, np.float32(0), out=q)
    np.copyto(q, np.minimum(above / eye.room, np.float32(_ABOVE)), where=above >= 0)
    q += np.float32(_BELOW)
    q *= np.float32((_ROWS - 1) / (_BELOW + _ABOVE))
    return x, q


def _sampled(values: FloatArray, place: _Place) -> FloatArray:
    found: FloatArray = cv2.remap(values, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found


def paint_liner(canvas: Canvas, eye: Eye, hand: Hand, liner: Eyeliner, amount: float) -> None:
    """Paint the upper line with its wing, and the lower line, of one eye."""
    t = eye.t
    factors = hand.vary("liner", 0.07, 2)
    width = (0.022 + 0.085 * liner.width) * float(factors[0])
    wing = 0.45 * liner.wing * float(factors[1])
    top = eye.lid + width * (0.35 + 0.65 * smoothstep(0.0, 0.85, t))
    if wing > 0.02:  # a concave edge from the lid to the tip
        start = np.float32(_WING_START)
        tip = eye.tail_slope * wing * eye.width / eye.length
        low = float(np.interp(_WING_START, t[0], top[0]))
        share = (t - start) * np.float32(1.0 / (1.0 + wing - _WING_START))
        edge = low + share * np.float32(tip - low) - _WING_SAG * share * (1.0 - share)
        top = np.where(t < start, top, np.where(t < 1.0, np.maximum(top, edge), edge))
        ending = (t < 1.0 + wing).astype(np.float32)
    else:
        ending = smoothstep(1.06, 0.97, t)
    along = smoothstep(0.0, 0.1, t) * ending
    drawn = along[0] > 0
    if not drawn.any():
        return
    bottom = eye.under.min() - 0.09 if liner.lower > 0 else eye.lid[:, drawn].min() - 0.03
    rows = eye.rows(float(bottom), float(max(top[:, drawn].max(), eye.lid[:, drawn].max())))
    v = eye.v[rows]
    line = eye.edge(np.minimum(v - eye.lid + np.float32(0.015), top - v), 0.004)
    line *= along
    if liner.lower > 0:
        under = eye.under - v
        lower = smoothstep(0.065, 0.0, under) * eye.edge(under + np.float32(0.02), 0.012)
        lower *= smoothstep(0.1, 0.8, t) * smoothstep(1.05, 0.98, t) * np.float32(liner.lower)
        line = np.maximum(line, np.float32(0.8) * lower)
    line *= np.float32(liner.opacity) * (0.15 + 0.85 * eye.around[rows])
    canvas.paint(line, linear_color(liner.color), rows, amount=amount, leveling=0.4)


def paint_lashes(canvas: Canvas, eye: Eye, hand: Hand, product: Lashes, amount: float) -> None:
    """Paint upper lashes, which move down with lowered lids, their roots, and lower lashes."""
    rise = 1.0 - 1.7 * eye.closed
    rise = float(np.copysign(max(abs(rise), 0.25), rise))
    reach = LASH_HEIGHT * rise
    bottom, top = float(eye.lashes.min()) + min(reach, -0.08), float(eye.lashes.max())
    if product.lower > 0:
        bottom = min(bottom, float(eye.under.min()) - LASH_HEIGHT)
    rows = eye.rows(bottom, top + max(reach, 0.08))
    above = eye.v[rows] - eye.lashes
    height = above * np.float32(1.0 / rise)
    x = eye.t - np.float32(LASH_SPAN[0])
    variant = hand.variant("lashes")
    texture = lashes(product.length, product.volume, False, variant)
    cover = texture.at(x, height, eye.cell)
    cover *= (height > 0) & (height < LASH_HEIGHT)
    cover *= np.float32(0.55 + 0.4 * product.volume)
    root = bump(above, 0.0, 0.028) * eye.edge(above + np.float32(0.02), 0.01)
    root *= smoothstep(0.0, 0.2, eye.t) * smoothstep(1.04, 0.97, eye.t)
    root *= np.float32(0.35 + 0.35 * product.volume)
    np.maximum(cover, root, out=cover)
    if product.lower > 0:
        depth = eye.under - eye.v[rows]
        texture = lashes(product.length, product.volume, True, variant)
        low = texture.at(x, depth, eye.cell) * (depth > 0)
        cover = np.maximum(cover, np.float32(0.75 * product.lower) * low)
    cover *= np.float32(0.3 + 0.7 * max(product.length, product.volume))
    canvas.paint(cover, linear_color(product.color), rows, amount=amount, leveling=0.3)


def paint_brows(
    canvas: Canvas, eye: Eye, hand: Hand, brows: Brows, seen: FloatArray, amount: float
) -> None:
    """Tint brow hair and fill gaps with fine strokes; `seen` (h, w) is the natural brow."""
    rows, weight, strands = eye.once(("brow", hand), lambda: _under_brow(eye, hand, seen))
    fill = strands + (
        np.float32(0.5 + 0.7) - np.float32(0.7) * np.minimum(canvas.shade[rows], np.float32(1))
    )
    np.minimum(np.maximum(fill, np.float32(0), out=fill), np.float32(1), out=fill)
    fill *= np.float32(brows.opacity) * weight
    canvas.paint(fill, linear_color(brows.color), rows, amount=amount)


def _under_brow(eye: Eye, hand: Hand, seen: FloatArray) -> tuple[slice, FloatArray, FloatArray]:
    """The rows of an eye's brow; its coverage and fine strands there, float32 (n, w) each."""
    there = np.flatnonzero(seen.max(axis=1) > 0.01)
    low, high = float(eye.brow_bottom.min()) - 0.08, float(eye.brow_top.max()) + 0.08
    if there.size:
        low, high = min(low, float(eye.v[there[0], 0])), max(high, float(eye.v[there[-1], 0]))
    rows = eye.rows(low, high)
    seen = seen[rows]
    weight = np.maximum(eye.brow_map(rows) * (0.35 + 0.65 * seen), seen)
    return rows, weight, np.float32(0.14) * strokes(eye, hand, "brow")[rows]
