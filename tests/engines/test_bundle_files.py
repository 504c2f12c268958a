"""Writing bundles and zips, and the remains of a killed writer."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from makeup_engines import Bundle, pack_bundle, write_bundle
from makeup_kernels import BundleError


@pytest.fixture
def fields(rows_bundle_bytes) -> dict:
    manifest = dict(rows_bundle_bytes[1])
    del manifest["files"], manifest["schema"]
    return manifest


def run(bundle: Bundle) -> np.ndarray:
    return bundle.session("model").run({"x": np.ones((1, 4), np.float32)})["y"]


@pytest.mark.parametrize("name", ["rows", "rows.zip"])
def test_what_is_written_opens(tmp_path, fields, rows_bundle_bytes, name) -> None:
    write_bundle(tmp_path / name, fields, {"model.onnx": rows_bundle_bytes[0], "notes.txt": b"hi"})
    bundle = Bundle.open(tmp_path / name)
    np.testing.assert_array_equal(run(bundle), np.full((1, 4), 2.0))
    assert bundle.contents["notes.txt"] == b"hi"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_pack_gives_the_same_bundle_and_the_same_bytes(rows_bundle_path, tmp_path) -> None:
    bundle = Bundle.open(rows_bundle_path)
    pack_bundle(bundle, tmp_path / "a.zip")
    pack_bundle(Bundle.open(tmp_path / "a.zip"), tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert Bundle.open(tmp_path / "b.zip").contents == bundle.contents
    with pytest.raises(BundleError, match=r"expected a name that ends in \.zip"):
        pack_bundle(bundle, tmp_path / "a.tar")


def test_an_existing_bundle_is_not_overwritten(rows_bundle_path, fields) -> None:
    with pytest.raises(BundleError, match="already exists; remove it or choose another place"):
        write_bundle(rows_bundle_path, fields, {})


def test_a_manifest_that_would_not_open_is_not_written(tmp_path, fields) -> None:
    with pytest.raises(BundleError, match="a file listed in files"):
        write_bundle(tmp_path / "b", fields, {"other.onnx": b""})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["b", "b.zip"])
def test_killed_writer_leaves_no_bundle(tmp_path, fields, rows_bundle_bytes, target) -> None:
    """Kill at each file that is written, and before the whole takes its place; then write again
    over what is left."""
    files = {"model.onnx": rows_bundle_bytes[0], "notes.txt": b"hi"}
    (tmp_path / "model.onnx").write_bytes(files["model.onnx"])
    place = tmp_path / "out" / target
    writes = 1 if target.endswith("zip") else 3
    for count in range(writes + 1):
        code = f"""
import json, os, signal
from pathlib import Path
import makeup_engines.bundle as bundle
import makeup_kernels.files as writers
real, left = bundle.write_synced, [{count}]
def dying(path, data):
    if not left[0]:
        Path(path).write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    real(path, data)
bundle.write_synced = writers.write_synced = dying
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files = {{"model.onnx": Path({str(tmp_path / "model.onnx")!r}).read_bytes(), "notes.txt": b"hi"}}
bundle.write_bundle({str(place)!r}, json.loads({json.dumps(fields)!r}), files)
"""
        done = subprocess.run([sys.executable, "-c", code], check=False)
        assert done.returncode == -signal.SIGKILL
        assert not place.exists()
        for left in place.parent.iterdir() if count < writes else ():
            with pytest.raises(BundleError):
                Bundle.open(left)
    write_bundle(place, fields, files)
    assert [path.name for path in place.parent.iterdir()] == [target]
    assert run(Bundle.open(place))[0, 0] == 2.0


def zipped(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def test_hostile_zips(rows_bundle_path, tmp_path) -> None:
    manifest = (rows_bundle_path / "manifest.json").read_bytes()
    graph = (rows_bundle_path / "model.onnx").read_bytes()
    good = [("manifest.json", manifest), ("model.onnx", graph)]
    cases = {
        "not a readable zip": b"PK\x03\x04 not really",
        "0 entries named manifest.json": good[1:],
        "0 entries named model.onnx": good[:1],
        "2 entries named model.onnx": [*good, ("model.onnx", b"another")],
        "changed or damaged": [good[0], ("model.onnx", graph + b"x")],
        "larger than 1 MiB": [("manifest.json", b" " * (1 << 21)), good[1]],
    }
    for message, content in cases.items():
        path = tmp_path / "hostile.zip"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                zipped(path, content)
        with pytest.raises(BundleError, match=message):
            Bundle.open(path)


def test_entries_that_leave_the_zip_are_never_written_or_read(rows_bundle_path, tmp_path) -> None:
    manifest = json.loads((rows_bundle_path / "manifest.json").read_text())
    graph = (rows_bundle_path / "model.onnx").read_bytes()
    manifest["files"]["../evil"] = "0" * 64
    entries = [("manifest.json", json.dumps(manifest).encode()), ("model.onnx", graph)]
    path = zipped(tmp_path / "evil.zip", [*entries, ("../evil", b"evil")])
    with pytest.raises(BundleError, match="plain file name inside the bundle"):
        Bundle.open(path)
    assert not (tmp_path.parent / "evil").exists()


def test_a_pipe_is_no_file(rows_bundle_path) -> None:
    (rows_bundle_path / "model.onnx").unlink()
    os.mkfifo(rows_bundle_path / "model.onnx")
    with pytest.raises(BundleError, match="missing or not a plain file"):
        Bundle.open(rows_bundle_path)


def bomb(rows_bundle_path: Path, tmp_path: Path, size: int) -> Path:
    """A small zip of a bundle with one file of zeros."""
    zeros = bytes(size)
    manifest = json.loads((rows_bundle_path / "manifest.json").read_text())
    manifest["files"]["bomb"] = hashlib.sha256(zeros).hexdigest()
    graph = (rows_bundle_path / "model.onnx").read_bytes()
    entries = [("manifest.json", json.dumps(manifest).encode()), ("model.onnx", graph)]
    return zipped(tmp_path / "bomb.zip", [*entries, ("bomb", zeros)])


def test_a_zip_that_unpacks_to_too_much(rows_bundle_path, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("makeup_engines.bundle._MAX_BUNDLE_BYTES", 1 << 20)
    path = bomb(rows_bundle_path, tmp_path, 1 << 22)
    assert path.stat().st_size < 1 << 15
    with pytest.raises(BundleError, match="changed or damaged"):
        Bundle.open(path)


def test_a_zip_that_unpacks_to_much_more_than_its_size(rows_bundle_path, tmp_path) -> None:
    path = bomb(rows_bundle_path, tmp_path, 80 << 20)
    assert path.stat().st_size < 1 << 17
    with pytest.raises(BundleError, match=r"bytes that unpack to \d{8}, expected at most 6\d{7}"):
        Bundle.open(path)


def test_a_zip_whose_header_understates_its_size(rows_bundle_path, tmp_path) -> None:
    """What is unpacked ends where the header says, so a lie there costs nothing."""
    path = bomb(rows_bundle_path, tmp_path, 80 << 20)
    true, lie = (80 << 20).to_bytes(4, "little"), (16).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true, lie))
    with pytest.raises(BundleError, match=r"cannot unpack bomb|changed or damaged"):
        Bundle.open(path)
