"""What a client asks to wear, as JSON, and the look that it means."""

import base64
import binascii
import json
import threading
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.faces import FaceAnalyzer
from makeup_sdk.images import decode_image
from makeup_sdk.look import Look
from makeup_sdk.makeup.base import MAX_STRENGTH

_MAX_LOOK_TEXT = 1 << 20
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, le=MAX_STRENGTH)]


class LookRef(BaseModel):
    """A look of the gallery by its id, or a look file (base64) that `POST /v1/looks` gave."""

    model_config = ConfigDict(extra="forbid")

    gallery: str | None = Field(default=None, max_length=64)
    file: str | None = Field(default=None, max_length=_MAX_LOOK_TEXT)


class ColorCard(BaseModel):
    """Hex colours such as "#b3123a"; what is left out is not painted."""

    model_config = ConfigDict(extra="forbid")

    lips: str | None = Field(default=None, max_length=8)
    eyes: str | None = Field(default=None, max_length=8)
    blush: str | None = Field(default=None, max_length=8)
    brows: str | None = Field(default=None, max_length=8)
    finish: str = Field(default="natural", max_length=16)


class Strength(BaseModel):
    """How much arrives per region, 0 to 1.5; 1 is the whole look."""

    model_config = ConfigDict(extra="forbid")

    lips: Amount = 1.0
    skin: Amount = 1.0
    eyes: Amount = 1.0
    brows: Amount = 1.0

    def by_region(self) -> dict[Region, float]:
        """The same as the engine takes it."""
        return {Region[name.upper()]: amount for name, amount in self.model_dump().items()}


class Outfit(BaseModel):
    """A look, mixed with a second one, with colours over both.

    Without any of them the face stays bare.
    """

    model_config = ConfigDict(extra="forbid")

    look: LookRef | None = None
    second: LookRef | None = None
    share: Share = Field(default=0.5, description="Share of the second look.")
    colors: ColorCard | None = None
    strength: Strength = Strength()


class Gallery:
    """The shipped looks, encoded once, and how outfits turn into looks.

    Args:
        analyzer: finds the faces of references.
        reference_faces: faces that a look file of a client may hold; each takes time to read.
    """

    def __init__(self, analyzer: FaceAnalyzer, reference_faces: int = 4) -> None:
        self._analyzer = analyzer
        self._reference_faces = reference_faces
        self._reading = threading.Lock()
        self._folder = resources.files("makeup_sdk") / "assets" / "demo"

    @property
    def looks(self) -> Mapping[str, Look]:
        """Shipped looks by id; read at the first call, by one thread while others wait."""
        with self._reading:
            return self._looks

    @cached_property
    def _looks(self) -> Mapping[str, Look]:
        listing = json.loads((self._folder / "demo.json").read_text(encoding="utf-8"))
        return {
            entry["file"].rpartition(".")[0]: Look.from_photo(
                decode_image(np.frombuffer(self._read(entry["file"]), np.uint8), entry["file"]),
                title=entry["title"],
                analyzer=self._analyzer,
            )
            for entry in listing["pictures"]
            if entry["role"] == "reference"
        }

    def thumbnail(self, look_id: str) -> bytes | None:
        """The reference picture of a shipped look as JPEG; None if there is no such look."""
        return self._read(f"{look_id}.jpg") if look_id in self.looks else None

    def find(self, ref: LookRef) -> Look:
        """The look that a reference means.

        Raises:
            InvalidInputError: an unknown id, neither or both of `gallery` and `file`, or a file
                made of too many photos.
            BundleError: the file is no look file.
        """
        if ref.file is not None and ref.gallery is None:
            look = Look.from_bytes(from_base64(ref.file, "look.file"), "look.file")
            faces = len(look.reference.faces) if look.reference else 0
            if faces > self._reference_faces:
                raise InvalidInputError(
                    f"look.file: made of {faces} photos; send at most {self._reference_faces}"
                )
            return look
        if ref.gallery is None or ref.file is not None:
            raise InvalidInputError("look: give either gallery or file")
        if ref.gallery not in self.looks:
            raise InvalidInputError(
                f"look: no look {ref.gallery!r} in the gallery; it has {', '.join(self.looks)}"
            )
        return self.looks[ref.gallery]

    def dress(self, outfit: Outfit) -> Look | None:
        """The look that an outfit means; None leaves faces bare.

        Raises:
            InvalidInputError, BundleError: as `find`, or a malformed colour.
        """
        look = self.find(outfit.look) if outfit.look else None
        if outfit.second:
            second = self.find(outfit.second)
            mixed = (
                {second: outfit.share}
                if look is None
                else {
                    look: 1 - outfit.share,
                    second: outfit.share,
                }
            )
            look = Look.mix(mixed)
        card = outfit.colors
        if card is None or not any((card.lips, card.eyes, card.blush, card.brows)):
            return look
        colors = Look.from_colors(**card.model_dump())
        if look is None:
            return colors
        return look.under(colors)

    def _read(self, file: str) -> bytes:
        return (self._folder / file).read_bytes()


def from_base64(text: str, name: str) -> bytes:
    """Strict base64.

    Raises:
        InvalidInputError: not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(f"{name}: not base64") from None
