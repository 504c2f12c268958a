"""Files at addresses are written atomically in every store."""

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from makeup_sdk import OutputError
from makeup_sdk.catalogue.storage import Place, joined, version_of


def test_local_and_memory(tmp_path: Path) -> None:
    for address in (str(tmp_path / "a"), "memory://of-storage"):
        place = Place(address)
        place.write("x/y.bin", b"12")
        place.write("x/y.bin", b"345")
        assert place.read("x/y.bin") == b"345"
        assert place.exists("x")
        assert not place.exists("z")
        with pytest.raises(FileNotFoundError):
            place.read("z")
        with place.writing("x/z.bin") as path:
            path.write_bytes(b"67")
            assert not place.exists("x/z.bin")
        assert [Path(name).name for name in sorted(place.files())] == ["y.bin", "z.bin"]


def test_a_write_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    for address in (str(tmp_path / "a"), "memory://of-broken-writes"):
        place = Place(address)
        place.write("there", b"1")

        def breaks(place: Place = place) -> None:
            with place.writing("broken") as path:
                path.write_bytes(b"6")
                raise KeyError

        with pytest.raises(KeyError):
            breaks()
        assert [Path(name).name for name in place.files()] == ["there"]


def test_a_store_that_shows_files_early_gets_them_by_moving(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As sftp:// or hdfs:// would: nothing is ever written under its final name."""
    monkeypatch.setattr(MemoryFileSystem, "protocol", "sftp")
    piped: list[str] = []
    pipe, put = MemoryFileSystem.pipe_file, MemoryFileSystem.put_file

    def noted_pipe(self: Any, path: str, value: bytes, **options: Any) -> None:
        piped.append(path)
        pipe(self, path, value, **options)

    def noted_put(self: Any, local: str, path: str, **options: Any) -> None:
        piped.append(path)
        put(self, local, path, **options)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", noted_pipe)
    monkeypatch.setattr(MemoryFileSystem, "put_file", noted_put)
    place = Place("memory://of-early-shows")
    place.write("a/b.jpg", b"1")
    with place.writing("a/c.parquet") as path:
        path.write_bytes(b"2")
    assert [name.rpartition(".partial-")[0] for name in piped] == [
        "/of-early-shows/a/b.jpg",
        "/of-early-shows/a/c.parquet",
    ]
    assert (place.read("a/b.jpg"), place.read("a/c.parquet")) == (b"1", b"2")
    assert len(place.files()) == 2


def test_a_place_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OutputError, match="give the name of a file, not of a folder"):
        Place(str(tmp_path)).write("x", b"")


@pytest.mark.parametrize(
    ("manifest", "value", "expected"),
    [
        ("list.csv", "a.jpg", "a.jpg"),
        ("in/list.csv", "deep/a.jpg", "in/deep/a.jpg"),
        ("s3://bucket/list.csv", "a.jpg", "s3://bucket/a.jpg"),
        ("s3://bucket/list.csv", "gs://other/a.jpg", "gs://other/a.jpg"),
        ("/list.csv", "a.jpg", "/a.jpg"),
        ("in/list.csv", "/a.jpg", "/a.jpg"),
    ],
)
def test_joined(manifest: str, value: str, expected: str) -> None:
    assert joined(manifest, value) == expected


def test_versions() -> None:
    assert version_of({"size": 5, "ETag": "x"}) == "5 ETag=x"
    assert version_of({"size": 5, "mtime": 1.5}) == "5 mtime=1.5"
    assert version_of({"size": 5}) == "5 "
