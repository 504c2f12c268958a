"""Paint all products of a makeup on one face, in order of application."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from makeup_kernels import Region
from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.axes import Eye, Mouth
from makeup_sdk.cosmetics.canvas import Canvas, Patch
from makeup_sdk.cosmetics.eyes import paint_brows, paint_lashes, paint_liner, paint_shadow
from makeup_sdk.cosmetics.lips import LipSurface, paint_lip_liner, paint_lipstick
from makeup_sdk.cosmetics.skin import (
    CELLS,
    Skin,
    paint_blush,
    paint_contour,
    paint_foundation,
    paint_highlighter,
)
from makeup_sdk.cosmetics.textures import STEADY, Hand
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.makeup.base import Part
from makeup_sdk.makeup.products import (
    NAMES,
    PRODUCTS,
    Blush,
    Brows,
    Contour,
    Eyeliner,
    EyeShadow,
    Foundation,
    Highlighter,
    Lashes,
    LipLiner,
    Lipstick,
    Product,
)

_ORDER = list(PRODUCTS)
_ON_LIDS = np.float32(0.88)
"""Light on the lids relative to the cheeks."""
_PLAIN_TAIL = 24.0
"""Angle in degrees at which shadow continues beyond the outer corner, if there is no wing."""


PARTS: Mapping[str, tuple[frozenset[Region], list[int]]] = {
    "skin": (frozenset((Region.SKIN,)), list(range(68))),
    "left eye": (frozenset((Region.EYES, Region.BROWS)), [*range(36, 42), *range(17, 22)]),
    "right eye": (frozenset((Region.EYES, Region.BROWS)), [*range(42, 48), *range(22, 27)]),
    "mouth": (frozenset((Region.LIPS,)), list(range(48, 68))),
}
"""Parts of a face that are painted separately, in this order: their regions, and the landmarks that
locate them; left and right as seen in the picture."""


def paint(
    view: FaceView,
    products: Iterable[Product],
    strength: Mapping[Part, float],
    hand: Hand = STEADY,
) -> list[Patch]:
    """Put products on a face.

    Args:
        view: the face.
        products: in any order; they are painted in the order of `PRODUCTS`.
        strength: strength per region, in [0, 1.5]; other regions stay bare.
        hand: randomness of the application; the same one gives the same paint.

    Returns:
        the changes of the face's light, to be put into the frame in this order. Parts that are
        turned away or covered have none.
    """
    parts = (paint_part(view, part, products, strength, hand) for part in PARTS)
    return [patch for patch in parts if patch is not None]


def paint_part(
    view: FaceView,
    part: str,
    products: Iterable[Product],
    strength: Mapping[Part, float],
    hand: Hand = STEADY,
) -> Patch | None:
    """Put products on one of `PARTS` of a face; see `paint`. None if there is nothing to paint."""
    regions, points = PARTS[part]
    amounts = [
        (product, product.strength * strength.get(product.region, 0.0))
        for product in sorted(products, key=lambda product: _ORDER.index(NAMES[type(product)]))
        if product.region in regions
    ]
    amounts = [(product, amount) for product, amount in amounts if amount > 0]
    if not amounts:
        return None
    if part == "skin":
        return _paint_skin(view, amounts, hand)
    start, end = view.points[points[0]], view.points[points[3 if part != "mouth" else 6]]
    least = 0.15 if part == "mouth" else 0.09  # turned away so far that its corners meet
    if float(np.hypot(*(start - end))) <= max(least * view.unit, 3.0):
        return None
    if part == "mouth":
        return _paint_lips(view, amounts, hand)
    return _paint_eye(view, part == "left eye", amounts, hand)


Amounts = list[tuple[Product, float]]


def _paint_skin(view: FaceView, worn: Amounts, hand: Hand) -> Patch:
    skin = Skin(view)
    for product, amount in worn:
        if isinstance(product, Foundation):
            paint_foundation(skin, product, amount)
        elif isinstance(product, Contour):
            paint_contour(skin, hand, product, amount)
        elif isinstance(product, Blush):
            paint_blush(skin, hand, product, amount)
        elif isinstance(product, Highlighter):
            paint_highlighter(skin, product, amount)
    return skin.canvas.patch(CELLS)


def _paint_eye(view: FaceView, left: bool, worn: Amounts, hand: Hand) -> Patch:
    wings = [p.angle for p, _ in worn if isinstance(p, Eyeliner) and p.wing > 0]
    tail = wings[0] if wings else _PLAIN_TAIL
    eye = view.once(("eye", left, tail), lambda: Eye(view, left, tail))
    ground, visible, lids, brow = view.once(
        ("ground of the eye", left), lambda: _eye_ground(view, eye)
    )
    canvas = ground.clean()
    own_hand = Hand(2 * hand.seed + left, hand.tremor)
    for product, amount in worn:
        canvas.allowed = lids if isinstance(product, EyeShadow) else visible
        if isinstance(product, Brows):
            paint_brows(canvas, eye, own_hand, product, brow, amount)
        elif isinstance(product, EyeShadow):
            paint_shadow(canvas, eye, own_hand, product, amount)
        elif isinstance(product, Eyeliner):
            paint_liner(canvas, eye, own_hand, product, amount)
        elif isinstance(product, Lashes):
            paint_lashes(canvas, eye, own_hand, product, amount)
    return canvas.patch(eye.matrix)


def _eye_ground(view: FaceView, eye: Eye) -> tuple[Canvas, FloatArray, FloatArray, FloatArray]:
    """An eye's patch without paint; coverage of what is visible, of the lids and of the brow."""
    bare = view.bare(eye.matrix, eye.shape)
    visible = view.warped(view.visible, eye.matrix, eye.shape)
    lids = visible * view.warped(view.light_skin, eye.matrix, eye.shape)
    canvas = Canvas(bare, view.light.color * _ON_LIDS, view.light.luminance, lids)
    return canvas, visible, lids, view.share(Region.BROWS, 1.2, eye.matrix, eye.shape)


def _paint_lips(view: FaceView, worn: Amounts, hand: Hand) -> Patch | None:
    mouth = view.once("mouth", lambda: Mouth(view))
    ground = view.once("lips", lambda: LipSurface.of(view, mouth))
    if ground is None:
        return None
    surface = replace(ground, canvas=ground.canvas.clean())
    for product, amount in worn:
        if isinstance(product, Lipstick):
            paint_lipstick(surface, mouth, hand, product, view.light.side, amount)
        elif isinstance(product, LipLiner):
            paint_lip_liner(surface, mouth, product, amount)
    return surface.canvas.patch(mouth.matrix)
