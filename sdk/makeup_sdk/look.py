"""Looks: the makeup of a reference, or of products."""

import io
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import BundleError, InvalidInputError, NoFaceError, Region
from makeup_kernels.files import as_path, write_atomically
from makeup_kernels.types import Image
from makeup_sdk.arguments import as_number, as_regions, as_title
from makeup_sdk.colors import Color, to_hex
from makeup_sdk.faces import BundledFaceAnalyzer, Detection, FaceAnalysis, FaceAnalyzer
from makeup_sdk.faces.demo_face import demo_face, demo_photo
from makeup_sdk.images import Picture, check_color, check_frame, open_picture, to_bgr
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.makeup.base import MAKEUP_REGIONS, Makeup
from makeup_sdk.makeup.color_card import color_card
from makeup_sdk.makeup.product_json import (
    ProductMakeup,
    checked_products,
    from_json,
    to_json,
)
from makeup_sdk.makeup.products import Product, nearest
from makeup_sdk.makeup.references import MAX_FACES, References
from makeup_sdk.makeup.style import STYLE_REGIONS, Style
from makeup_sdk.models.base import Model, Painter
from makeup_sdk.models.products.paint import LayeredPainter, ProductsPainter
from makeup_sdk.models.registry import DEFAULT_MODEL, MAKEUPS, open_model

_FORMAT, _LAYERED_FORMAT = 1, 2
"""Versions of look files; 2 adds products over another makeup."""
_LOOKS = Path(__file__).parent / "assets" / "looks"
SHIPPED_LOOKS = tuple(sorted(path.stem for path in _LOOKS.glob("*.json")))
"""Names of the designed looks, for `Look.shipped`."""
_MIN_SCORE = 0.5
_REFERENCE_FACES = 16
_MAX_FILE_BYTES, _MAX_JSON_BYTES = 8 << 20, 1 << 20
_LONGEST_TITLE = 1000


