"""Outfits as JSON, and the looks that they stand for."""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import resources
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import FaceAnalyzer
from makeup_sdk.images import decode_image
from makeup_sdk.looks.look import Look
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.makeup.base import MAX_STRENGTH
from makeup_sdk.makeup.product_json import FORMAT, MOST_PRODUCTS, from_json
from makeup_sdk.makeup.products import Product
from makeup_sdk.models.base import Model
from makeup_sdk.models.registry import DEFAULT_MODEL
from makeup_sdk.web.pictures import encode_picture

_MAX_LOOK_TEXT = 1 << 20
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, le=MAX_STRENGTH)]
ProductJson = dict[str, str | float | list[int] | None]
Products = Annotated[
    list[ProductJson],
    Field(max_length=MOST_PRODUCTS, description="As `GET /v1/products` describes them."),
]

SKINS = ("light", "medium", "dark")
"""Skin tones of the shipped bare faces."""
_MAKEUP = {"model", "look", "second", "share", "products", "colors", "face"}
"""Fields of an outfit that determine the makeup and its wearer, without strength and tone."""
_FACE = (slice(112, 468), slice(78, 434))
"""The face in a shipped picture: rows and columns."""
_THUMBNAIL = 192


class LookRef(BaseModel):
    """Exactly one of: a gallery id, a look file from `POST /v1/looks`, products, a style of the
    model, or `bare` to remove makeup.
    """

    model_config = ConfigDict(extra="forbid")

    gallery: str | None = Field(default=None, max_length=64)
    file: str | None = Field(default=None, max_length=_MAX_LOOK_TEXT, description="In base64.")
    products: Products | None = None
    style: str | None = Field(default=None, max_length=64, description="Of `GET /v1/models`.")
    bare: bool = Field(default=False, description="Take makeup off.")


class ColorCard(BaseModel):
    """Hex colours such as "#b3123a"; regions without a colour stay unpainted."""

    model_config = ConfigDict(extra="forbid")

    lips: str | None = Field(default=None, max_length=8)
    eyes: str | None = Field(default=None, max_length=8)
    blush: str | None = Field(default=None, max_length=8)
    brows: str | None = Field(default=None, max_length=8)
    finish: str = Field(default="natural", max_length=16)


class Strength(BaseModel):
    """Strength of the makeup per region, 0 to 1.5; 1 is the look as it is."""

    model_config = ConfigDict(extra="forbid")

    lips: Amount = 1.0
    skin: Amount = 1.0
    eyes: Amount = 1.0
    brows: Amount = 1.0

    def by_region(self) -> dict[Region, float]:
        """The strengths in the engine's form."""
        return {Region[name.upper()]: amount for name, amount in self.model_dump().items()}


class Outfit(BaseModel):
    """A look, optionally mixed with a second one, with products or colours on top.

    With none of them the face stays bare.
    """

    model_config = ConfigDict(extra="forbid")

    model: str = Field(default=DEFAULT_MODEL, max_length=64, description="One of `GET /v1/models`.")
    look: LookRef | None = None
    second: LookRef | None = None
    share: Share = Field(default=0.5, description="Share of the second look.")
    products: Products = []
    colors: ColorCard | None = None
    strength: Strength = Strength()
    tone: Share = Field(
        default=0.0, description="How far the face takes the shade of the reference's skin."
    )

    def same_makeup(self, other: "Outfit | None") -> bool:
        """Whether both have the same model and makeup; strength may differ."""
        return other is not None and self.makeup() == other.makeup()

    def makeup(self) -> str:
        """The model, the makeup and its wearer as JSON, without strength and tone."""
        return self.model_dump_json(include=_MAKEUP)


