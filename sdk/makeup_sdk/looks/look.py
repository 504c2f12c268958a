"""`Look`: the makeup of a reference, or of products."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import cv2

from makeup_kernels import InvalidInputError, Region
from makeup_kernels.files import as_path, write_atomically
from makeup_kernels.types import Image
from makeup_sdk.arguments import as_number, as_regions
from makeup_sdk.colors import Color
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalyzer
from makeup_sdk.images import Picture, check_color
from makeup_sdk.looks import file
from makeup_sdk.looks.content import LookContent
from makeup_sdk.looks.mixing import composed, mixed
from makeup_sdk.looks.photo import reference_face
from makeup_sdk.looks.preview import colors, preview
from makeup_sdk.looks.shipped import SHIPPED_LOOKS, bare_photos, shipped_json
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.makeup.color_card import color_card
from makeup_sdk.makeup.product_json import ProductMakeup, checked_products, from_json, to_json
from makeup_sdk.makeup.products import Product, nearest
from makeup_sdk.makeup.references import References
from makeup_sdk.makeup.style import STYLE_REGIONS, Style
from makeup_sdk.models.base import Model
from makeup_sdk.models.registry import DEFAULT_MODEL, open_model


class Look(LookContent):
    """The makeup of a reference photo, or products; immutable, small, independent of any face.

    Attributes:
        makeup: data for a model's painter.
        makeup_regions: the regions of the makeup.
        title: its title; control characters are removed.
        reference: the faces it was read from, so that other models can read them too; None for
            products, and for looks from files unless the makeup itself consists of faces.
        products: painted over the makeup.
    """

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
        check_color(color)
        face = reference_face(photo, "reference", analyzer or BundledFaceAnalyzer(), color)
        if title is None and isinstance(photo, (str, Path)):
            title = Path(photo).stem
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
        return cls.from_json(shipped_json(name), f"{name}.json")

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
        photos: list[Picture] = [*bare_photos()] if photo is None else [photo]
        faces = (reference_face(photo, "bare photo", analyzer) for photo in photos)
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
        return mixed(parts, title)

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
        return composed(parts, title)

    def under(self, other: "Look") -> "Look":
        """This look, with the other look's regions replacing its own."""
        parts = dict.fromkeys(self.regions, self) | dict.fromkeys(other.regions, other)
        return composed(parts, self.title)

    def only(self, regions: Region | str | Iterable[Region | str]) -> "Look":
        """The same look restricted to one or several regions; also by name, `only("lips")`.

        Raises:
            InvalidInputError: not a makeup region.
        """
        kept = as_regions(regions, "only")
        products = tuple(product for product in self.products if product.region in kept)
        return replace(self, makeup_regions=self.makeup_regions & kept, products=products)

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
        return preview(self, face)

    def colors(self) -> dict[Region, str]:
        """The mean colour of each region of the shipped face with medium skin and this look.

        Returns:
            `"#b3123a"` by region.

        Raises:
            InvalidInputError: as `preview`.
        """
        return colors(self)

    def to_bytes(self) -> bytes:
        """The content of a look file: a NumPy archive without objects, about 50 KB.

        Looks of published models contain the reference faces' pictures, about 130 KB each.
        """
        return file.to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> "Look":
        """The inverse of `to_bytes`; `name` is for messages.

        Raises:
            BundleError: corrupt or foreign data.
        """
        return cls(**vars(file.from_bytes(data, name)))

    @classmethod
    def from_json_file(cls, path: str | Path) -> "Look":
        """A look from a JSON file of products; see `from_json`.

        Raises:
            InvalidInputError: no such file, or invalid; the message says what is wrong and where.
        """
        return cls.from_json(file.read_json_file(path), str(path))

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
        return cls.from_bytes(file.read_file(path), str(path))


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