@dataclass(frozen=True, eq=False)
class Look:
    """The makeup of a reference photo, or products; immutable, small, independent of any face.

    Attributes:
        makeup: data for a model's painter.
        makeup_regions: the regions of the makeup.
        title: its title; control characters are removed.
        reference: the faces it was read from, so that other models can read them too; None for
            products, and for looks from files unless the makeup itself consists of faces.
        products: painted over the makeup.
    """

    makeup: Makeup
    makeup_regions: frozenset[Region]
    title: str
    reference: References | None = None
    products: tuple[Product, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", as_title(self.title))

    def __repr__(self) -> str:
        worn = ", ".join(region.name.lower() for region in sorted(self.regions))
        over = [type(product).__name__ for product in self.products]
        return f"Look({self.title!r}, {' + '.join([self.makeup.kind, *over])}: {worn})"

    def _repr_png_(self) -> bytes | None:
        """`preview`, for notebooks; None for a look without one."""
        try:
            return bytes(cv2.imencode(".png", self.preview())[1])
        except InvalidInputError:
            return None

    @property
    def regions(self) -> frozenset[Region]:
        """The regions with makeup or products."""
        return self.makeup_regions | {product.region for product in self.products}

    @property
    def has_tone(self) -> bool:
        """Whether it contains the shade of the reference's skin, for `MakeupEngine.tone`."""
        return isinstance(self.makeup, Appearance)

    @classmethod
    def from_photo(
        cls,
        photo: Picture,
        *,
        title: str | None = None,
        model: str | Path | Model = DEFAULT_MODEL,
        analyzer: FaceAnalyzer | None = None,
        color: str = "bgr",
    ) -> "Look":
        """Read the makeup of a reference photo; of several faces, the largest is used.

        Args:
            photo: path of an image file, a Pillow image, or a frame uint8 (H, W, 3).
            title: default: the file's name.
            model: reads the makeup: a name, or `engine.model`. An engine with another model reads
                the photo again when the look is set.
            analyzer: finds the face; default the bundled one.
            color: channel order of a frame, "bgr" or "rgb"; ignored for files and Pillow images.

        Raises:
            InvalidInputError: not a readable image, or a model that takes no reference.
            NoFaceError: no usable face in it.
        """
        model = open_model(model)
        name, frame = _named_frame(photo, "reference", check_color(color))
        if title is None and isinstance(photo, (str, Path)):
            title = Path(photo).stem
        face = _largest_face(name, frame, analyzer or BundledFaceAnalyzer())
        reference = References.of(face)
        return cls(model.encode(face), model.regions, title or "reference", reference)

    @classmethod
    def from_colors(
        cls,
        *,
        lips: Color | None = None,
        eyes: Color | None = None,
        blush: Color | None = None,
        brows: Color | None = None,
        finish: str = "natural",
        title: str = "colours",
    ) -> "Look":
        """A look from colours, for example `Look.from_colors(lips="#b3123a", finish="gloss")`.

        A short form of `from_products`, which supports all finishes, shapes and placements.

        Args:
            lips, eyes, blush, brows: colours of lipstick, eye shadow, blush and brow pencil, as
                `"#b3123a"` or a CSS name; None: not painted.
            finish: finish of the lipstick: "natural", "matte" or "gloss".
            title: its title.

        Raises:
            InvalidInputError: no colour, an invalid colour, or an unknown finish.
        """
        return cls.from_products(color_card(lips, eyes, blush, brows, finish), title=title)

    @classmethod
    def from_products(cls, products: Iterable[Product], *, title: str = "products") -> "Look":
        """A look from products, which every model supports.

            Look.from_products([Lipstick("#7a1f4b", finish="matte"), Lashes(length=0.8)])

        Args:
            products: products of `makeup_sdk.cosmetics`, in any order.
            title: its title.

        Raises:
            InvalidInputError: no products, not products, or more than 64.
        """
        makeup = ProductMakeup(checked_products(products))
        if not makeup.products:
            raise InvalidInputError("from_products: no product given; expected at least one")
        return cls(makeup, makeup.regions, title)

    @classmethod
    def from_json(cls, text: str, name: str = "products") -> "Look":
        """A look from products as JSON; `makeup_sdk.cosmetics.schema()` describes it.

        Args:
            text: the JSON.
            name: names the text in messages.

        Raises:
            InvalidInputError: invalid; the message says what is wrong and where.
        """
        products, title = from_json(text, name)
        return cls.from_products(products, title=title)

    @classmethod
    def shipped(cls, name: str) -> "Look":
        """A designed look that ships with the package, for example `Look.shipped("soft-glam")`.

        Raises:
            InvalidInputError: no look of this name.
        """
        if name not in SHIPPED_LOOKS:
            raise InvalidInputError(f"look: got {name!r}; {nearest(str(name), SHIPPED_LOOKS)}")
        file = _LOOKS / f"{name}.json"
        return cls.from_json(file.read_text(encoding="utf-8"), file.name)

    def with_products(self, products: Iterable[Product]) -> "Look":
        """This look with products over it: `look.with_products([Lipstick("#7a1f4b")])`.

        Raises:
            InvalidInputError: not products, or more than 64.
        """
        added = checked_products(products)
        if isinstance(self.makeup, ProductMakeup):
            makeup = ProductMakeup(checked_products((*self.makeup.products, *added)))
            return replace(self, makeup=makeup, makeup_regions=self.makeup_regions | makeup.regions)
        return replace(self, products=checked_products((*self.products, *added)))

    def to_json(self) -> str:
        """The products of the look as JSON.

        Raises:
            InvalidInputError: it contains makeup other than products.
        """
        if not isinstance(self.makeup, ProductMakeup):
            raise InvalidInputError(
                f"look {self.title!r} holds makeup of kind {self.makeup.kind!r}, which has no "
                "JSON form; save it as a look file"
            )
        return to_json(self.makeup.products, self.title)

    @classmethod
    def from_style(cls, name: str) -> "Look":
        """A style that a network has learned, for models without references (`region-gan`).

        Args:
            name: name of a style in the model's bundle; `engine.model` refuses unknown names and
                lists its own.

        Raises:
            InvalidInputError: not a text.
        """
        if not isinstance(name, str):
            raise InvalidInputError(f"style: got {type(name).__name__}, expected a name")
        return cls(Style(name), STYLE_REGIONS, name)

    @classmethod
    def bare(
        cls,
        photo: Picture | None = None,
        *,
        analyzer: FaceAnalyzer | None = None,
    ) -> "Look":
        """A look that removes makeup, with models that can (`ssat`), using another bare face.

        Args:
            photo: photo of a bare face, ideally of the same person: a path, or a BGR frame. By
                default each face uses the shipped bare face with the most similar skin colour.
            analyzer: finds the face; default the bundled one.

        Raises:
            InvalidInputError: not a readable image.
            NoFaceError: no usable face in it.
        """
        analyzer = analyzer or BundledFaceAnalyzer()
        photos = [str(path) for path in _bare_photos()] if photo is None else [photo]
        faces = [
            _largest_face(*_named_frame(photo, "bare photo"), analyzer=analyzer) for photo in photos
        ]
        reference = References.of(*faces, bare=True)
        return cls(reference, frozenset(MAKEUP_REGIONS), "bare", reference)

    @classmethod
    def mix(cls, shares: "Mapping[Look, float]", *, title: str = "mix") -> "Look":
        """Average looks: `Look.mix({a: 0.7, b: 0.3})`. Shares are normalised to sum 1.

        A region is averaged over the looks that have makeup for it.

        Raises:
            InvalidInputError: no look, a negative or non-finite share, all shares 0, or looks for
                different models.
        """
        if not isinstance(shares, Mapping):
            raise InvalidInputError(
                f"mix: got {type(shares).__name__}, expected a mapping such as {{a: 0.7, b: 0.3}}"
            )
        amounts = {_checked(look, "mix"): as_number(s, "mix: share") for look, s in shares.items()}
        total = sum(amounts.values())
        if not (0 < total < math.inf and min(amounts.values()) >= 0):
            raise InvalidInputError(
                f"mix: shares are {list(shares.values())}, expected numbers ≥ 0 with a finite sum "
                "that is not 0"
            )
        worn = {look: share / total for look, share in amounts.items() if share / total > 0}
        regions = frozenset().union(*(look.regions for look in worn))
        parts = {
            region: [(look, share) for look, share in worn.items() if region in look.regions]
            for region in sorted(regions)
        }
        return _mixed(parts, title)

    @classmethod
    def compose(
        cls,
        *,
        lips: "Look | None" = None,
        skin: "Look | None" = None,
        eyes: "Look | None" = None,
        brows: "Look | None" = None,
        title: str = "composition",
    ) -> "Look":
        """Take each region from another look: `Look.compose(lips=a, eyes=b)`.

        Raises:
            InvalidInputError: no look given, one without makeup for its region, or looks for
                different models.
        """
        given = {Region.LIPS: lips, Region.SKIN: skin, Region.EYES: eyes, Region.BROWS: brows}
        parts = {
            region: _checked(look, f"compose: {region.name.lower()}")
            for region, look in given.items()
            if look is not None
        }
        if not parts:
            raise InvalidInputError(
                "compose: no look given; expected lips=, skin=, eyes= or brows="
            )
        for region, look in parts.items():
            if region not in look.regions:
                raise InvalidInputError(
                    f"compose: look {look.title!r} has no makeup for {region.name.lower()}"
                )
        return _composed(parts, title)

    def under(self, other: "Look") -> "Look":
        """This look, with the other look's regions replacing its own."""
        parts = dict.fromkeys(self.regions, self) | dict.fromkeys(other.regions, other)
        return _composed(parts, self.title)

    def only(self, regions: Region | str | Iterable[Region | str]) -> "Look":
        """The same look restricted to one or several regions; also by name, `only("lips")`.

        Raises:
            InvalidInputError: not a makeup region.
        """
        kept = as_regions(regions, "only")
        products = tuple(product for product in self.products if product.region in kept)
        return replace(self, makeup_regions=self.makeup_regions & kept, products=products)

    def made_for(self, model: Model) -> "Look":
        """This look in the form for a model: itself, or read again from its photos.

        Raises:
            InvalidInputError: it was made for another model, and not from photos.
            NoFaceError: the model cannot read a photo.
        """
        if self.makeup.kind in (model.kind, ProductMakeup.kind):
            return self
        if self.reference is None and self.makeup.kind in model.wears:
            return self
        return self._read_by(model)

    def _read_by(self, model: Model) -> "Look":
        """The look as read by a model from its photos, or for products from the demo face."""
        reference = self.reference
        if isinstance(self.makeup, ProductMakeup):
            reference = References.of(self._on_demo_face())
        if reference is None:
            raise InvalidInputError(
                f"look {self.title!r} holds makeup of kind {self.makeup.kind!r} and no photo; "
                f"model {model.name!r} wears {model.kind!r}; give it the reference photo itself, "
                f"or choose a model that wears {self.makeup.kind!r}"
            )
        if reference.bare:
            raise InvalidInputError(
                f"look {self.title!r} takes makeup off, which model {model.name!r} cannot do; "
                "use model 'ssat'"
            )
        makeup = reference.encoded(model.encode)
        return replace(self, makeup=makeup, makeup_regions=self.makeup_regions & model.regions)

    def preview(self, face: str = "medium") -> Image:
        """A picture of the look on a shipped face.

        `region-gan` paints styles, the default model everything else.

        Args:
            face: the face with "light", "medium" or "dark" skin.

        Returns:
            uint8 (512, 512, 3), BGR.

        Raises:
            InvalidInputError: no such face, a style unknown to the shipped network, or a look that
                removes makeup.
        """
        photo, found = demo_photo(face)
        return self._worn_by(found, photo)

    def colors(self) -> dict[Region, str]:
        """The mean colour of each region of the shipped face with medium skin and this look.

        Returns:
            `"#b3123a"` by region.

        Raises:
            InvalidInputError: as `preview`.
        """
        face = self._on_demo_face()
        return {
            region: to_hex(face.crop[face.regions == region].mean(axis=0))
            for region in sorted(self.regions)
        }

    def _on_demo_face(self) -> FaceAnalysis:
        face = demo_face()
        return replace(face, crop=self._worn_by(face, face.crop))

    def _worn_by(self, face: FaceAnalysis, photo: Image) -> Image:
        """A copy of a photo with the look on its face."""
        is_style = isinstance(self.makeup, Style)
        model = _shipped_model("region-gan" if is_style else DEFAULT_MODEL)
        painter = self.made_for(model).painter(model)
        picture: Image = photo.copy()
        paint = painter.paint(face, dict.fromkeys(self.regions, 1.0))
        paint.put(picture, face, color="bgr", threads=None)
        return picture

    def painter(self, model: Model) -> Painter:
        """The look, prepared for painting by the model that it was made for."""
        if isinstance(self.makeup, ProductMakeup):
            return ProductsPainter(self.makeup.products)
        base = model.painter(self.makeup)
        if not self.products:
            return base
        return LayeredPainter(base, self.makeup_regions, ProductsPainter(self.products))

    def to_bytes(self) -> bytes:
        """The content of a look file: a NumPy archive without objects, about 50 KB.

        Looks of published models contain the reference faces' pictures, about 130 KB each.
        """
        head: dict[str, Any] = {
            "format": _FORMAT,
            "kind": self.makeup.kind,
            "title": self.title,
            "regions": sorted(region.name.lower() for region in self.makeup_regions),
        }
        if self.products:
            head |= {"format": _LAYERED_FORMAT, "products": to_json(self.products)}
        buffer = io.BytesIO()
        arrays: dict[str, Any] = self.makeup.to_arrays()
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> "Look":
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
                f"{name}: not a look file or damaged ({error}); "
                "make it again with `makeup look encode`"
            ) from None

    @classmethod
    def from_json_file(cls, path: str | Path) -> "Look":
        """A look from a JSON file of products; see `from_json`.

        Raises:
            InvalidInputError: no such file, or invalid; the message says what is wrong and where.
        """
        path = as_path(path, "products")
        if not path.is_file():
            raise InvalidInputError(f"{path}: no such file of products")
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise InvalidInputError(f"{path}: larger than 1 MiB; this is no file of products")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InvalidInputError(f"{path}: not UTF-8 text; this is no JSON") from None
        return cls.from_json(text, str(path))

    def save(self, path: str | Path) -> None:
        """Write a look file atomically.

        Raises:
            OutputError: the disk is full, the path is a directory, or permission is denied.
        """
        write_atomically(as_path(path, "look file"), self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> "Look":
        """Read a look file.

        Raises:
            BundleError: missing, corrupt or foreign file.
        """
        path = as_path(path, "look file")
        if not path.is_file():
            raise BundleError(f"{path}: no such look file; make one with `makeup look encode`")
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise BundleError(f"{path}: larger than 8 MiB; this is no look file")
        return cls.from_bytes(path.read_bytes(), str(path))


def look_by_name(name: str) -> Look | None:
    """A designed look by its name; None for what is, or may be, the path of a file.

    Raises:
        InvalidInputError: a plain name that neither a file nor a designed look has, or a name that
            no file can have.
    """
    if as_path(name, "look file").exists():
        return None
    if name in SHIPPED_LOOKS:
        return Look.shipped(name)
    if Path(name).suffix or len(Path(name).parts) != 1:
        return None
    raise InvalidInputError(
        f"look: neither a file nor a designed look is called {name!r}; "
        f"{nearest(name, SHIPPED_LOOKS)}"
    )


def _checked(look: object, name: str) -> Look:
    if not isinstance(look, Look):
        raise InvalidInputError(f"{name}: got {type(look).__name__}, expected a Look")
    return look


@cache
def _shipped_model(name: str) -> Model:
    """A model that looks are shown with."""
    return open_model(name)


def _bare_photos() -> list[Path]:
    """The shipped bare faces."""
    folder = Path(__file__).parent / "assets" / "demo"
    listing = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    return [folder / p["file"] for p in listing["pictures"] if p["role"] == "source"]


def _named_frame(photo: Picture, name: str, color: str = "bgr") -> tuple[str, Image]:
    """A photo as a BGR frame, and its name for messages: its path, or `name`."""
    name = str(photo) if isinstance(photo, (str, Path)) else name
    return name, to_bgr(check_frame(open_picture(photo, color)[0], name), color)


def _largest_face(name: str, frame: NDArray[np.uint8], analyzer: FaceAnalyzer) -> FaceAnalysis:
    faces = analyzer.detect(frame, _REFERENCE_FACES)
    face = analyzer.analyze(frame, max(faces, key=_area)) if faces else None
    if face is None or face.score < _MIN_SCORE:
        raise NoFaceError(
            f"{name}: no face found in {frame.shape[1]}x{frame.shape[0]} pixels; "
            "use a photo in which the made-up face is large, uncovered and looks at the camera"
        )
    return face


def _area(face: Detection) -> float:
    x0, y0, x1, y1 = face.box
    return float((x1 - x0) * (y1 - y0))


def _mixed(parts: Mapping[Region, list[tuple[Look, float]]], title: str) -> Look:
    """Looks averaged region by region, with their photos if all have some.

    Products mixed with photos that `mobile` has read are read by it too.
    """
    over = ProductMakeup.mix(
        {
            region: [(ProductMakeup(look.products), share) for look, share in p]
            for region, p in parts.items()
        }
    )
    below = {
        region: [(look, share) for look, share in p if region in look.makeup_regions]
        for region, p in parts.items()
    }
    parts = {region: shares for region, shares in below.items() if shares}
    looks = [look for shares in parts.values() for look, _ in shares]
    kinds = sorted({look.makeup.kind for look in looks})
    if kinds == [Appearance.kind, ProductMakeup.kind]:
        model = open_model("mobile")
        read = {
            look: look if look.makeup.kind == model.kind else look._read_by(model) for look in looks
        }
        parts = {region: [(read[look], share) for look, share in p] for region, p in parts.items()}
        looks = list(read.values())
    elif len(kinds) > 1:
        raise InvalidInputError(
            f"looks of different kinds ({', '.join(kinds)}) cannot be mixed; make them for one "
            "model first: look.made_for(engine.model)"
        )
    mixed = type(looks[0].makeup).mix(
        {region: [(look.makeup, share) for look, share in p] for region, p in parts.items()}
    )
    reference = mixed if isinstance(mixed, References) else _mixed_reference(parts)
    return Look(mixed, frozenset(parts), title, reference, over.products)


def _composed(parts: Mapping[Region, Look], title: str) -> Look:
    """Each region from one look; products go over photos."""
    over: list[Product] = []
    others: dict[Region, list[tuple[Look, float]]] = {}
    for region, look in parts.items():
        made_of = look.makeup.products if isinstance(look.makeup, ProductMakeup) else ()
        over += (p for p in (*made_of, *look.products) if p.region is region)
        if not made_of and region in look.makeup_regions:
            others[region] = [(replace(look, products=()), 1.0)]
    if not others:
        return Look.from_products(over, title=title)
    return _mixed(others, title).with_products(over)


def _mixed_reference(parts: Mapping[Region, list[tuple[Look, float]]]) -> References | None:
    """The mixed photos of looks; None if a look has none, or if there are too many."""
    mixed: dict[Region, list[tuple[References, float]]] = {}
    for region, shares in parts.items():
        mixed[region] = []
        for look, share in shares:
            if look.reference is None:
                return None
            mixed[region].append((look.reference, share))
    faces = {id(face) for shares in mixed.values() for part, _ in shares for face in part.faces}
    return References.mix(mixed) if len(faces) <= MAX_FACES else None


def _read(data: bytes) -> Look:
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
    return Look(makeup, regions, title, reference, products)
