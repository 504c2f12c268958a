"""Cosmetics: products by colour, finish and shape, and their appearance on a face.

>>> from makeup_sdk.cosmetics import Lipstick
>>> Lipstick("crimson", finish="matte").color
'#dc143c'
"""

from makeup_sdk.colors import Color
from makeup_sdk.makeup.product_json import from_json, schema, to_json
from makeup_sdk.makeup.products import (
    BLUSH_PLACEMENTS,
    FINISHES,
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

__all__ = [
    "BLUSH_PLACEMENTS",
    "FINISHES",
    "PRODUCTS",
    "Blush",
    "Brows",
    "Color",
    "Contour",
    "EyeShadow",
    "Eyeliner",
    "Foundation",
    "Highlighter",
    "Lashes",
    "LipLiner",
    "Lipstick",
    "Product",
    "from_json",
    "schema",
    "to_json",
]
