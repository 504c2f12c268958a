"""The content of a look, and how models wear it."""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from typing import TypeVar

from makeup_kernels import InvalidInputError, Region
from makeup_kernels.types import Image
from makeup_sdk.arguments import as_title
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.demo_face import demo_face
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.makeup.base import Makeup
from makeup_sdk.makeup.product_json import ProductMakeup, checked_products
from makeup_sdk.makeup.products import Product
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import Model, Painter
from makeup_sdk.models.products.paint import LayeredPainter, ProductsPainter

LookT = TypeVar("LookT", bound="LookContent")


@dataclass(frozen=True, eq=False)
class LookContent:
    """What a look holds; see `Look`, which adds how looks are made."""

    makeup: Makeup
    makeup_regions: frozenset[Region]
    title: str
    reference: References | None = None
    products: tuple[Product, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", as_title(self.title))

    @property
    def regions(self) -> frozenset[Region]:
        """The regions with makeup or products."""
        return self.makeup_regions | {product.region for product in self.products}

    @property
    def has_tone(self) -> bool:
        """Whether it contains the shade of the reference's skin, for `MakeupEngine.tone`."""
        return isinstance(self.makeup, Appearance)

    def with_products(self: LookT, products: Iterable[Product]) -> LookT:
        """This look with products over it: `look.with_products([Lipstick("#7a1f4b")])`.

        Raises:
            InvalidInputError: not products, or more than 64.
        """
        added = checked_products(products)
        if isinstance(self.makeup, ProductMakeup):
            makeup = ProductMakeup(checked_products((*self.makeup.products, *added)))
            return replace(self, makeup=makeup, makeup_regions=self.makeup_regions | makeup.regions)
        return replace(self, products=checked_products((*self.products, *added)))

    def made_for(self: LookT, model: Model) -> LookT:
        """This look in the form for a model: itself, or read again from its photos.

        Raises:
            InvalidInputError: it was made for another model, and not from photos.
            NoFaceError: the model cannot read a photo.
        """
        if self.makeup.kind in (model.kind, ProductMakeup.kind):
            return self
        if self.reference is None and self.makeup.kind in model.wears:
            return self
        return read_by(model, self)

    def painter(self, model: Model) -> Painter:
        """The look, prepared for painting by the model that it was made for."""
        if isinstance(self.makeup, ProductMakeup):
            return ProductsPainter(self.makeup.products)
        base = model.painter(self.makeup)
        if not self.products:
            return base
        return LayeredPainter(base, self.makeup_regions, ProductsPainter(self.products))


def read_by(model: Model, look: LookT) -> LookT:
    """A look as read by a model from its photos, or for products from the demo face.

    Raises:
        InvalidInputError: the look has no photo, or removes makeup and the model cannot.
        NoFaceError: the model cannot read a photo.
    """
    reference = look.reference
    if isinstance(look.makeup, ProductMakeup):
        face = demo_face()
        crop = painted(look.painter(model), look.regions, face, face.crop)
        reference = References.of(replace(face, crop=crop))
    if reference is None:
        raise InvalidInputError(
            f"look {look.title!r} holds makeup of kind {look.makeup.kind!r} and no photo; "
            f"model {model.name!r} wears {model.kind!r}; give it the reference photo itself, "
            f"or choose a model that wears {look.makeup.kind!r}"
        )
    if reference.bare:
        raise InvalidInputError(
            f"look {look.title!r} takes makeup off, which model {model.name!r} cannot do; "
            "use model 'ssat'"
        )
    makeup = reference.encoded(model.encode)
    return replace(look, makeup=makeup, makeup_regions=look.makeup_regions & model.regions)


def painted(painter: Painter, regions: Set[Region], face: FaceAnalysis, photo: Image) -> Image:
    """A copy of a photo with the full makeup on its face."""
    picture: Image = photo.copy()
    paint = painter.paint(face, dict.fromkeys(regions, 1.0))
    paint.put(picture, face, color="bgr", threads=None)
    return picture
