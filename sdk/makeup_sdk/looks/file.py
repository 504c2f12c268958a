"""Look files: NumPy archives without objects; and JSON files of products."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from makeup_kernels import BundleError, InvalidInputError, Region
from makeup_kernels.files import as_path
from makeup_sdk.looks.content import LookContent
from makeup_sdk.makeup.product_json import from_json, to_json
from makeup_sdk.makeup.references import References
from makeup_sdk.models.registry import MAKEUPS

_FORMAT, _LAYERED_FORMAT = 1, 2
"""Versions of look files; 2 adds products over another makeup."""
_MAX_FILE_BYTES, _MAX_JSON_BYTES = 8 << 20, 1 << 20
_LONGEST_TITLE = 1000


def to_bytes(look: LookContent) -> bytes:
    """The content of a look file."""
    head: dict[str, Any] = {
        "format": _FORMAT,
        "kind": look.makeup.kind,
        "title": look.title,
        "regions": sorted(region.name.lower() for region in look.makeup_regions),
    }
    if look.products:
        head |= {"format": _LAYERED_FORMAT, "products": to_json(look.products)}
    buffer = io.BytesIO()
    arrays: dict[str, Any] = look.makeup.to_arrays()
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def from_bytes(data: bytes, name: str) -> LookContent:
    """The inverse of `to_bytes`; `name` is for messages.

    Raises:
        BundleError: corrupt or foreign data.
    """
    if len(data) > _MAX_FILE_BYTES:
        raise BundleError(f"{name}: larger than 8 MiB; this is no look file")
    try:
        return _read(data)
    except Exception as error:  # damaged zips, arrays and JSON raise almost any class
        raise BundleError(
            f"{name}: not a look file or damaged ({error}); make it again with `makeup look encode`"
        ) from None


def read_file(path: str | Path) -> bytes:
    """The bytes of a look file.

    Raises:
        BundleError: missing, or too large for one.
    """
    path = as_path(path, "look file")
    if not path.is_file():
        raise BundleError(f"{path}: no such look file; make one with `makeup look encode`")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise BundleError(f"{path}: larger than 8 MiB; this is no look file")
    return path.read_bytes()


def read_json_file(path: str | Path) -> str:
    """The text of a JSON file of products.

    Raises:
        InvalidInputError: no such file, too large for one, or not UTF-8.
    """
    path = as_path(path, "products")
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file; expected products as JSON")
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise InvalidInputError(f"{path}: larger than 1 MiB; this is no file of products")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError(f"{path}: not UTF-8 text; this is no JSON") from None


def _read(data: bytes) -> LookContent:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MAX_FILE_BYTES:
            raise ValueError("it unpacks to more than 8 MiB")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    head: dict[str, Any] = json.loads(arrays["head"].tobytes().decode())
    if head["format"] not in (_FORMAT, _LAYERED_FORMAT):
        raise ValueError(
            f"format {head['format']!r}, this release reads {_FORMAT} and {_LAYERED_FORMAT}"
        )
    kind = head["kind"]
    if kind not in MAKEUPS:
        raise ValueError(f"kind {kind!r}, this release reads {', '.join(MAKEUPS)}")
    makeup = MAKEUPS[kind].from_arrays(arrays)
    regions = frozenset(Region[name.upper()] for name in head["regions"]) - {Region.NONE}
    reference = makeup if isinstance(makeup, References) else None
    title = head["title"]
    if not isinstance(title, str) or len(title) > _LONGEST_TITLE:
        raise ValueError(f"title is {str(title)[:40]}, expected at most {_LONGEST_TITLE} letters")
    products = from_json(head["products"])[0] if head["format"] == _LAYERED_FORMAT else ()
    return LookContent(makeup, regions, title, reference, products)
