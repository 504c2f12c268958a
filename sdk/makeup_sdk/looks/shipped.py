"""The designed looks and the bare faces that ship with the package."""

import json
from pathlib import Path

from makeup_kernels import InvalidInputError
from makeup_sdk.makeup.products import nearest

_ASSETS = Path(__file__).parents[1] / "assets"
SHIPPED_LOOKS = tuple(sorted(path.stem for path in (_ASSETS / "looks").glob("*.json")))
"""Names of the designed looks, for `Look.shipped`."""


def shipped_json(name: str) -> str:
    """The products of a designed look, as JSON.

    Raises:
        InvalidInputError: no look of this name.
    """
    if name not in SHIPPED_LOOKS:
        raise InvalidInputError(f"look: got {name!r}; {nearest(str(name), SHIPPED_LOOKS)}")
    return (_ASSETS / "looks" / f"{name}.json").read_text(encoding="utf-8")


def bare_photos() -> list[Path]:
    """The photos of the bare faces."""
    folder = _ASSETS / "demo"
    listing = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    return [folder / p["file"] for p in listing["pictures"] if p["role"] == "source"]
