"""Products: their checks, their JSON form and its schema."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.colors import parse_color
from makeup_sdk.cosmetics import (
    PRODUCTS,
    Blush,
    Contour,
    Eyeliner,
    EyeShadow,
    Foundation,
    Highlighter,
    Lashes,
    LipLiner,
    Lipstick,
    from_json,
    schema,
    to_json,
)

EVERYTHING = (
    Foundation("#c99a76", finish="gloss", warmth=-0.4),
    Contour(nose=0.1),
    Blush("salmon", placement="draped", finish="shimmer"),
    Highlighter(bow=0.0),
    PRODUCTS["brows"](),
    EyeShadow("#1f8a8a", crease="#123", inner=(242, 220, 196), lower_color="navy", lower=0.5),
    Eyeliner(wing=0.7, angle=35),
    Lashes(length=1, volume=0.2),
    LipLiner("#701020"),
    Lipstick("crimson", finish="glitter", blur=0.5),
)


@pytest.mark.parametrize(
    ("color", "rgb"),
    [
        ("#b3123a", (0xB3, 0x12, 0x3A)),
        ("B3123A", (0xB3, 0x12, 0x3A)),
        ("#1af", (0x11, 0xAA, 0xFF)),
        (" Crimson ", (220, 20, 60)),
        ("rebeccapurple", (102, 51, 153)),
        ((1, 2, 255), (1, 2, 255)),
    ],
)
def test_colours_as_apps_write_them(color, rgb):
    assert tuple(parse_color(color)[::-1]) == rgb
    assert Lipstick(color).color == "#{:02x}{:02x}{:02x}".format(*rgb)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lipstick("#12345"), r"Lipstick.color: '#12345' is not a colour; expected a hex"),
        (lambda: Lipstick("redd"), "Lipstick.color: 'redd' is not a colour"),
        (lambda: Lipstick((1, 2, 256)), r"Lipstick.color: \(1, 2, 256\) is not a colour"),
        (lambda: Lipstick(None), "Lipstick.color: None is not a colour"),
        (lambda: EyeShadow("red", outer=5), "EyeShadow.outer: 5 is not a colour"),
        (lambda: Lipstick("red", finish="glos"), r"Lipstick.finish: got 'glos'; did you mean 'gl"),
        (lambda: Lipstick("red", finish="wet"), "expected one of matte, satin, gloss, metallic, "),
        (lambda: Lipstick("red", opacity=1.2), r"Lipstick.opacity: got 1.2, expected a number in "),
        (lambda: Lipstick("red", intensity="1"), "Lipstick.intensity: got '1', expected a number"),
        (lambda: Lipstick("red", opacity=float("nan")), "Lipstick.opacity: got nan"),
        (lambda: Lipstick("red", opacity=True), "Lipstick.opacity: got True"),
        (lambda: Eyeliner(angle=61), r"Eyeliner.angle: got 61, expected a number in \[0, 60\]"),
        (lambda: Foundation(warmth=-1.5), r"Foundation.warmth: got -1.5, .* in \[-1, 1\]"),
        (lambda: Blush("red", "cheeks"), "Blush.placement: got 'cheeks'; expected one of apple, "),
    ],
)
def test_bad_values_say_what_was_expected(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_each_product_belongs_to_a_region():
    regions = {name: kind.region for name, kind in PRODUCTS.items()}
    assert {name for name, region in regions.items() if region == Region.LIPS} == {
        "lipliner",
        "lipstick",
    }
    assert regions["brows"] == Region.BROWS
    assert {regions[name] for name in ("eyeshadow", "eyeliner", "lashes")} == {Region.EYES}


def test_json_gives_the_same_products_back():
    assert len(EVERYTHING) == len(PRODUCTS)
    text = to_json(EVERYTHING, "all of them")
    assert from_json(text) == (EVERYTHING, "all of them")
    assert json.loads(text)["products"][9] == {
        "product": "lipstick",
        "color": "#dc143c",
        "finish": "glitter",
        "blur": 0.5,
    }
    assert from_json(to_json([])) == ((), "products")


def document(**changes):
    return json.dumps({"format": 1, "products": [], **changes})


def one(**entry):
    return document(products=[{"product": "lipstick", "color": "red", **entry}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "card.json: not JSON: "),
        ("[]", "card.json: got a list, expected an object"),
        (document(format=2), "card.json: format: got 2, this release reads 1"),
        (json.dumps({"products": []}), "card.json: format: got None"),
        (document(product=[]), "card.json: unknown key 'product'; did you mean 'products'?"),
        (document(products={}), "card.json: products: got {}, expected a list"),
        (document(title=3), "card.json: title: got 3, expected a text"),
        (document(products=[3]), r"card.json: products\[0\]: got 3, expected an object"),
        (one(product="lipstik"), r"products\[0\]: product: got 'lipstik'; did you mean 'lipstick'"),
        (one(product=None), r"products\[0\]: product: got None; expected one of foundation, "),
        (one(colour="red"), r"products\[0\] \(lipstick\): unknown key 'colour'; did you mean 'co"),
        (document(products=[{"product": "lipstick"}]), r"\(lipstick\): color is missing"),
        (one(opacity=3), r"products\[0\]: Lipstick.opacity: got 3, expected a number in \[0, 1\]"),
        (one(color=[1, 2]), r"products\[0\]: Lipstick.color: \(1, 2\) is not a colour"),
        (one(finish=["matte"]), r"products\[0\]: Lipstick.finish: got \('matte',\)"),
    ],
)
def test_bad_json_says_where_and_what(text, message):
    with pytest.raises(InvalidInputError, match=message):
        from_json(text, "card.json")


def test_the_schema_describes_every_field():
    kinds = {
        entry["properties"]["product"]["const"]: entry
        for entry in schema()["properties"]["products"]["items"]["oneOf"]
    }
    assert list(kinds) == list(PRODUCTS)
    for name, kind in PRODUCTS.items():
        entry = kinds[name]
        assert entry["additionalProperties"] is False
        assert set(entry["properties"]) == {"product", *(field.name for field in fields(kind))}
        needed = dict.fromkeys(entry["required"][1:], "red")
        made = kind(**needed)
        for key, value in entry["properties"].items():
            if "default" in value:
                assert getattr(made, key) == value["default"]
            if "maximum" in value:
                for bound in (value["minimum"], value["maximum"]):
                    kind(**needed, **{key: bound})
                with pytest.raises(InvalidInputError):
                    kind(**needed, **{key: value["maximum"] + 0.01})
            for choice in value.get("enum", ()):
                kind(**needed, **{key: choice})


def test_the_published_schema_is_the_one_in_use():
    published = Path(__file__).parents[3] / "docs" / "reference" / "products.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == schema()
