"""Paint a described makeup onto a photo of a face, and make training triples of it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.errors import InvalidInputError
from makeup_training.cosmetics.eyes import paint_brows, paint_liner, paint_shadow
from makeup_training.cosmetics.geometry import (
    Eye,
    Map,
    Mouth,
    Window,
    check_landmarks,
    face_mask,
    face_outline,
    face_unit,
    smoothstep,
)
from makeup_training.cosmetics.lips import paint_lips
from makeup_training.cosmetics.makeup import Makeup
from makeup_training.cosmetics.pigment import Canvas, Light, blur, luminance, to_linear, to_srgb
from makeup_training.cosmetics.skin import paint_blush, paint_contour, paint_foundation
from makeup_training.cosmetics.styles import random_makeup

_KEEP_CLEAR = (0, 10, 11)
"""Parse classes that never take paint: background, hair and beard, rest of the person.

Eyeballs and teeth are left to the landmarks' own curves, which are finer than a pixel map."""


def render(
    image: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    makeup: Makeup,
    rng: np.random.Generator,
    parse: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Paint a makeup onto a face.

    Args:
        image: uint8 (H, W, 3), sRGB, BGR order; not modified.
        landmarks: float (68, 2), iBUG order, x then y, pixels of `image`.
        makeup: what to wear.
        rng: hand tremor, powder grain, glitter; the same state gives the same picture.
        parse: uint8 (H, W), 12-class face parse (0 background, 1 skin, 2/3 brows, 4/5 eyes, 6 nose,
            7 upper lip, 8 mouth inside, 9 lower lip, 10 hair, 11 rest of the person). Keeps paint
            off hair and teeth; without it the landmarks alone decide.

    Returns:
        uint8 (H, W, 3). Pixels outside the face outline are those of `image`.

    Raises:
        InvalidInputError: wrong shapes or dtypes, landmarks outside the image or degenerate.
    """
    _check_pictures(image, parse)
    points = check_landmarks(landmarks, image.shape)
    unit = face_unit(points)
    face = Window.around(face_outline(points), 1.0, image.shape)
    if face.empty:
        return image.copy()
    points = points - (face.x0, face.y0)
    bare = image[face.slices]
    linear = to_linear(bare)
    shape = linear.shape
    mask = face_mask(points, shape, 0.035 * unit)
    if parse is not None:
        mask = mask * _clear_of(parse[face.slices], unit)
    canvas = Canvas(linear, _light(linear, points, mask, parse, face), mask)
    _paint(canvas, points, unit, makeup, rng)
    result = image.copy()
    result[face.slices] = np.where((mask > 0)[..., None], to_srgb(canvas.linear), bare)
    return result


def _paint(
    canvas: Canvas,
    points: NDArray[np.float64],
    unit: float,
    makeup: Makeup,
    rng: np.random.Generator,
) -> None:
    """All products in the order in which they are put on. Each has a random stream of its own, so
    that adding one does not change the others."""
    shape = canvas.linear.shape
    whole = Window(0, 0, shape[1], shape[0])
    hands = [np.random.default_rng(seed) for seed in rng.integers(0, 2**63, size=9)]
    skin_hand, blush_hand, lip_hand = hands[:3]
    tail = makeup.liner.wing_angle if makeup.liner and makeup.liner.wing > 0 else 24.0
    eyes = [
        (Eye(points, left, shape, tail), eye_hands)
        for left, eye_hands in ((True, hands[3:6]), (False, hands[6:9]))
        if _visible(points, left, unit)
    ]
    eyes = [(eye, eye_hands) for eye, eye_hands in eyes if not eye.window.empty]
    mouth = Mouth(points, shape) if _apart(points[48], points[54], 0.15 * unit) else None
    if mouth is not None and mouth.window.empty:
        mouth = None
    if makeup.foundation:
        skin = _bare_skin(canvas, [eye for eye, _ in eyes], mouth, unit)
        paint_foundation(canvas, skin, whole, unit, makeup.foundation)
    if makeup.contour:
        paint_contour(canvas, points, whole, skin_hand, makeup.contour)
    if makeup.blush:
        paint_blush(canvas, points, whole, blush_hand, makeup.blush)
    for eye, (brow_hand, shadow_hand, liner_hand) in eyes:
        if makeup.brows:
            paint_brows(canvas, eye, brow_hand, makeup.brows)
        if makeup.shadow:
            paint_shadow(canvas, eye, shadow_hand, makeup.shadow)
        if makeup.liner:
            paint_liner(canvas, eye, liner_hand, makeup.liner)
    if makeup.lipstick and mouth:
        paint_lips(canvas, mouth, lip_hand, makeup.lipstick)


@dataclass(frozen=True)
class Triple:
    """A training example with exact ground truth, uint8 (H, W, 3) BGR each.

    Attributes:
        source: the bare source.
        reference: another person wearing `makeup`.
        painted: the source wearing `makeup`: what a transfer from `reference` should give.
        makeup: the makeup.
    """

    source: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    painted: NDArray[np.uint8]
    makeup: Makeup


@dataclass(frozen=True)
class Face:
    """A photo with its labels: image uint8 (H, W, 3) BGR, landmarks (68, 2), parse (H, W) or
    None."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.floating]
    parse: NDArray[np.uint8] | None = None


def triple(
    rng: np.random.Generator, source: Face, reference: Face, makeup: Makeup | None = None
) -> Triple:
    """Put one makeup on two people.

    Args:
        rng: source of all randomness.
        source: who is to wear the makeup.
        reference: who lends it.
        makeup: what to wear; drawn by `random_makeup` if None.

    Returns:
        The bare source, the painted reference, and the source in the reference's makeup.
    """
    makeup = makeup or random_makeup(rng)
    hands = [np.random.default_rng(seed) for seed in rng.integers(0, 2**63, size=2)]
    painted, worn = (
        render(face.image, face.landmarks, makeup, hand, face.parse)
        for face, hand in zip((source, reference), hands, strict=True)
    )
    return Triple(source.image, worn, painted, makeup)


def _check_pictures(image: NDArray[np.uint8], parse: NDArray[np.uint8] | None) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise InvalidInputError(f"image: got {kind}, expected uint8 (H, W, 3) in BGR order")
    if image.shape[2] != 3:
        raise InvalidInputError(
            f"image: got {image.shape[2]} channels, expected 3 in BGR order; "
            "cv2.imread(path, cv2.IMREAD_COLOR) gives them"
        )
    if parse is not None and (parse.dtype != np.uint8 or parse.shape != image.shape[:2]):
        raise InvalidInputError(
            f"parse: got {parse.dtype} {parse.shape}, expected uint8 {image.shape[:2]}, one class "
            "per pixel of the image"
        )


def _clear_of(parse: NDArray[np.uint8], unit: float) -> Map:
    """Where the parse allows paint, with a soft border of about a pixel."""
    free = ~np.isin(parse, _KEEP_CLEAR)
    distance = cv2.distanceTransform(free.astype(np.uint8), cv2.DIST_L2, 3)
    return smoothstep(0.0, 1.5 + 0.01 * unit, distance)


def _light(
    linear: Map,
    points: NDArray[np.float64],
    mask: Map,
    parse: NDArray[np.uint8] | None,
    face: Window,
) -> Light:
    """The face's light, measured on the cheeks between eyes and mouth."""
    outline = points[[1, 2, 3, 48, 31, 28, 35, 54, 13, 14, 15, 46, 42, 28, 39, 41]]
    cheeks = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(cheeks, [np.round(outline).astype(np.int32)], 1)
    weight = cheeks * mask
    if parse is not None:
        weight = weight * np.isin(parse[face.slices], (1, 6))
    x, y = Window(0, 0, mask.shape[1], mask.shape[0]).grid()
    down = points[8] - points[27]
    right = (x - points[27, 0]) * down[1] - (y - points[27, 1]) * down[0] > 0
    return Light.from_skin(linear, weight.astype(np.float32), right)


def _bare_skin(canvas: Canvas, eyes: list[Eye], mouth: Mouth | None, unit: float) -> Map:
    """Weight of the skin for foundation: the face without eyes, brows, lips, and without what is
    too dark or too pale for this skin: hair, nostrils, frames."""
    skin = canvas.allowed.copy()
    for eye in eyes:
        skin[eye.window.slices] *= (1.0 - eye.opening()) * (1.0 - eye.brow_map())
    if mouth is not None:
        lips = mouth.edge(mouth.outline_distance() + 0.03, 0.03)
        skin[mouth.window.slices] *= 1.0 - lips
    tone = luminance(canvas.linear) / canvas.light.skin_luminance
    chroma = canvas.linear / np.maximum(canvas.linear.sum(axis=-1, keepdims=True), 1e-4)
    own = canvas.light.skin / canvas.light.skin.sum()
    away = np.abs(chroma - own).sum(axis=-1)
    likely = smoothstep(0.08, 0.3, tone) * smoothstep(0.32, 0.16, away)
    return skin * blur(likely.astype(np.float32), 0.012 * unit)


def _apart(a: NDArray[np.float64], b: NDArray[np.float64], least: float) -> bool:
    return float(np.hypot(*(a - b))) > max(least, 3.0)


def _visible(points: NDArray[np.float64], left: bool, unit: float) -> bool:
    """False for an eye that is turned away so far that its corners meet."""
    inner, outer = (39, 36) if left else (42, 45)
    return _apart(points[inner], points[outer], 0.09 * unit)
