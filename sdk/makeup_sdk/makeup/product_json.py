"""Looks made of products, and their JSON form with its schema."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.makeup.products import (
    _CHOICES,
    _COLORS,
    _RANGES,
    NAMES,
    PRODUCTS,
    Product,
    nearest,
)

FORMAT = 1
"""Version of the JSON form."""

MOST_PRODUCTS = 64
"""Maximum number of products in one look; each costs time in every frame."""


def to_json(products: Iterable[Product], title: str = "products") -> str:
    """Products as JSON text, without fields that have their default value.

    >>> from makeup_sdk.cosmetics import Lipstick
    >>> print(to_json([Lipstick("#b3123a", finish="matte")], "red"))
    {
      "format": 1,
      "title": "red",
      "products": [
        {"product": "lipstick", "color": "#b3123a", "finish": "matte"}
      ]
    }
    """
    lines = [f"    {json.dumps(_to_entry(product))}" for product in products]
    head = f'{{\n  "format": {FORMAT},\n  "title": {json.dumps(title)},\n  "products": ['
    return head + ("\n" + ",\n".join(lines) + "\n  ]\n}" if lines else "]\n}")


def from_json(text: str, name: str = "products") -> tuple[tuple[Product, ...], str]:
    """Products and title from JSON text.

    Args:
        text: JSON text as written by `to_json`.
        name: names the text in messages.

    Raises:
        InvalidInputError: not JSON, an unknown product or key, a missing or wrong value.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # not JSON, a number too long, or too deep
        raise InvalidInputError(f"{name}: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidInputError(
            f'{name}: got a {type(data).__name__}, expected an object {{"format": {FORMAT}, '
            '"title": …, "products": […]}'
        )
    _check_keys(data, ("format", "title", "products"), name)
    if data.get("format") != FORMAT:
        raise InvalidInputError(
            f"{name}: format: got {data.get('format')!r}, this release reads {FORMAT}"
        )
    entries, title = data.get("products"), data.get("title", "products")
    if not isinstance(entries, list):
        raise InvalidInputError(f"{name}: products: got {entries!r}, expected a list of products")
    if not isinstance(title, str):
        raise InvalidInputError(f"{name}: title: got {title!r}, expected a text")
    places = (f"{name}: products[{number}]" for number in range(len(entries)))
    if len(entries) > MOST_PRODUCTS:
        raise InvalidInputError(
            f"{name}: products: got {len(entries)}, expected at most {MOST_PRODUCTS}"
        )
    return tuple(map(_from_entry, entries, places)), title


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the JSON form."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "makeup-sdk products",
        "type": "object",
        "additionalProperties": False,
        "required": ["format", "products"],
        "properties": {
            "format": {"const": FORMAT},
            "title": {"type": "string"},
            "products": {
                "type": "array",
                "maxItems": MOST_PRODUCTS,
                "items": {"oneOf": [_schema_of(name, kind) for name, kind in PRODUCTS.items()]},
            },
        },
        "$defs": {
            "color": {
                "description": "#rgb or #rrggbb, a CSS name, or [red, green, blue] in 0-255",
                "oneOf": [
                    {"type": "string"},
                    {
                        "type": "array",
                        "items": {"type": "integer", "minimum": 0, "maximum": 255},
                        "minItems": 3,
                        "maxItems": 3,
                    },
                ],
            }
        },
    }


def _schema_of(name: str, kind: type[Product]) -> dict[str, Any]:
    properties: dict[str, Any] = {"product": {"const": name}}
    required = ["product"]
    for field in fields(kind):
        if field.name in _COLORS:
            entry: dict[str, Any] = {"$ref": "#/$defs/color"}
            if field.name in kind.optional:
                entry = {"oneOf": [entry, {"type": "null"}]}
        elif field.name in _CHOICES:
            entry = {"enum": list(_CHOICES[field.name])}
        else:
            low, high = _RANGES.get(field.name, (0.0, 1.0))
            entry = {"type": "number", "minimum": low, "maximum": high}
        if field.default is MISSING:
            required.append(field.name)
        else:
            entry = {**entry, "default": field.default}
        properties[field.name] = entry
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def product_lines(products: Iterable[Product]) -> list[str]:
    """Products in words, one line each, without default values."""
    lines = []
    for product in products:
        name, *values = _to_entry(product).items()
        lines.append(" ".join([str(name[1]), *(f"{key}={value}" for key, value in values)]))
    return lines


def _to_entry(product: Product) -> dict[str, Any]:
    entry: dict[str, Any] = {"product": NAMES[type(product)]}
    for field in fields(product):
        value = getattr(product, field.name)
        if field.default is MISSING or value != field.default:
            entry[field.name] = value
    return entry


def _from_entry(entry: object, place: str) -> Product:
    if not isinstance(entry, dict):
        raise InvalidInputError(f"{place}: got {entry!r}, expected an object such as a lipstick")
    name = entry.get("product")
    if not isinstance(name, str) or name not in PRODUCTS:
        raise InvalidInputError(
            f"{place}: product: got {name!r}; {nearest(str(name), tuple(PRODUCTS))}"
        )
    kind = PRODUCTS[name]
    values = {key: _plain(value) for key, value in entry.items() if key != "product"}
    _check_keys(values, tuple(field.name for field in fields(kind)), f"{place} ({name})")
    missing = [f.name for f in fields(kind) if f.default is MISSING and f.name not in values]
    if missing:
        raise InvalidInputError(f"{place} ({name}): {missing[0]} is missing")
    try:
        return kind(**values)
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from None


def _plain(value: object) -> object:
    """Convert a JSON list, as used for colours, to a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _check_keys(data: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in data:
        if key not in known:
            raise InvalidInputError(f"{place}: unknown key {key!r}; {nearest(key, known)}")


@dataclass(frozen=True)
class ProductMakeup:
    """A makeup made of products. A `Makeup` that every model supports.

    Attributes:
        products: the products.
    """

    kind: ClassVar[str] = "products"

    products: tuple[Product, ...]

    @property
    def regions(self) -> frozenset[Region]:
        """The regions of the products."""
        return frozenset(product.region for product in self.products)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See `Makeup.to_arrays`."""
        return {"products": np.frombuffer(to_json(self.products).encode(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "ProductMakeup":
        """See `Makeup.from_arrays`."""
        return cls(from_json(arrays["products"].tobytes().decode(), "products")[0])

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple["ProductMakeup", float]]]) -> "ProductMakeup":
        """All products, each scaled by its share."""
        mixed: list[Product] = []
        for region, parts in shares.items():
            total = sum(share for _, share in parts)
            for makeup, share in parts:
                mixed += (
                    product.weaker(share / total)
                    for product in makeup.products
                    if product.region is region
                )
        return cls(tuple(mixed))


def checked_products(products: Iterable[Product]) -> tuple[Product, ...]:
    """Products as a tuple.

    Raises:
        InvalidInputError: not products, or too many.
    """
    if isinstance(products, (str, Product)) or not isinstance(products, Iterable):
        raise InvalidInputError(
            f"products: got {type(products).__name__}, expected a list such as [Lipstick('red')]"
        )
    found = tuple(products)
    for product in found:
        if type(product) not in NAMES:
            raise InvalidInputError(
                f"products: got {type(product).__name__}, expected products of "
                "makeup_sdk.cosmetics such as Lipstick('red')"
            )
    if len(found) > MOST_PRODUCTS:
        raise InvalidInputError(f"products: got {len(found)}, expected at most {MOST_PRODUCTS}")
    return found
