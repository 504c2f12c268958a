import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from makeup_sdk import (
    BundleError,
    FaceAnalysis,
    InvalidInputError,
    Look,
    MakeupEngine,
    Region,
)
from makeup_sdk.cosmetics import Brows, Lashes, Lipstick
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.makeup.references import References
from makeup_sdk.models.mobile.model import MobileModel

ALL = dict.fromkeys((Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS), 1.0)


def assert_same_maps(one: Look, other: Look, atol: float) -> None:
    assert one.makeup.maps.keys() == other.makeup.maps.keys()
    for region, part in one.makeup.maps.items():
        np.testing.assert_allclose(part.lab, other.makeup.maps[region].lab, atol=atol)


def lip_color(look: Look, face: FaceAnalysis) -> np.ndarray:
    return painted(look, face, {Region.LIPS: 1.0})[face.regions == Region.LIPS].mean(axis=0)


def painted(look: Look, face: FaceAnalysis, strength: dict[Region, float]) -> np.ndarray:
    """The face's crop wearing a look, of products or of a photo."""
    crop = face.crop.copy()
    there = replace(face, landmarks=face.crop_landmarks, matrix=np.eye(2, 3))
    paint = look.painter(MobileModel()).paint(face, strength)
    paint.put(crop, there, color="bgr", threads=1)
    return crop


@pytest.fixture
def face(analysis: Callable[[str], FaceAnalysis]) -> FaceAnalysis:
    return analysis("medium.jpg")


def test_saved_look_paints_the_same(look: Look, face: FaceAnalysis, tmp_path: Path) -> None:
    path = tmp_path / "red.look"
    look.save(path)
    loaded = Look.load(path)
    before, after = painted(look, face, ALL), painted(loaded, face, ALL)
    assert np.abs(before.astype(int) - after).max() <= 2
    assert loaded.regions == look.regions
    assert loaded.title == look.title
    assert path.stat().st_size < 200_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["red.look"]


def test_mix_endpoints_and_middle(face: FaceAnalysis) -> None:
    red, brown = Look.from_colors(lips="#c01030"), Look.from_colors(lips="#5a3020")
    ends = [lip_color(look, face) for look in (red, brown)]
    np.testing.assert_allclose(lip_color(Look.mix({red: 1.0, brown: 0.0}), face), ends[0], atol=1)
    middle = lip_color(Look.mix({red: 1.0, brown: 1.0}), face)
    assert (middle > np.minimum(*ends) - 4).all()
    assert (middle < np.maximum(*ends) + 4).all()
    np.testing.assert_allclose(lip_color(Look.mix({red: 3.0, brown: 3.0}), face), middle, atol=1)


def test_compose_takes_each_region_from_its_look(look: Look, face: FaceAnalysis) -> None:
    card = Look.from_colors(eyes="#1b7f86", lips="#101010")
    composed = Look.compose(lips=look, eyes=card)
    assert composed.regions == {Region.LIPS, Region.EYES}
    np.testing.assert_allclose(lip_color(composed, face), lip_color(look, face), atol=12)


def test_only() -> None:
    card = Look.from_colors(lips="#c01030", eyes="#1b7f86")
    assert card.only([Region.LIPS, Region.SKIN]).regions == {Region.LIPS}


@pytest.mark.parametrize("file", ["light.jpg", "medium.jpg", "dark.jpg"])
@pytest.mark.parametrize("color", ["#b3123a", "#e87461", "#5b1f5e", "#8a4b32"])
def test_lip_shade_arrives_on_every_skin(
    analysis: Callable[[str], FaceAnalysis], file: str, color: str
) -> None:
    face = analysis(file)
    wanted = np.array([int(color[i : i + 2], 16) for i in (5, 3, 1)], float)
    bare = face.crop[face.regions == Region.LIPS].mean(axis=0)
    worn = lip_color(Look.from_colors(lips=color), face)
    worn, bare = (color * wanted.sum() / color.sum() for color in (worn, bare))  # in its light
    assert np.abs(worn - wanted).mean() < max(0.75 * np.abs(bare - wanted).mean(), 18)


