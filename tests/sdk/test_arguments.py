"""Arguments of wrong types raise a `MakeupError` with a message."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from makeup_sdk import InvalidInputError, Look, MakeupEngine, MakeupError, Region, read_image
from makeup_sdk.makeup.product_json import from_json

LONG = "x" * 5000


@pytest.fixture(scope="module")
def card() -> Look:
    return Look.from_colors(lips="#b3123a", eyes="#1b7f86")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": "full"}, "strength: got 'full', expected a number"),
        ({"strength": None}, "strength: got None, expected a number"),
        ({"strength": True}, "strength: got True, expected a number"),
        ({"strength": [1.0]}, r"strength: got \[1.0\], expected a number"),
        ({"strength": {"lips": "full"}}, "strength of lips: got 'full', expected a number"),
        ({"strength": {"nose": 1}}, "strength: 'nose' is no makeup region"),
        ({"strength": {Region.NONE: 1}}, "is no makeup region"),
        ({"strength": {(): 1}}, r"strength: \(\) is no makeup region"),
        ({"strength": float("nan")}, "strength: nan for lips"),
        ({"threads": "2"}, "threads: got '2', expected an integer of at least 1, or None"),
        ({"threads": 1.5}, "threads: got 1.5, expected an integer"),
        ({"threads": True}, "threads: got True"),
        ({"threads": -(10**30)}, "threads: got -1000"),
        ({"max_faces": "2"}, "max_faces: got '2', expected an integer of at least 1, or None"),
        ({"max_faces": 0}, "max_faces: got 0, expected an integer of at least 1, or None"),
        ({"color": []}, r"color: \[\] is unknown"),
        ({"device": 3}, "device: 3 is unknown"),
        ({"backend": 3}, "backend 3"),
        ({"model": 3}, "model: got int, expected one of"),
        ({"model": b"mobile"}, "model: got bytes, expected one of"),
        ({"model": LONG}, "model: no file can be named 'x{80}…'"),
        ({"look": 3}, "look: got int, expected a Look, a path or a frame"),
        ({"look": LONG}, "no file can be named"),
        ({"look": LONG + ".look"}, "look file: no file can be named"),
        ({"look": "\ud800.jpg"}, r"no file can be named '\\ud800.jpg'"),
    ],
)
def test_engines(card: Look, arguments: dict, message: str) -> None:
    with pytest.raises(MakeupError, match=message) as error:
        MakeupEngine(**{"look": card, **arguments})
    str(error.value).encode()


def test_strength_by_name_is_read_only(card: Look) -> None:
    engine = MakeupEngine(card, model="mobile", strength={"lips": np.float32(0.5)})
    bare = {Region.SKIN: 0.0, Region.EYES: 0.0, Region.BROWS: 0.0}
    assert engine.strength == {Region.LIPS: 0.5, **bare}
    with pytest.raises(TypeError, match="does not support item assignment"):
        engine.strength[Region.LIPS] = 1.0  # type: ignore[index]
    held = engine.strength
    engine.strength = 1
    assert held[Region.LIPS] == 0.5


def test_faces_are_named_by_their_number(card: Look) -> None:
    engine = MakeupEngine(card, model="mobile")
    with pytest.raises(InvalidInputError, match=r"face_id: got 'x', expected a `Face\.track_id`"):
        engine.wear("x", card)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (10**20, "source: 100000000000000000000 is no camera index"),
        (-1, "source: -1 is no camera index"),
        (str(10**20), "no such file or folder"),
        (LONG, "source: no file can be named"),
        ("a\0b.mp4", r"no file can be named 'a\\x00b.mp4'"),
        (3.5, "source: got float, expected a camera index"),
    ],
)
def test_sources(card: Look, source: object, message: str) -> None:
    engine = MakeupEngine(card, model="mobile")
    with pytest.raises(InvalidInputError, match=message):
        engine.stream(source)


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        (LONG + ".mp4", "sink: no file can be named"),
        (LONG, "sink: no file can be named"),
        ("a\0.mp4", r"no file can be named 'a\\x00.mp4'"),
        (b"a.mp4", "sink: got bytes, expected a path"),
        ("/dev/null", "/dev/null: cannot be written .*; something else has this name"),
    ],
)
def test_sinks(card: Look, sink: object, message: str) -> None:
    engine = MakeupEngine(card, model="mobile")
    frames = [np.zeros((64, 64, 3), np.uint8)]
    with pytest.raises(MakeupError, match=message):
        engine.stream(frames, sink=sink).run()


def test_stream_options(card: Look) -> None:
    engine = MakeupEngine(card, model="mobile")
    with pytest.raises(InvalidInputError, match="options: got int, expected StreamOptions"):
        engine.stream([], options=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: a.only("lip"), "only: 'lip' is no makeup region"),
        (lambda a: a.only(3), "only: 3 is no makeup region"),
        (lambda a: a.only(["lips", None]), "only: None is no makeup region"),
        (lambda a: Look.mix([a, a]), "mix: got list, expected a mapping such as"),
        (lambda a: Look.mix({a: "x"}), "mix: share: got 'x', expected a number"),
        (lambda a: Look.mix({"a": 1}), "mix: got str, expected a Look"),
        (lambda a: Look.mix({}), r"mix: shares are \[\]"),
        (lambda a: Look.mix({a: 1e308, a.only("lips"): 1e308}), "with a finite sum that is not 0"),
        (lambda a: Look.mix({a: float("inf")}), "with a finite sum that is not 0"),
        (lambda a: Look.mix({a: -1, a.only("lips"): 2}), r"shares are \[-1, 2\]"),
        (lambda a: Look.compose(lips="a"), "compose: lips: got str, expected a Look"),
        (lambda a: Look.from_style(3), "style: got int, expected a name"),
        (lambda a: Look.from_colors(lips="#b3123a", title=3), "title: got int, expected a text"),
        (lambda a: Look.load(3), "look file: got int, expected a path"),
        (lambda a: Look.load(LONG), "look file: no file can be named"),
        (lambda a: a.save(LONG), "look file: no file can be named"),
        (lambda a: a.save("/"), "give the name of a file, not of a folder"),
        (lambda a: a.save(Path("none") / "a.look"), "create the folder first"),
        (lambda a: from_json("["), "products: not JSON"),
        (lambda a: from_json("[" * 100_000), "products: not JSON"),
        (lambda a: from_json("1" * 5000), "products: not JSON"),
        (lambda a: read_image(None), "path: got NoneType, expected a path"),
        (lambda a: read_image(LONG), "path: no file can be named"),
    ],
)
def test_looks(card: Look, call: Callable[[Look], object], message: str) -> None:
    with pytest.raises(MakeupError, match=message):
        call(card)


def test_only_takes_names(card: Look) -> None:
    assert card.only("lips").regions == {Region.LIPS}
    assert card.only(["eyes", Region.LIPS]).regions == {Region.LIPS, Region.EYES}
    assert card.only([]).regions == frozenset()


def test_tiny_shares_mix_like_large_ones(card: Look) -> None:
    other = Look.from_colors(lips="#5b1f5e")
    tiny, usual = (Look.mix({card: 2 * unit, other: unit}).makeup for unit in (1e-300, 1.0))
    assert len(usual.products) == 3
    for one, two in zip(tiny.products, usual.products, strict=True):
        assert type(one) is type(two)
        for name, value in vars(two).items():
            expected = pytest.approx(value) if isinstance(value, float) else value
            assert getattr(one, name) == expected, name


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("red\x1b]0;owned\x07 lips", "red]0;owned lips"),
        ("  two\n\tlines ", "two lines"),
        ("sde\u202ekool", "sdekool"),
        ("caf\u00e9 \U0001f469\u200d\U0001f3a4", "caf\u00e9 \U0001f469\u200d\U0001f3a4"),
    ],
)
def test_titles_hold_no_control_characters(title: str, shown: str) -> None:
    look = Look.from_colors(lips="#b3123a", title=title)
    assert look.title == shown
    assert Look.from_bytes(look.to_bytes(), "x").title == shown
