"""Photos and looks of a run, and their names."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from makeup_sdk import InvalidInputError, Look, MakeupEngine, NoFaceError
from makeup_sdk.catalogue.inputs import file_name, find_looks, find_photos
from makeup_sdk.catalogue.storage import Place

from .conftest import DEMO


@pytest.fixture
def output(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "out"))


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    else:
        parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder(tmp_path: Path, output: Place) -> None:
    names = ["b.jpg", "a.PNG", "deep/c.heic", "with space/[d].avif"]
    touch(*(tmp_path / name for name in names))
    touch(tmp_path / ".thumbs" / "a.jpg", tmp_path / "notes.txt", tmp_path / "out/pictures/b.jpg")
    photos = find_photos(str(tmp_path), output)
    assert [photo.name for photo in photos] == sorted(names)
    assert all(Place(photo.address).read() == b"x" for photo in photos)
    assert [photo.name for photo in find_photos(f"{tmp_path}/", output)] == sorted(names)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text(tmp_path: Path, output: Place) -> None:
    path = os.fsencode(tmp_path) + b"/b\xff.jpg"
    Path(os.fsdecode(path)).write_bytes(b"x")
    (photo,) = find_photos(str(tmp_path), output)
    assert photo.name == "b\\udcff.jpg"
    assert Place(photo.address).read() == b"x"


def test_versions_change_with_files(tmp_path: Path, output: Place) -> None:
    touch(tmp_path / "a.jpg")
    first = find_photos(str(tmp_path), output)
    assert find_photos(str(tmp_path), output) == first
    os.utime(tmp_path / "a.jpg", (5, 5))
    assert find_photos(str(tmp_path), output) != first


def test_patterns_and_single_files(tmp_path: Path, output: Place) -> None:
    touch(*(tmp_path / name for name in ("x/1/front.jpg", "x/2/front.jpg", "x/2/side.jpg")))
    found = find_photos(f"{tmp_path}/x/*/front.jpg", output)
    assert [photo.name for photo in found] == ["1/front.jpg", "2/front.jpg"]
    touch(tmp_path / "x" / "odd[1].dat")
    (single,) = find_photos(f"{tmp_path}/x/odd[1].dat", output)
    assert single.name == "odd[1].dat"


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_manifest_of_photos(tmp_path: Path, output: Place, kind: str) -> None:
    rows = [
        {"photo": "in/b.jpg", "name": "second.jpg"},
        {"photo": "memory://bucket/c.jpg", "name": ""},
        {"photo": str(tmp_path / "a.jpg"), "name": "first/a.jpg"},
    ]
    path = write_table(tmp_path / f"list{kind}", rows)
    photos = find_photos(str(path), output)
    assert {photo.name: photo.address for photo in photos} == {
        "bucket/c.jpg": "memory://bucket/c.jpg",
        "first/a.jpg": str(tmp_path / "a.jpg"),
        "second.jpg": f"{tmp_path}/in/b.jpg",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("picture\na.jpg\n", "row 1: no 'photo'"),
        ("photo\n\n", "no photos"),
        ("photo\n../a.jpg\n", r"'../a.jpg' cannot name results"),
        ("photo,name\na.jpg,x//y\n", "'x//y' cannot name results"),
        ("photo\na.jpg\na.jpg\n", "two photos are named 'a.jpg'"),
    ],
)
def test_bad_manifests(tmp_path: Path, output: Place, content: str, message: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        find_photos(str(path), output)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b"[1]", "line 1: expected a JSON object"),
        ("a.jsonl", b"{", "this table cannot be read"),
        ("a.parquet", b"PAR1", "this table cannot be read"),
        ("a.csv", b"\xff\xfe\xff", "this table cannot be read"),
    ],
)
def test_damaged_tables(
    tmp_path: Path, output: Place, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInputError, match=message):
        find_photos(str(tmp_path / name), output)


def test_nothing_there(tmp_path: Path, output: Place, engine: MakeupEngine) -> None:
    for address in (tmp_path / "none", tmp_path / "none" / "*.jpg"):
        with pytest.raises(InvalidInputError, match="no photos; expected a photo, a folder"):
            find_photos(str(address), output)
        with pytest.raises(InvalidInputError, match="no looks; expected look files"):
            find_looks(str(address), engine)
    with pytest.raises(InvalidInputError, match="no such file"):
        find_photos(str(tmp_path / "none.csv"), output)
    with pytest.raises(InvalidInputError, match="nowhere://x: this address cannot be opened"):
        find_photos("nowhere://x", output)


def test_looks_of_a_folder(tmp_path: Path, engine: MakeupEngine) -> None:
    lips = Look.from_colors(lips="#b3123a")
    lips.save(tmp_path / "b.look")
    (tmp_path / "a.json").write_text(lips.to_json())
    (tmp_path / "c.jpg").write_bytes((DEMO / "red-classic.jpg").read_bytes())
    looks = find_looks(str(tmp_path), engine)
    assert [look.name for look in looks] == ["a", "b", "c"]
    assert looks[1].data == lips.to_bytes()
    photo = Look.from_photo(str(DEMO / "red-classic.jpg"), title="c", model="mobile")
    assert looks[2].data == photo.to_bytes()
    assert looks[0].digest == looks[1].digest != looks[2].digest


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_tables_of_looks(tmp_path: Path, engine: MakeupEngine, kind: str) -> None:
    rows = [
        {"sku": "12/3 %", "product": "lipstick", "hex": "#b3123a"},
        {"sku": "4", "product": "eyeshadow", "hex": "#1f6f75"},
    ]
    looks = find_looks(str(write_table(tmp_path / f"shades{kind}", rows)), engine)
    assert [look.name for look in looks] == ["12%2F3 %25", "4"]
    Look.from_colors(lips="#b3123a").save(tmp_path / "one.look")
    listed = [{"look": "one.look", "name": "first"}, {"look": "soft-glam", "name": ""}]
    looks = find_looks(str(write_table(tmp_path / f"looks{kind}", listed)), engine)
    assert [look.name for look in looks] == ["first", "soft-glam"]


def test_bad_looks(tmp_path: Path, engine: MakeupEngine) -> None:
    table = tmp_path / "shades.csv"
    table.write_text("sku,product,hex,prise\n1,lipstick,#b3123a,2\n")
    with pytest.raises(InvalidInputError, match="unknown column 'prise'"):
        find_looks(str(table), engine)
    table.write_text("look\nnone.look\n")
    with pytest.raises(InvalidInputError, match=r"none\.look: cannot be read"):
        find_looks(str(table), engine)
    (tmp_path / "wall.png").write_bytes(_wall())
    with pytest.raises(NoFaceError, match=r"wall\.png: .*no face"):
        find_looks(str(tmp_path / "wall.png"), engine)


def _wall() -> bytes:
    import cv2
    import numpy as np

    return bytes(cv2.imencode(".png", np.full((200, 200, 3), 90, np.uint8))[1].tobytes())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b", "a%2Fb"), ("100%", "100%25"), ("Größe 1", "Größe 1"), ("a\\b\n", "a%5Cb%0A")],
)
def test_file_names(name: str, expected: str) -> None:
    assert file_name(name) == expected