class Gallery:
    """The shipped looks, encoded once, and the conversion of outfits to looks.

    Args:
        analyzer: detects the faces of reference photos.
        reference_faces: maximum number of faces in a client's look file.
    """

    def __init__(self, analyzer: FaceAnalyzer, reference_faces: int = 4) -> None:
        self._analyzer = analyzer
        self._reference_faces = reference_faces
        self._reading = threading.RLock()
        self._worn: dict[tuple[str, str, str], bytes] = {}
        self._folder = resources.files("makeup_sdk") / "assets" / "demo"

    @property
    def looks(self) -> Mapping[str, Look]:
        """Shipped looks by id. The first call loads them; other threads wait for it."""
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

    @cached_property
    def _bare(self) -> Look:
        return Look.bare(analyzer=self._analyzer)

    def thumbnail(self, look_id: str) -> bytes | None:
        """The reference picture of a shipped look as JPEG; None for an unknown look."""
        return self._read(f"{look_id}.jpg") if look_id in self.looks else None

    @property
    def designs(self) -> list[dict[str, Any]]:
        """The designed looks: name, title and products as JSON."""
        looks = ((name, json.loads(Look.shipped(name).to_json())) for name in SHIPPED_LOOKS)
        return [
            {"name": name, "title": look["title"], "products": look["products"]}
            for name, look in looks
        ]

    def face(self, skin: str) -> bytes | None:
        """A shipped bare face as JPEG; None for an unknown skin."""
        return self._read(f"{skin}.jpg") if skin in SKINS else None

    def worn_thumbnail(self, design: str, skin: str) -> bytes | None:
        """A designed look on a shipped face as JPEG; None for an unknown look or skin."""
        if design not in SHIPPED_LOOKS or skin not in SKINS:
            return None
        return self._worn_by(DEFAULT_MODEL, design, skin, lambda: Look.shipped(design))

    def style_thumbnail(self, model: Model, style: str, skin: str) -> bytes | None:
        """A model's style on a shipped face as JPEG; None for an unknown skin.

        Raises:
            InvalidInputError: the model has no such style.
        """
        if skin not in SKINS:
            return None
        return self._worn_by(model, style, skin, lambda: Look.from_style(style))

    def _worn_by(self, model: str | Model, name: str, skin: str, make: Callable[[], Look]) -> bytes:
        key = (model if isinstance(model, str) else model.name, name, skin)
        with self._reading:
            if key not in self._worn:
                self._worn[key] = self._wear(model, make(), skin)
            return self._worn[key]

    def _wear(self, model: str | Model, look: Look, skin: str) -> bytes:
        face = decode_image(np.frombuffer(self._read(f"{skin}.jpg"), np.uint8), skin)
        engine = MakeupEngine(look, model=model, analyzer=self._analyzer)
        worn = engine.process(face)[_FACE]
        small = cv2.resize(worn, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        return encode_picture(small, "jpeg")

    def find(self, ref: LookRef) -> Look:
        """The look of a reference.

        Raises:
            InvalidInputError: an unknown id, an invalid product, not exactly one of `gallery`,
                `file`, `products`, `style` and `bare`, or a file of too many photos.
            BundleError: not a look file.
        """
        given = (ref.gallery, ref.file, ref.products, ref.style, ref.bare or None)
        if sum(one is not None for one in given) != 1:
            raise InvalidInputError("look: give one of gallery, file, products, style and bare")
        if ref.bare:
            with self._reading:
                return self._bare
        if ref.style is not None:
            return Look.from_style(ref.style)
        if ref.products is not None:
            return Look.from_products(products_of(ref.products))
        if ref.file is not None:
            look = Look.from_bytes(from_base64(ref.file, "look.file"), "look.file")
            faces = len(look.reference.faces) if look.reference else 0
            if faces > self._reference_faces:
                raise InvalidInputError(
                    f"look.file: made of {faces} photos; send at most {self._reference_faces}"
                )
            return look
        assert ref.gallery is not None
        if ref.gallery not in self.looks:
            raise InvalidInputError(
                f"look: no look {ref.gallery!r} in the gallery; it has {', '.join(self.looks)}"
            )
        return self.looks[ref.gallery]

    def dress(self, outfit: Outfit) -> Look | None:
        """The look of an outfit; None leaves faces bare.

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
        if outfit.products:
            over = products_of(outfit.products)
            look = Look.from_products(over) if look is None else look.with_products(over)
        card = outfit.colors
        if card is None or not any((card.lips, card.eyes, card.blush, card.brows)):
            return look
        colors = Look.from_colors(**card.model_dump())
        if look is None:
            return colors
        return look.under(colors)

    def _read(self, file: str) -> bytes:
        return (self._folder / file).read_bytes()


def products_of(entries: list[ProductJson]) -> tuple[Product, ...]:
    """Products from their JSON.

    Raises:
        InvalidInputError: an invalid product; the message names the field.
    """
    return from_json(json.dumps({"format": FORMAT, "products": entries}), "look")[0]


def from_base64(text: str, name: str) -> bytes:
    """Decode strict base64; `name` is the field in the error.

    Raises:
        InvalidInputError: not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(f"{name}: not base64") from None
