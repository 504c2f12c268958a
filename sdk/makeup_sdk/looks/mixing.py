"""Mix and compose looks, region by region."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.looks.content import LookT, read_by
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.makeup.product_json import ProductMakeup, checked_products
from makeup_sdk.makeup.products import Product
from makeup_sdk.makeup.references import MAX_FACES, References
from makeup_sdk.models.registry import open_model


def mixed(parts: Mapping[Region, list[tuple[LookT, float]]], title: str) -> LookT:
    """Looks averaged region by region, with their photos if all have some.

    Products mixed with photos that `mobile` has read are read by it too.

    Args:
        parts: for each region the looks with makeup for it, and their shares; not empty.
        title: of the result.

    Raises:
        InvalidInputError: looks for different models.
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
    some = next(iter(parts.values()))[0][0]
    parts = {region: shares for region, shares in below.items() if shares}
    if not parts:
        return _of_products(some, over.products, title)
    looks = [look for shares in parts.values() for look, _ in shares]
    kinds = sorted({look.makeup.kind for look in looks})
    if kinds == [Appearance.kind, ProductMakeup.kind]:
        model = open_model("mobile")
        read = {
            look: look if look.makeup.kind == model.kind else read_by(model, look) for look in looks
        }
        parts = {region: [(read[look], share) for look, share in p] for region, p in parts.items()}
        looks = list(read.values())
    elif len(kinds) > 1:
        raise InvalidInputError(
            f"looks of different kinds ({', '.join(kinds)}) cannot be mixed; make them for one "
            "model first: look.made_for(engine.model)"
        )
    makeup = type(looks[0].makeup).mix(
        {region: [(look.makeup, share) for look, share in p] for region, p in parts.items()}
    )
    return replace(
        some,
        makeup=makeup,
        makeup_regions=frozenset(parts),
        title=title,
        reference=makeup if isinstance(makeup, References) else _mixed_reference(parts),
        products=over.products,
    )


def composed(parts: Mapping[Region, LookT], title: str) -> LookT:
    """Each region from one look; products go over photos.

    Args:
        parts: the look of each region, which has makeup for it; not empty.
        title: of the result.

    Raises:
        InvalidInputError: looks for different models, or more than 64 products.
    """
    over: list[Product] = []
    others: dict[Region, list[tuple[LookT, float]]] = {}
    for region, look in parts.items():
        made_of = look.makeup.products if isinstance(look.makeup, ProductMakeup) else ()
        over += (p for p in (*made_of, *look.products) if p.region is region)
        if not made_of and region in look.makeup_regions:
            others[region] = [(replace(look, products=()), 1.0)]
    if not others:
        return _of_products(next(iter(parts.values())), over, title)
    return mixed(others, title).with_products(over)


def _of_products(look: LookT, products: Iterable[Product], title: str) -> LookT:
    """A look of products alone, of the class of `look`."""
    makeup = ProductMakeup(checked_products(products))
    return replace(
        look,
        makeup=makeup,
        makeup_regions=makeup.regions,
        title=title,
        reference=None,
        products=(),
    )


def _mixed_reference(parts: Mapping[Region, list[tuple[LookT, float]]]) -> References | None:
    """The mixed photos of looks; None if a look has none, or if there are too many."""
    mix: dict[Region, list[tuple[References, float]]] = {}
    for region, shares in parts.items():
        mix[region] = []
        for look, share in shares:
            if look.reference is None:
                return None
            mix[region].append((look.reference, share))
    faces = {id(face) for shares in mix.values() for part, _ in shares for face in part.faces}
    return References.mix(mix) if len(faces) <= MAX_FACES else None