def test_finish_orders_the_gloss(face: FaceAnalysis) -> None:
    matte, natural, gloss = (
        painted(Look.from_colors(lips="#b3123a", finish=finish), face, ALL).astype(int)
        for finish in ("matte", "natural", "gloss")
    )
    lips = face.regions == Region.LIPS
    assert (natural - matte)[lips].max() > 3
    assert (gloss - natural)[lips].max() > 15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Look.from_colors, "no colour given"),
        (lambda: Look.from_colors(lips="rot"), "lips: 'rot' is not a colour; expected a hex"),
        (lambda: Look.from_colors(lips="#12345"), "is not a colour"),
        (lambda: Look.from_colors(lips="#123", finish="wet"), "finish: 'wet' is unknown"),
        (lambda: Look.mix({}), "expected numbers ≥ 0"),
        (lambda: Look.mix({Look.from_colors(lips="#123"): -1.0}), "expected numbers ≥ 0"),
        (lambda: Look.mix({Look.from_colors(lips="#123"): float("inf")}), "expected numbers ≥ 0"),
        (Look.compose, "compose: no look given"),
        (
            lambda: Look.compose(eyes=Look.from_colors(lips="#123")),
            "look 'colours' has no makeup for eyes",
        ),
    ],
)
def test_wrong_calls(call: Callable[[], Look], message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        call()
    assert message in str(error.value)


class ReferenceModel:
    """A model that wears the reference faces themselves."""

    name, kind = "readers", References.kind
    wears = frozenset({References.kind})
    regions = frozenset((Region.LIPS, Region.SKIN))

    def encode(self, face: FaceAnalysis) -> References:
        return References.of(face)

    def painter(self, makeup: References) -> None:
        raise AssertionError


@pytest.fixture
def references(analysis: Callable[[str], FaceAnalysis]) -> tuple[References, References]:
    return References.of(analysis("red-classic.jpg")), References.of(analysis("teal-smoky.jpg"))


def test_look_of_a_photo_is_read_again_by_another_model(look: Look) -> None:
    assert look.made_for(MobileModel()) is look
    other = look.made_for(ReferenceModel())
    assert other.makeup.kind == "reference"
    assert other.regions == {Region.LIPS, Region.SKIN}
    back = other.made_for(MobileModel())
    assert_same_maps(back, look, 0)


def test_mixed_looks_are_read_again(demo: Callable[[str], np.ndarray]) -> None:
    red, teal = (
        Look.from_photo(demo(file), model="mobile")
        for file in ("red-classic.jpg", "teal-smoky.jpg")
    )
    mixed = Look.mix({red: 0.7, teal: 0.3})
    other = mixed.made_for(ReferenceModel())
    np.testing.assert_allclose(other.makeup.shares[:, 1:], [[0.7] * 4, [0.3] * 4], atol=1e-6)
    back = Look.from_bytes(other.to_bytes(), "x").made_for(MobileModel())
    assert_same_maps(back, mixed, 1e-4)


def test_style_stays_with_its_model() -> None:
    with pytest.raises(InvalidInputError) as error:
        Look.from_style("retro").made_for(ReferenceModel())
    assert str(error.value) == (
        "look 'retro' holds makeup of kind 'style' and no photo; model 'readers' wears "
        "'reference'; give it the reference photo itself, or choose a model that wears 'style'"
    )


def test_products_are_worn_by_every_model() -> None:
    card = Look.from_colors(lips="#5b1f5e")
    assert card.reference is None
    assert card.made_for(ReferenceModel()) is card


def test_products_from_json_and_back(tmp_path: Path) -> None:
    look = Look.from_products([Lipstick("#7a1f4b", finish="matte"), Lashes(length=0.8)], title="x")
    assert look.regions == {Region.LIPS, Region.EYES}
    again = Look.from_json(look.to_json(), "x.json")
    assert (again.makeup, again.title) == (look.makeup, "x")
    look.save(tmp_path / "x.look")
    assert Look.load(tmp_path / "x.look").makeup == look.makeup
    assert look.only("lips").regions == {Region.LIPS}


def test_products_over_a_photo_look(look: Look, face: FaceAnalysis, tmp_path: Path) -> None:
    layered = look.with_products([Lipstick("#2a0a3a", opacity=1)])
    assert layered.regions == look.regions
    over, bare = lip_color(layered, face), lip_color(Look.from_products(layered.products), face)
    assert np.abs(over - bare).max() < 0.35 * np.abs(lip_color(look, face) - bare).max()
    eyes = face.regions == Region.EYES
    np.testing.assert_array_equal(painted(layered, face, ALL)[eyes], painted(look, face, ALL)[eyes])
    layered.save(tmp_path / "x.look")
    loaded = Look.load(tmp_path / "x.look")
    assert loaded.products == layered.products
    assert np.abs(painted(loaded, face, ALL).astype(int) - painted(layered, face, ALL)).max() <= 2
    assert layered.only("eyes").products == ()
    with pytest.raises(InvalidInputError, match="has no JSON form; save it as a look file"):
        layered.to_json()


def test_composing_products_with_photos(look: Look) -> None:
    card = Look.from_products([Lipstick("#7a1f4b"), Lashes()])
    composed = Look.compose(lips=card, eyes=look)
    assert composed.products == (Lipstick("#7a1f4b"),)
    assert composed.makeup_regions == {Region.EYES}
    below = look.under(card)
    assert below.regions == look.regions
    assert below.makeup_regions == look.regions - {Region.LIPS, Region.EYES}
    assert set(below.products) == {Lipstick("#7a1f4b"), Lashes()}
    assert Look.compose(lips=card).makeup.products == (Lipstick("#7a1f4b"),)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Look.from_products([]), "from_products: no product given"),
        (lambda: Look.from_products("red"), "products: got str, expected a list"),
        (lambda: Look.from_products(Lipstick("red")), "products: got Lipstick, expected a list"),
        (lambda: Look.from_products(["red"]), "products: got str, expected products of makeup_sdk"),
        (lambda: Look.from_products([Lashes()] * 65), "products: got 65, expected at most 64"),
        (lambda: Look.shipped("smokey"), "look: got 'smokey'; did you mean 'smoky'?"),
    ],
)
def test_wrong_products(call: Callable[[], Look], message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize("name", SHIPPED_LOOKS)
def test_shipped_looks_paint_lips_eyes_and_skin(name: str, face: FaceAnalysis) -> None:
    look = Look.shipped(name)
    assert look.regions == set(ALL)
    change = np.abs(painted(look, face, ALL).astype(int) - face.crop).max(axis=2)
    for region in (Region.LIPS, Region.EYES, Region.SKIN):
        assert change[face.regions == region].mean() > 1.0
    assert Look.from_json(look.to_json()).makeup == look.makeup


def test_products_over_no_makeup_mix_as_products() -> None:
    over = Look.from_style("smoky").with_products([Brows("#2a201c")]).only("brows")
    assert not over.makeup_regions
    mixed = Look.mix({over: 0.5, Look.from_colors(brows="#2a201c"): 0.5})
    assert mixed.regions == {Region.BROWS}
    [brows] = json.loads(Look.mix({over: 1.0}).to_json())["products"]
    assert (brows["product"], brows["color"]) == ("brows", "#2a201c")


def test_looks_of_different_kinds_do_not_mix(look: Look) -> None:
    with pytest.raises(InvalidInputError, match=r"different kinds \(mobile, reference\) cannot"):
        Look.mix({look: 0.5, look.made_for(ReferenceModel()): 0.5})


def test_shares_of_references(references: tuple[References, References]) -> None:
    a, b = references
    mixed = References.mix({Region.LIPS: [(a, 3.0), (b, 1.0)], Region.SKIN: [(b, 2.0)]})
    assert len(mixed.faces) == 2
    np.testing.assert_allclose(mixed.shares, [[0, 0.75, 0, 0, 0], [0, 0.25, 1, 0, 0]])
    elsewhere = [0.375, 0.625]  # the mean over the regions that are worn
    np.testing.assert_allclose(mixed.weights()[:, Region.BROWS], elsewhere)
    np.testing.assert_allclose(mixed.weights()[:, Region.NONE], elsewhere)
    again = References.mix({Region.LIPS: [(mixed, 1.0), (a, 1.0)]})
    np.testing.assert_allclose(again.shares[:, Region.LIPS], [0.875, 0.125])


def test_too_many_references(analysis: Callable[[str], FaceAnalysis]) -> None:
    face = analysis("light.jpg")
    many = [(References.of(face), 1.0) for _ in range(17)]
    with pytest.raises(InvalidInputError, match="made of 17 photos, expected at most 16"):
        References.mix({Region.LIPS: many})
    bare = References.of(face, bare=True)
    with pytest.raises(InvalidInputError, match="takes makeup off cannot be mixed"):
        References.mix({Region.LIPS: [(many[0][0], 1.0), (bare, 1.0)]})


def test_styles(tmp_path: Path) -> None:
    look = Look.from_style("smoky")
    look.save(tmp_path / "x.look")
    loaded = Look.load(tmp_path / "x.look")
    assert loaded.makeup == look.makeup
    assert loaded.regions == {Region.LIPS, Region.SKIN, Region.EYES}
    assert Look.mix({look: 0.5, loaded: 0.5}).makeup == look.makeup
    with pytest.raises(InvalidInputError, match=r"styles \(bare, smoky\) cannot be mixed"):
        Look.mix({look: 0.5, Look.from_style("bare"): 0.5})
    assert loaded.preview().shape == (512, 512, 3)
    with pytest.raises(InvalidInputError, match="style: 'rosy' is unknown"):
        Look.from_style("rosy").preview()


def _damage(look: Look, path: Path, how: str) -> None:
    look.save(path)
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = bytearray()
    elif how == "text":
        data = bytearray(b"this is no look file")
    elif how == "flipped":
        data[len(data) // 2] ^= 0xFF
    elif how == "pickle":
        data = bytearray(pickle.dumps({"fields": 1}))
    elif how == "objects":
        buffer = io.BytesIO()
        np.savez(buffer, head=np.array([{"format": 1}], dtype=object))
        data = bytearray(buffer.getvalue())
    elif how == "bomb":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("head.npy", b"\0" * (64 << 20))
        data = bytearray(buffer.getvalue())
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "how", ["truncated", "empty", "text", "flipped", "pickle", "objects", "bomb"]
)
def test_damaged_files_are_refused(look: Look, tmp_path: Path, how: str) -> None:
    path = tmp_path / "x.look"
    _damage(look, path, how)
    with pytest.raises(BundleError, match="not a look file or damaged"):
        Look.load(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lips_lab", np.zeros((3, 4, 3), np.float16), "lips_lab is float16 (3, 4, 3)"),
        ("lips_seen", np.zeros((32, 49), np.float32), "lips_seen is float32 (32, 49)"),
        ("skin", np.full(3, np.inf, np.float32), "skin has values out of [-150, 150]"),
        ("skin", np.zeros(3, np.int64), "skin is int64"),
    ],
)
def test_foreign_arrays_are_refused(
    look: Look, tmp_path: Path, name: str, value: np.ndarray, message: str
) -> None:
    path = tmp_path / "x.look"
    look.save(path)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = value
    with path.open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(BundleError) as error:
        Look.load(path)
    assert message in str(error.value)


