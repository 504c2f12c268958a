"""Colour cards: products from up to four colours."""

from makeup_kernels import InvalidInputError
from makeup_sdk.colors import Color, parse_color
from makeup_sdk.makeup.products import Blush, Brows, EyeShadow, Lipstick, Product

_FINISHES = {"natural": "satin", "matte": "matte", "gloss": "gloss"}
"""Finish of the lipstick by the card's finish."""


def color_card(
    lips: Color | None, eyes: Color | None, blush: Color | None, brows: Color | None, finish: str
) -> tuple[Product, ...]:
    """The products of a card; see `Look.from_colors`."""
    if finish not in _FINISHES:
        raise InvalidInputError(
            f"finish: {finish!r} is unknown; expected one of {tuple(_FINISHES)}"
        )
    for name, color in (("lips", lips), ("eyes", eyes), ("blush", blush), ("brows", brows)):
        if color:
            parse_color(color, name)
    products: list[Product] = []
    if blush:
        products.append(Blush(blush, "lifted", opacity=0.45))
    if brows:
        products.append(Brows(brows, opacity=0.5))
    if eyes:
        products.append(EyeShadow(eyes, opacity=0.75, extent=0.5, finish="satin"))
    if lips:
        products.append(Lipstick(lips, finish=_FINISHES[finish], opacity=0.85))
    if not products:
        raise InvalidInputError(
            "from_colors: no colour given; expected at least one of lips, eyes, blush, brows"
        )
    return tuple(products)
