"""Occluders painted on pictures: glasses, masks, hands, hair, hats, shapes.

Every painter gets the face's landmarks and draws into an 8-bit coverage mask; `occlude` blends the
colour or texture over the picture. Sizes are in pupil distances.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.geometry import pupil_distance

Mask = NDArray[np.uint8]
Points = NDArray[np.floating]
Painter = Callable[[Mask, Points, np.random.Generator], NDArray[np.floating] | None]

_SHIFT = 4


def occlude(
    image: NDArray[np.uint8],
    landmarks: Points,
    rng: np.random.Generator,
    texture: NDArray[np.uint8] | None = None,
    kind: str | None = None,
) -> NDArray[np.bool_]:
    """Paint one occluder on `image` in place and return the covered pixels, bool (H, W).

    Args:
        image: uint8 (H, W, 3) BGR.
        landmarks: float (68, 2) of the covered face, pixels.
        rng: source of all randomness.
        texture: another picture, uint8, used as the pattern of some occluders.
        kind: a key of `OCCLUDERS`; None: random.
    """
    kind = kind or str(rng.choice(list(OCCLUDERS)))
    mask = np.zeros(image.shape[:2], np.uint8)
    colour = OCCLUDERS[kind](mask, landmarks, rng)
    x, y, width, height = cv2.boundingRect(mask)
    covered = mask > 127
    if width == 0 or height == 0:
        return covered
    part = image[y : y + height, x : x + width]
    patterned = texture is not None and colour is None and rng.random() < 0.6
    if patterned and texture is not None:
        paint = _texture(texture, width, height, rng)
    else:
        paint = _shaded(_object_colour(rng) if colour is None else colour, part, rng)
    alpha = mask[y : y + height, x : x + width, None].astype(np.float32) * (1 / 255)
    if kind == "hand" and rng.random() < 0.5:
        paint = _shaded(_cheek_colour(image, landmarks), part, rng)
    if kind == "glasses":
        lens = _tint_lenses(image, covered, landmarks, rng)
        covered |= lens
        part = image[y : y + height, x : x + width]
    if kind == "hand" and rng.random() < 0.7:
        _drop_shadow(image, mask, rng)
        part = image[y : y + height, x : x + width]
    image[y : y + height, x : x + width] = part + (paint - part) * alpha + 0.5
    return covered


def _glasses(mask: Mask, points: Points, rng: np.random.Generator) -> NDArray[np.floating]:
    unit = pupil_distance(points)
    thickness = max(1, round(unit * rng.uniform(0.02, 0.11)))
    for lens in _lenses(points, np.random.default_rng(rng.integers(1 << 30))):
        _polygon(mask, lens, fill=False, thickness=thickness)
    right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    across = (left - right) / max(unit, 1e-6)
    drop = np.array([-across[1], across[0]]) * unit * rng.uniform(-0.05, 0.05)
    _line(
        mask, right + 0.36 * (left - right) + drop, left - 0.36 * (left - right) + drop, thickness
    )
    for eye, ear in (
        (right - 0.4 * unit * across, points[0]),
        (left + 0.4 * unit * across, points[16]),
    ):
        _line(mask, eye + drop, ear, thickness)
    if rng.random() < 0.7:
        return np.full(3, rng.uniform(5, 70)) + rng.uniform(-5, 5, 3)
    return rng.uniform(0, 255, 3)


def _lenses(points: Points, rng: np.random.Generator) -> list[NDArray[np.floating]]:
    unit = pupil_distance(points)
    right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    across = (left - right) / max(unit, 1e-6)
    down = np.array([-across[1], across[0]])
    half_width, half_height = rng.uniform(0.32, 0.42), rng.uniform(0.2, 0.38)
    power, sag = rng.uniform(1.6, 5.0), rng.uniform(0.0, 0.12)
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * half_width
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * half_height + sag
    return [
        centre + unit * (side * x[:, None] * across + y[:, None] * down)
        for centre, side in ((right, 1.0), (left, -1.0))
    ]


def _tint_lenses(
    image: NDArray[np.uint8], frame: NDArray[np.bool_], points: Points, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Fill the lenses: sunglasses (counted as covered) or a faint glare."""
    inside = np.zeros(frame.shape, np.uint8)
    outlines, _ = cv2.findContours(frame.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    unit = pupil_distance(points)
    centres = (points[36:42].mean(axis=0), points[42:48].mean(axis=0))
    for outline in outlines:
        middle = outline[:, 0].mean(axis=0)
        near = min(float(np.hypot(*(middle - c))) for c in centres)
        if near < 0.3 * unit and cv2.contourArea(outline) > 0.05 * unit * unit:
            cv2.fillPoly(inside, [outline], 255)
    dark = rng.random() < 0.4
    alpha = rng.uniform(0.55, 1.0) if dark else rng.uniform(0.0, 0.2)
    tint = rng.uniform(0, 90, 3) if dark else rng.uniform(120, 255, 3)
    lens = inside > 0
    if lens.any():
        top, bottom = np.flatnonzero(lens.any(axis=1))[[0, -1]]
        fade = np.linspace(1.0, rng.uniform(0.4, 1.0), bottom - top + 1, dtype=np.float32)
        weight = np.zeros((image.shape[0], 1), np.float32)
        weight[top : bottom + 1, 0] = alpha * fade
        weight = (np.broadcast_to(weight, lens.shape) * lens)[..., None]
        rows = slice(top, bottom + 1)
        mixed = image[rows] * (1 - weight[rows]) + tint * weight[rows]
        image[rows] = np.clip(mixed, 0, 255).astype(np.uint8)
    return lens if dark else np.zeros_like(lens)


def _face_mask(mask: Mask, points: Points, rng: np.random.Generator) -> NDArray[np.floating] | None:
    first = int(rng.integers(1, 4))
    jaw = points[first : 17 - first]
    unit = pupil_distance(points)
    centre = points[30]
    jaw = centre + (jaw - centre) * rng.uniform(1.0, 1.12)
    top = points[27] + (points[33] - points[27]) * rng.uniform(0.3, 1.15)
    corners = [points[first] * 0.5 + top * 0.5, points[16 - first] * 0.5 + top * 0.5]
    polygon = np.array([*jaw, corners[1], top, corners[0]])
    _polygon(mask, polygon)
    if rng.random() < 0.7:
        thickness = max(1, round(unit * 0.03))
        _line(mask, points[first], points[0], thickness)
        _line(mask, points[16 - first], points[16], thickness)
    choice = rng.random()
    if choice < 0.35:
        return np.array([rng.uniform(180, 240), rng.uniform(170, 220), rng.uniform(120, 200)])
    if choice < 0.6:
        return np.full(3, rng.uniform(200, 250)) + rng.uniform(-8, 8, 3)
    return np.full(3, rng.uniform(5, 60)) if choice < 0.75 else None


def _hand(mask: Mask, points: Points, rng: np.random.Generator) -> NDArray[np.floating]:
    unit = pupil_distance(points)
    middle = points[27:68].mean(axis=0)
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-direction[1], direction[0]])
    tip = middle + rng.normal(0, 0.7, 2) * unit
    palm = tip - direction * unit * rng.uniform(0.9, 1.3)
    width = unit * rng.uniform(0.35, 0.6)
    _polygon(mask, _blob(palm, width, width * rng.uniform(1.0, 1.3), angle, rng, 0.06))
    wrist = palm - direction * unit * 2.5
    _line(mask, palm, wrist, max(2, round(width * rng.uniform(1.0, 1.4))))
    fingers = int(rng.integers(1, 5))
    finger = max(2, round(width * rng.uniform(0.38, 0.5)))
    spread = rng.uniform(0.1, 0.5)
    for k in range(fingers):
        offset = (k - 1.5) * width * 0.5
        lean = direction * np.cos(spread * (k - 1.5) * 0.5) + across * np.sin(
            spread * (k - 1.5) * 0.5
        )
        length = unit * rng.uniform(0.7, 1.2)
        base = palm + across * offset + direction * width * 0.4
        knuckle = base + lean * length * 0.5
        bend = lean + across * rng.uniform(-0.3, 0.3)
        _line(mask, base, knuckle, finger)
        _line(mask, knuckle, knuckle + bend * length * 0.5, max(2, round(finger * 0.85)))
    light = rng.uniform(0.25, 1.05)
    return np.array([150, 180, 225]) * light + rng.uniform(-18, 18, 3)