@pytest.mark.parametrize("value", [3e4, np.nan, -np.inf])
def test_colours_out_of_range_are_refused(value: float) -> None:
    arrays = {"skin": np.array([50, 10, value], np.float32)}
    with pytest.raises(ValueError, match=r"skin has values out of \[-150, 150\]"):
        Appearance.from_arrays(arrays)


@pytest.mark.parametrize("title", [3, None, "x" * 2000])
def test_titles_of_files_are_short_texts(look: Look, title: object) -> None:
    head = {"format": 1, "kind": "mobile", "title": title, "regions": ["lips"]}
    with np.load(io.BytesIO(look.to_bytes())) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    with pytest.raises(BundleError, match=r"title is .*, expected at most 1000 letters"):
        Look.from_bytes(buffer.getvalue(), "x.look")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crops": np.zeros((1, 8, 8, 3), np.uint8)}, "crops is uint8 (1, 8, 8, 3), expected"),
        ({"crops": np.zeros((0, 256, 256, 3), np.uint8)}, "0 faces, expected 1 to 16"),
        ({"landmarks": np.full((1, 68, 2), np.nan, np.float32)}, "landmarks or regions are out of"),
        ({"landmarks": np.full((1, 68, 2), 3e38, np.float32)}, "landmarks or regions are out of"),
        ({"regions": np.full((1, 256, 256), 9, np.uint8)}, "landmarks or regions are out of"),
        ({"shares": np.full((1, 5), 0.5, np.float32)}, "shares sum to [0.5, 0.5, 0.5, 0.5, 0.5]"),
        ({"shares": np.zeros((1, 5), np.float32)}, "shares sum to [0.0, 0.0, 0.0, 0.0, 0.0]"),
        ({"bare": np.zeros(2, np.uint8)}, "bare is uint8 (2,), expected bool ()"),
        (
            {"head": np.frombuffer(b'{"format": 1, "kind": "x"}', np.uint8)},
            "kind 'x', this release",
        ),
    ],
)
def test_unusual_reference_files_are_refused(
    references: tuple[References, References], change: dict[str, np.ndarray], message: str
) -> None:
    look = Look(references[0], frozenset((Region.LIPS,)), "x")
    with np.load(io.BytesIO(look.to_bytes())) as archive:
        arrays = {key: archive[key] for key in archive.files}
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, **change})
    with pytest.raises(BundleError) as error:
        Look.from_bytes(buffer.getvalue(), "x.look")
    assert message in str(error.value)


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such look file; make one with"):
        Look.load(tmp_path / "none.look")
    big = tmp_path / "big.look"
    with big.open("wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(BundleError, match="larger than 8 MiB"):
        Look.load(big)


def test_failed_save_leaves_the_old_file(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.look"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        look.save(path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.look"]


def test_the_largest_face_is_the_reference(
    demo: Callable[[str], np.ndarray], face: FaceAnalysis
) -> None:
    red, small = demo("red-classic.jpg"), cv2.resize(demo("dark.jpg"), (200, 200))
    photo = np.full((512, 800, 3), 128, np.uint8)
    photo[:, 288:] = red
    photo[200:400, 20:220] = small
    both = lip_color(Look.from_photo(photo, model="mobile"), face)
    assert np.abs(both - lip_color(Look.from_photo(red, model="mobile"), face)).max() < 12


def test_looks_are_shown_in_short(look: Look) -> None:
    layered = look.with_products([Lipstick("#7a1f4b")])
    assert repr(layered) == "Look('red-classic', mobile + Lipstick: lips, skin, eyes, brows)"
    shown = cv2.imdecode(np.frombuffer(look._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(shown, look.preview())
    assert Look.from_style("unheard of")._repr_png_() is None


def test_a_preview_is_the_shipped_face_made_up(
    demo: Callable[[str], np.ndarray], look: Look
) -> None:
    """As the engine puts it on; a look for networks is shown too."""
    engine = MakeupEngine(look=look)
    for skin in ("light", "medium", "dark"):
        bare = demo(f"{skin}.jpg")
        np.testing.assert_array_equal(look.preview(skin), engine.process(bare))
        assert (look.preview(skin) != bare).any()
    faces = Look.from_photo(demo("red-classic.jpg"), model="psgan")
    assert (faces.preview() != demo("medium.jpg")).any()
    with pytest.raises(InvalidInputError, match="face: got 'red', expected one of light, medium"):
        look.preview("red")
    with pytest.raises(InvalidInputError, match="takes makeup off, which model 'mobile' cannot do"):
        Look.bare().preview()


def test_colors_of_a_look_are_those_on_the_face() -> None:
    """Opaque crimson lips of matte finish come out near crimson, and nothing else is named."""
    look = Look.from_products([Lipstick("#dc143c", finish="matte", opacity=1.0)])
    (region, color), *others = look.colors().items()
    assert (region, others) == (Region.LIPS, [])
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    assert red - max(green, blue) > 90


def test_photos_in_rgb(demo: Callable[[str], np.ndarray], look: Look) -> None:
    photo = np.ascontiguousarray(demo("red-classic.jpg")[..., ::-1])
    assert_same_maps(Look.from_photo(photo, color="rgb"), look, 0)
    with pytest.raises(InvalidInputError, match="color: 'hsv' is unknown"):
        Look.from_photo(photo, color="hsv")
