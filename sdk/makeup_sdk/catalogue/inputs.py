"""Input photos and looks of a run: folders, patterns, manifests, tables of shades."""

import csv
import io
import json
import posixpath
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyarrow import parquet

from makeup_kernels import InvalidInputError, MakeupError
from makeup_sdk.catalogue.job import LookRef, PhotoRef
from makeup_sdk.catalogue.storage import Place, joined, version_of
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.looks.look import Look
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.photos import READ_SUFFIXES, decode_photo
from makeup_sdk.shades.catalogue import parse_catalogue

MANIFESTS = (".csv", ".jsonl", ".ndjson", ".parquet")
_LOOKS = (".look", ".json", *READ_SUFFIXES)
_SHADE_COLUMNS = ("sku", "name", "product", "hex", "finish", "opacity")


def find_photos(address: str, output: Place) -> list[PhotoRef]:
    """The photos of a run, sorted by name.

    Args:
        address: a photo, a folder, a pattern (`photos/*/front.jpg`), or a manifest (.csv, .jsonl,
            .parquet) with a column `photo` and optionally `name`.
        output: folder of the results; skipped if it lies in the folder of photos.

    Raises:
        InvalidInputError: no photos, or two photos of the same name.
    """
    place = Place(address)
    if _suffix(place.path) in MANIFESTS and not place.is_folder():
        photos = [
            PhotoRef(_checked(row.get("name") or _name_of(value), address), joined(address, value))
            for row, value in _listed(place, "photo")
        ]
    else:
        photos = [
            PhotoRef(_written(name), place.address_of(path), version_of(info))
            for name, path, info in _found(place, READ_SUFFIXES, output)
        ]
    if not photos:
        raise InvalidInputError(
            f"{address}: no photos; expected a photo, a folder, a pattern or a manifest "
            f"({', '.join(MANIFESTS)})"
        )
    photos.sort(key=lambda photo: photo.name)
    _check_unlike([photo.name for photo in photos], address, "photos")
    return photos


def find_looks(address: str, engine: MakeupEngine) -> tuple[LookRef, ...]:
    """The looks of a run, encoded for the engine's model, sorted by name.

    Args:
        address: name of a shipped look; a look file, products (.json) or reference photo; a folder
            or pattern of them; a table of shades (column `sku`; see `makeup shades`), one look per
            shade; or a manifest with a column `look` and optionally `name`.
        engine: the engine whose model applies them.

    Raises:
        InvalidInputError: no looks, two looks of the same name, or an invalid look.
        NoFaceError: a reference photo has no usable face.
        BundleError: a look file is damaged.
    """
    place = Place(address)
    if address in SHIPPED_LOOKS and not place.exists():
        named = [(address, Look.shipped(address))]
    elif _suffix(place.path) in MANIFESTS and not place.is_folder():
        named = list(_looks_of_table(place, engine))
    else:
        named = [
            (posixpath.splitext(name)[0], _look(Place(place.address_of(path)), engine))
            for name, path, _ in _found(place, _LOOKS, None)
        ]
    if not named:
        raise InvalidInputError(
            f"{address}: no looks; expected look files, .json, photos, a table of shades, or one "
            f"of {', '.join(SHIPPED_LOOKS)}"
        )
    looks = [LookRef(file_name(name), _fitting(look, engine).to_bytes()) for name, look in named]
    looks.sort(key=lambda look: look.name)
    _check_unlike([look.name for look in looks], address, "looks")
    return tuple(looks)


def file_name(name: str) -> str:
    """Escape a name to one path component: slash, backslash and % become %2F, %5C and %25."""
    safe = "".join(chr(k) for k in range(32, 127) if chr(k) not in "/\\%")
    return "".join(quote(letter, safe=safe) if ord(letter) < 128 else letter for letter in name)


def read_table(place: Place) -> list[dict[str, Any]]:
    """The rows of a CSV, JSON-lines or Parquet file.

    Raises:
        InvalidInputError: the file is missing or damaged.
    """
    try:
        data = place.read()
        if _suffix(place.path) == ".parquet":
            return list(parquet.read_table(io.BytesIO(data)).to_pylist())
        text = data.decode("utf-8-sig")
        if _suffix(place.path) == ".csv":
            return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except FileNotFoundError:
        raise InvalidInputError(f"{place.address}: no such file") from None
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise InvalidInputError(
            f"{place.address}: this table cannot be read ({error}); expected UTF-8 CSV, one JSON "
            "object a line, or Parquet"
        ) from None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InvalidInputError(f"{place.address}: line {number}: expected a JSON object")
    return rows


