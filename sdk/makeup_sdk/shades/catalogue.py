"""Catalogues: tables of shades as CSV."""

import csv
import io
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from makeup_kernels import InvalidInputError
from makeup_kernels.files import as_path
from makeup_sdk.makeup.products import PRODUCTS, Product, nearest

_COLUMNS = ("sku", "name", "product", "hex", "finish", "opacity")
_NEEDED = ("sku", "product", "hex")
_MAX_BYTES = 16 << 20
COLORED = tuple(
    name for name, kind in PRODUCTS.items() if "color" in {field.name for field in fields(kind)}
)
"""Products that come in shades."""


@dataclass(frozen=True)
class Shade:
    """One row of a catalogue.

    Attributes:
        sku: the shop's article number.
        name: display name; may be empty.
        product: the product to paint.
    """

    sku: str
    name: str
    product: Product


def read_catalogue(path: str | Path) -> tuple[Shade, ...]:
    """Read a catalogue.

    Args:
        path: a CSV file in UTF-8 with the columns sku, product, hex, and optionally name, finish,
            opacity; an empty cell means the product's default.

    Raises:
        InvalidInputError: missing file or column, or an invalid cell; names its line.
    """
    path = as_path(path, "catalogue")
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such catalogue; expected a CSV file")
    if path.stat().st_size > _MAX_BYTES:
        raise InvalidInputError(f"{path}: larger than 16 MiB; this is no catalogue")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError(f"{path}: not UTF-8 text; save the table as CSV UTF-8") from None
    return parse_catalogue(text, str(path))


def parse_catalogue(text: str, name: str = "catalogue") -> tuple[Shade, ...]:
    """Like `read_catalogue`, from CSV text; `name` is for messages."""
    rows = csv.reader(io.StringIO(text, newline=""))
    header = [column.strip().lower() for column in next(rows, [])]
    for column in header:
        if column not in _COLUMNS:
            raise InvalidInputError(
                f"{name}: line 1: unknown column {column!r}; {nearest(column, _COLUMNS)}"
            )
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        raise InvalidInputError(
            f"{name}: line 1: column {missing[0]!r} is missing; expected {', '.join(_COLUMNS)}"
        )
    shades: dict[str, Shade] = {}
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            place = f"{name}: line {rows.line_num}"
            if len(cells) != len(header):
                raise InvalidInputError(
                    f"{place}: got {len(cells)} cells, expected {len(header)} as in line 1"
                )
            shade = _shade(dict(zip(header, map(str.strip, cells), strict=True)), place)
            if shade.sku in shades:
                raise InvalidInputError(f"{place}: sku {shade.sku!r} is there twice")
            shades[shade.sku] = shade
    except csv.Error as error:
        raise InvalidInputError(f"{name}: line {rows.line_num}: {error}") from None
    if not shades:
        raise InvalidInputError(f"{name}: no shades; expected a line for each below the header")
    return tuple(shades.values())


def _shade(row: dict[str, str], place: str) -> Shade:
    if not row["sku"]:
        raise InvalidInputError(f"{place}: sku is empty")
    product = row["product"].lower()
    if product not in COLORED:
        raise InvalidInputError(f"{place}: product: got {product!r}; {nearest(product, COLORED)}")
    kind = PRODUCTS[product]
    known = {field.name for field in fields(kind)}
    values: dict[str, Any] = {"color": row["hex"]}
    for column in ("finish", "opacity"):
        cell = row.get(column, "")
        if not cell:
            continue
        if column not in known:
            raise InvalidInputError(f"{place}: {column}: {product} has none; leave the cell empty")
        values[column] = _number(cell, place) if column == "opacity" else cell.lower()
    try:
        return Shade(row["sku"], row.get("name", ""), kind(**values))
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from None


def _number(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise InvalidInputError(
            f"{place}: opacity: got {cell!r}, expected a number in [0, 1]"
        ) from None