def _shape(mask: Mask, points: Points, rng: np.random.Generator) -> None:
    unit = pupil_distance(points)
    centre = points[17:68].mean(axis=0) + rng.normal(0, 0.9, 2) * unit
    rx, ry = unit * rng.uniform(0.25, 1.1), unit * rng.uniform(0.25, 1.1)
    angle = rng.uniform(0, np.pi)
    if rng.random() < 0.5:
        _polygon(mask, _blob(centre, rx, ry, angle, rng, rng.uniform(0, 0.25)))
        return
    box = np.array([(-rx, -ry), (rx, -ry), (rx, ry), (-rx, ry)]) * rng.uniform(0.6, 1.0, (4, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    _polygon(mask, centre + box @ turn.T)


def _strands(mask: Mask, points: Points, rng: np.random.Generator) -> NDArray[np.floating]:
    unit = pupil_distance(points)
    up = points[27] - points[8]
    up = up / max(float(np.hypot(*up)), 1e-6)
    across = np.array([-up[1], up[0]])
    top = points[27] + up * unit * rng.uniform(0.9, 1.5)
    start = top + across * unit * rng.uniform(-1.0, 1.0)
    end = points[30] - up * unit * rng.uniform(-0.8, 2.0) + across * unit * rng.uniform(-1.3, 1.3)
    bend = (start + end) / 2 + across * unit * rng.uniform(-0.9, 0.9)
    lock = unit * rng.uniform(0.02, 0.28)
    steps = np.linspace(0, 1, 14)[:, None]
    for _ in range(int(rng.integers(3, 26))):
        a, b, c = (p + rng.normal(0, 1, 2) * lock for p in (start, bend, end))
        curve = (1 - steps) ** 2 * a + 2 * steps * (1 - steps) * b + steps**2 * c
        thickness = max(1, round(unit * rng.uniform(0.01, 0.06)))
        cv2.polylines(mask, [_fixed(curve)], False, 255, thickness, cv2.LINE_AA, _SHIFT)
    return _hair_colour(rng)


def _fringe(mask: Mask, points: Points, rng: np.random.Generator) -> NDArray[np.floating]:
    unit = pupil_distance(points)
    up = points[27] - points[8]
    up = up / max(float(np.hypot(*up)), 1e-6)
    across = np.array([-up[1], up[0]])
    bottom = rng.uniform(0.0, 0.8)
    sides = np.linspace(-1.5, 1.5, 16)
    length = bottom + rng.uniform(-0.35, 0.35) * np.abs(sides) + rng.normal(0, 0.07, 16)
    edge = points[27] + unit * (length[:, None] * up + sides[:, None] * across)
    _polygon(mask, np.vstack([edge, edge[::-1][[0, -1]] + up * unit * 2.5]))
    return _hair_colour(rng)


def _hat(mask: Mask, points: Points, rng: np.random.Generator) -> None:
    unit = pupil_distance(points)
    up = points[27] - points[8]
    up = up / max(float(np.hypot(*up)), 1e-6)
    across = np.array([-up[1], up[0]])
    height = rng.uniform(0.25, 1.0)
    tilt, sag = rng.uniform(-0.15, 0.15), rng.uniform(-0.25, 0.25)
    sides = np.linspace(-1.7, 1.7, 16)
    level = height + tilt * sides + sag * (sides / 1.7) ** 2
    edge = points[27] + unit * (level[:, None] * up + sides[:, None] * across)
    _polygon(mask, np.vstack([edge, edge[::-1][[0, -1]] + up * unit * 3]))
    if rng.random() < 0.4:
        brim = points[27] + unit * up * (height + 0.1)
        angle = float(np.arctan2(across[1], across[0]))
        _polygon(
            mask,
            _blob(brim, unit * rng.uniform(1.5, 3), unit * rng.uniform(0.1, 0.3), angle, rng, 0),
        )


OCCLUDERS: dict[str, Painter] = {
    "glasses": _glasses,
    "mask": _face_mask,
    "hand": _hand,
    "shape": _shape,
    "strands": _strands,
    "fringe": _fringe,
    "hat": _hat,
}


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.round(np.clip(points, -2000, 4000) * (1 << _SHIFT)).astype(np.int32)


def _polygon(mask: Mask, points: Points, *, fill: bool = True, thickness: int = 1) -> None:
    if fill:
        cv2.fillPoly(mask, [_fixed(points)], 255, cv2.LINE_AA, _SHIFT)
    else:
        cv2.polylines(mask, [_fixed(points)], True, 255, thickness, cv2.LINE_AA, _SHIFT)


def _line(mask: Mask, start: Points, end: Points, thickness: int) -> None:
    cv2.polylines(
        mask, [_fixed(np.stack([start, end]))], False, 255, thickness, cv2.LINE_AA, _SHIFT
    )


def _blob(
    centre: Points, rx: float, ry: float, angle: float, rng: np.random.Generator, rough: float
) -> NDArray[np.floating]:
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    radius = np.ones_like(turn)
    for wave in range(2, 6):
        radius += rough * rng.normal() * np.cos(wave * turn + rng.uniform(0, 6.3)) / wave
    x, y = rx * radius * np.cos(turn), ry * radius * np.sin(turn)
    cos, sin = np.cos(angle), np.sin(angle)
    return centre + np.stack([x * cos - y * sin, x * sin + y * cos], axis=1)


def _cheek_colour(image: NDArray[np.uint8], points: Points) -> NDArray[np.floating]:
    height, width = image.shape[:2]
    cheeks = np.round((points[[31, 35]] + points[[3, 13]]) / 2).astype(int)
    inside = np.clip(cheeks, 0, [width - 1, height - 1])
    return np.asarray(image[inside[:, 1], inside[:, 0]].astype(np.float64).max(axis=0))


def _hair_colour(rng: np.random.Generator) -> NDArray[np.floating]:
    base = np.array(
        [(20, 22, 28), (30, 42, 62), (60, 95, 140), (120, 175, 215), (40, 70, 150), (190, 190, 195)]
    )[rng.integers(6)]
    return base * rng.uniform(0.6, 1.2) + rng.uniform(-8, 8, 3)


def _object_colour(rng: np.random.Generator) -> NDArray[np.floating]:
    if rng.random() < 0.4:
        return np.full(3, rng.uniform(0, 255)) + rng.uniform(-12, 12, 3)
    return rng.uniform(0, 255, 3)


def _shaded(
    colour: NDArray[np.floating], part: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.float32]:
    """The colour with a soft gradient and a little noise, float32 (h, w, 3) in 0..255."""
    height, width = part.shape[:2]
    coarse = rng.uniform(0.72, 1.2, (3, 3)).astype(np.float32)
    light = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        grain = rng.normal(1, 0.08, (height // 2 + 1, width // 2 + 1)).astype(np.float32)
        light = light * cv2.resize(grain, (width, height))
    return np.clip(light[..., None] * colour.astype(np.float32), 0, 254)


def _texture(
    picture: NDArray[np.uint8], width: int, height: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A patch from the picture's border, where portraits show clothes, hair or background."""
    tall, wide = picture.shape[:2]
    side = int(rng.integers(16, max(18, int(0.3 * min(tall, wide)))))
    y, x = (int(rng.integers(0, length - side + 1)) for length in (tall, wide))
    edge = rng.integers(3)
    if edge == 0:
        y = tall - side
    else:
        x = 0 if edge == 1 else wide - side
    patch = cv2.resize(picture[y : y + side, x : x + side], (width, height))
    return np.minimum(patch.astype(np.float32), 254)


def _drop_shadow(image: NDArray[np.uint8], mask: Mask, rng: np.random.Generator) -> None:
    shift = rng.uniform(-4, 4, 2)
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    soft = cv2.blur(cv2.warpAffine(mask, move, mask.shape[::-1]), (9, 9))
    dark = 1 - soft[..., None].astype(np.float32) * (rng.uniform(0.1, 0.5) / 255)
    image[:] = (image * dark).astype(np.uint8)