def _found(
    place: Place, suffixes: tuple[str, ...], output: Place | None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Relative name, path and file info of each file with such a suffix; skips hidden files.

    If the place is a file itself, it is yielded whatever its suffix.
    """
    if not place.is_pattern and not place.is_folder():
        if place.exists():
            yield posixpath.basename(place.path), place.path, place.fs.info(place.path)
        return
    root = place.fixed_part if place.is_pattern else place.path
    inside = output is not None and output.protocols == place.protocols
    for path, info in place.files().items():
        name = path.removeprefix(root).lstrip("/")
        hidden = any(part.startswith(".") for part in name.split("/"))
        made = inside and output is not None and path.startswith(output.path + "/")
        if not hidden and not made and _suffix(name) in suffixes:
            yield name, path, info


def _listed(place: Place, column: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Rows of a manifest, each with the value of a required column."""
    for number, row in enumerate(read_table(place), 1):
        value = row.get(column)
        if not isinstance(value, str) or not value:
            raise InvalidInputError(
                f"{place.address}: row {number}: no {column!r}; expected a column {column!r} with "
                "a path or address in every row"
            )
        yield row, value


def _looks_of_table(place: Place, engine: MakeupEngine) -> Iterator[tuple[str, Look]]:
    rows = read_table(place)
    if rows and "sku" in rows[0]:
        text = io.StringIO(newline="")
        known = [name for name in rows[0] if name in _SHADE_COLUMNS]
        unknown = [name for name in rows[0] if name not in _SHADE_COLUMNS]
        writer = csv.DictWriter(text, known + unknown, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        for shade in parse_catalogue(text.getvalue(), place.address):
            look = Look.from_products([shade.product], title=shade.name or shade.sku)
            yield shade.sku, look
        return
    for row, value in _listed(place, "look"):
        name = row.get("name") or posixpath.splitext(posixpath.basename(value))[0]
        shipped = value in SHIPPED_LOOKS
        look = (
            Look.shipped(value) if shipped else _look(Place(joined(place.address, value)), engine)
        )
        yield str(name), look


def _fitting(look: Look, engine: MakeupEngine) -> Look:
    """A look converted to the engine's model; errors surface here, before any worker starts."""
    before = engine.look
    try:
        engine.look = look
        assert engine.look is not None
        return engine.look
    finally:
        engine.look = before


def _look(place: Place, engine: MakeupEngine) -> Look:
    try:
        data = place.read()
    except OSError as error:
        raise InvalidInputError(f"{place.address}: cannot be read ({error})") from None
    suffix = _suffix(place.path)
    if suffix == ".look":
        return Look.from_bytes(data, place.address)
    if suffix == ".json":
        try:
            return Look.from_json(data.decode("utf-8"), place.address)
        except UnicodeDecodeError:
            raise InvalidInputError(f"{place.address}: not UTF-8 text; this is no JSON") from None
    title = posixpath.splitext(posixpath.basename(place.path))[0]
    frame = decode_photo(data, place.address).image
    try:
        return Look.from_photo(frame, title=title, model=engine.model, analyzer=engine.analyzer)
    except MakeupError as error:
        raise type(error)(f"{place.address}: {error}") from None


def _name_of(value: str) -> str:
    """The default name of a photo, from its address in a manifest."""
    return value.partition("://")[2].lstrip("/") if "://" in value else value.lstrip("/")


def _written(name: str) -> str:
    """A file name as valid UTF-8; other bytes are written as \\udcXX."""
    return name.encode("utf-8", "backslashreplace").decode()


def _checked(name: str, address: str) -> str:
    if "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidInputError(
            f"{address}: {name!r} cannot name results; expected parts between slashes, none of "
            "them empty, . or ..; give the photo another in a column `name`"
        )
    return name


def _check_unlike(names: list[str], address: str, what: str) -> None:
    for one, other in pairwise(names):
        if one == other:
            raise InvalidInputError(
                f"{address}: two {what} are named {one!r}; name them apart (column `name` of a "
                "manifest)"
            )


def _suffix(path: str) -> str:
    return posixpath.splitext(path)[1].lower()
