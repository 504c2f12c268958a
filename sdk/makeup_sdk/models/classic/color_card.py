"""A `classic` look described by colours instead of a photo."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, Region
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_sdk.faces.layout import FINE_STRIDE
from makeup_sdk.faces.light import luminance, to_log
from makeup_sdk.faces.template import template_landmarks, template_regions
from makeup_sdk.makeup.fields import CARD_SKIN, DETAIL_SIDE, FIELD_SIZE, MakeupFields
from makeup_sdk.models.classic.bare_face import bare_face
from makeup_sdk.models.classic.encode import DETAIL_SCALE

FloatArray = NDArray[np.float32]
Color = NDArray[np.uint8]

FINISHES = ("natural", "matte", "gloss")

_FILM = 0.88
"""Share of the light that comes from the pigment."""
_COVER = {Region.LIPS: 0.55, Region.EYES: 0.4}


def from_colors(
    lips: Color | None, eyes: Color | None, blush: Color | None, brows: Color | None, finish: str
) -> MakeupFields:
    """Draw lipstick, eye shadow, blush and brow tint of the given BGR colours on the template.

    Raises:
        InvalidInputError: the finish is unknown.
    """
    if finish not in FINISHES:
        raise InvalidInputError(f"finish: {finish!r} is unknown; expected one of {FINISHES}")
    skin = to_log(CARD_SKIN)
    cells = template_regions()[::FINE_STRIDE, ::FINE_STRIDE]
    fields = bare_face().copy()
    for color, region, paint in (
        (lips, Region.LIPS, _lipstick),
        (eyes, Region.EYES, _eye_shadow),
        (blush, Region.SKIN, _blush),
        (brows, Region.BROWS, _brow_tint),
    ):
        if color is not None:
            inside = cells == region
            fields[:, inside] = paint(fields, _film(color) - skin)[:, inside]
    cover = np.array([_COVER.get(region, 0) for region in Region], np.float32)
    return MakeupFields(
        fields, _lip_detail(finish), skin, cover, np.array(lips is not None, np.float32)
    )


def _film(color: Color) -> FloatArray:
    """float32 (3,): log light of a film of pigment on the card's skin, which shines through."""
    pigment, skin = np.exp(to_log(color)), np.exp(to_log(CARD_SKIN))
    film: FloatArray = np.log(_FILM * pigment + (1 - _FILM) * skin)
    return film


def _lipstick(fields: FloatArray, color: FloatArray) -> FloatArray:
    """The colour all over, with a fifth of the bare lips' own modelling."""
    inside = template_regions()[::FINE_STRIDE, ::FINE_STRIDE] == Region.LIPS
    modelling = fields - fields[:, inside].mean(axis=1)[:, None, None]
    lips: FloatArray = color[:, None, None] + 0.2 * modelling
    return lips


def _eye_shadow(fields: FloatArray, color: FloatArray) -> FloatArray:
    """Densest along the upper lashes and the outer corner, thinning out towards the brow."""
    points = template_landmarks() / FINE_STRIDE
    weight = np.zeros((FIELD_SIZE, FIELD_SIZE), np.float32)
    for side in (points, points[MIRRORED_POINTS]):
        width = abs(float(side[39, 0] - side[36, 0]))
        lashes = np.round(side[[36, 37, 38, 39]] * 16).astype(np.int32)
        canvas = np.full((FIELD_SIZE, FIELD_SIZE), 255, np.uint8)
        cv2.polylines(canvas, [lashes], False, 0, 1, cv2.LINE_8, 4)
        away = cv2.distanceTransform(canvas, cv2.DIST_L2, 5) / width
        outwards = _column(side[36, 0], side[39, 0])
        lid = np.exp(-np.square(away / (0.30 - 0.10 * outwards)))
        below = _row(side[36:42, 1].mean(), 0.12 * width)
        weight = np.maximum(weight, lid * (1 - 0.75 * below) * (1 - 0.25 * outwards))
    lids: FloatArray = fields + 0.85 * weight * color[:, None, None]
    return lids


def _blush(fields: FloatArray, color: FloatArray) -> FloatArray:
    """A soft ellipse on each cheek, rising towards the temple; colour, hardly any darkness."""
    points = template_landmarks() / FINE_STRIDE
    y, x = np.mgrid[:FIELD_SIZE, :FIELD_SIZE].astype(np.float32)
    weight = np.zeros((FIELD_SIZE, FIELD_SIZE), np.float32)
    for side in (points, points[MIRRORED_POINTS]):
        centre = np.array(
            [0.62 * side[36, 0] + 0.38 * side[1, 0], 0.55 * side[30, 1] + 0.45 * side[33, 1]]
        )
        width = abs(float(side[39, 0] - side[36, 0]))
        direction = 1.0 if side[36, 0] < side[39, 0] else -1.0
        along = ((x - centre[0]) * direction - (y - centre[1]) * 0.5) / (0.75 * width)
        across = ((y - centre[1]) + (x - centre[0]) * direction * 0.5) / (0.5 * width)
        weight = np.maximum(weight, np.exp(-np.square(along) - np.square(across)))
    tint = color - 0.7 * luminance(color)
    cheeks: FloatArray = fields + 0.2 * weight * tint[:, None, None]
    return cheeks


def _brow_tint(fields: FloatArray, color: FloatArray) -> FloatArray:
    """Half way to the colour."""
    brows: FloatArray = 0.5 * fields + 0.5 * color[:, None, None]
    return brows


def _column(outer: float, inner: float) -> FloatArray:
    """float32 (1, 128): 0 at the outer corner of an eye, 1 at the inner."""
    x = np.arange(FIELD_SIZE, dtype=np.float32)[None]
    ramp: FloatArray = np.clip((x - np.float32(outer)) / np.float32(inner - outer), 0, 1)
    return ramp


def _row(middle: float, softness: float) -> FloatArray:
    """float32 (128, 1): 0 above a height, 1 below it."""
    y = np.arange(FIELD_SIZE, dtype=np.float32)[:, None]
    ramp: FloatArray = np.clip((y - np.float32(middle)) / np.float32(softness), 0, 1)
    return ramp


def _lip_detail(finish: str) -> NDArray[np.uint8]:
    """Samples of the fine structure: folds, and highlights by finish.

    Matte lips scatter (narrow, no highlights), glossy ones add a bright tail.
    """
    quantile = (np.arange(DETAIL_SIDE**2, dtype=np.float64) + 0.5) / DETAIL_SIDE**2
    folds = {"natural": 0.10, "matte": 0.05, "gloss": 0.12}[finish]
    shine = {"natural": 0.25, "matte": 0.0, "gloss": 0.9}[finish]
    detail = folds * np.log(quantile / (1 - quantile)) / 1.8 + shine * quantile**12
    detail -= detail.mean()
    steps = np.clip(detail * DETAIL_SCALE + 128.5, 0, 255).astype(np.uint8)
    return np.repeat(steps.reshape(DETAIL_SIDE, DETAIL_SIDE, 1), 3, axis=2)
