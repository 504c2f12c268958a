import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from makeup_sdk import BundleError, FaceAnalysis, InvalidInputError, Look, Region
from makeup_sdk.classic.paint import ClassicPainter

ALL = dict.fromkeys((Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS), 1.0)


def lip_color(look: Look, face: FaceAnalysis) -> np.ndarray:
    painted, _ = ClassicPainter(look.makeup).paint(face, {Region.LIPS: 1.0})
    return painted[face.regions == Region.LIPS].mean(axis=0)


@pytest.fixture
def face(analysis: Callable[[str], FaceAnalysis]) -> FaceAnalysis:
    return analysis("medium.jpg")


def test_saved_look_paints_the_same(look: Look, face: FaceAnalysis, tmp_path: Path) -> None:
    path = tmp_path / "red.look"
    look.save(path)
    loaded = Look.load(path)
    before, _ = ClassicPainter(look.makeup).paint(face, ALL)
    after, _ = ClassicPainter(loaded.makeup).paint(face, ALL)
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
    assert (middle > np.minimum(*ends) - 1).all()
    assert (middle < np.maximum(*ends) + 1).all()
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
    painted = lip_color(Look.from_colors(lips=color), face)
    assert np.abs(painted - wanted).mean() < max(0.85 * np.abs(bare - wanted).mean(), 25)


def test_finish_orders_the_gloss(face: FaceAnalysis) -> None:
    spreads = []
    for finish in ("matte", "natural", "gloss"):
        look = Look.from_colors(lips="#b3123a", finish=finish)
        painted, _ = ClassicPainter(look.makeup).paint(face, {Region.LIPS: 1.0})
        lips = painted[face.regions == Region.LIPS].astype(float).mean(axis=1)
        spreads.append(np.percentile(lips, 99) - np.median(lips))
    assert spreads[0] < spreads[1] < spreads[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Look.from_colors, "no colour given"),
        (lambda: Look.from_colors(lips="red"), "lips: 'red' is not a colour; expected a hex"),
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
        ("fields", np.zeros((3, 4, 4), np.float16), "fields is float16 (3, 4, 4)"),
        ("fields", np.full((3, 128, 128), np.nan, np.float16), "fields has NaN"),
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
    both = lip_color(Look.from_photo(photo), face)
    assert np.abs(both - lip_color(Look.from_photo(red), face)).max() < 12
