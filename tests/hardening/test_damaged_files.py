"""Every loader gives a valid result or a `MakeupError` for damaged files."""

import json
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makeup_engines import Bundle
from makeup_engines.bundle import pack_bundle
from makeup_kernels import BundleError, InvalidInputError
from makeup_sdk import Look
from makeup_sdk.cosmetics import Lipstick
from makeup_sdk.images import decode_image, read_image
from makeup_sdk.models.facts import MODELS as MODEL_NAMES
from makeup_sdk.weights import FOLDER as MODELS

BOUNDED = settings(max_examples=60, deadline=None, derandomize=True, database=None)
RED = MODELS.parent / "assets" / "demo" / "red-classic.jpg"
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_images(suffix, damages, tmp_path):
    done, encoded = cv2.imencode(suffix, PICTURE)
    assert done
    path = tmp_path / f"x{suffix}"
    said = []
    for data in damages(encoded.tobytes(), 120):
        path.write_bytes(data)
        try:
            image = read_image(path)
        except InvalidInputError as error:
            said.append(str(error))
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == 3
    assert said
    assert all(text.startswith(f"{path}: ") for text in said)


def test_a_png_whose_header_claims_too_much():
    """OpenCV alone allocates four gigabytes for it."""
    done, encoded = cv2.imencode(".png", PICTURE)
    assert done
    data = bytearray(encoded.tobytes())
    data[16:24] = (255).to_bytes(4, "big") + b"\xff" * 4
    with pytest.raises(InvalidInputError, match=r"^x: 255x4294967295 pixels; shrink it below 179"):
        decode_image(np.frombuffer(data, np.uint8), "x")
    for size in (8, 15, 20):
        with pytest.raises(InvalidInputError, match=r"^x: not an image that can be read"):
            decode_image(np.frombuffer(data[:size], np.uint8), "x")


@BOUNDED
@given(st.binary(max_size=200), st.sampled_from((b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n")))
def test_bytes_that_are_no_image(content, start):
    with suppress(InvalidInputError):
        decode_image(np.frombuffer(start + content, np.uint8), "x")


@pytest.fixture(scope="module", params=MODEL_NAMES)
def look_bytes(request):
    if request.param == "products":
        return Look.from_products([Lipstick("#a3182b")]).to_bytes()
    return Look.from_photo(RED, model=request.param).to_bytes()


def assert_sound(look: Look) -> None:
    """It survives being written and read again."""
    assert Look.from_bytes(look.to_bytes(), "again").regions == look.regions


def test_look_files(look_bytes, damages):
    said = []
    for data in damages(look_bytes, 150):
        try:
            assert_sound(Look.from_bytes(data, "x.look"))
        except BundleError as error:
            said.append(str(error))
    assert len(said) > 50
    assert all("x.look: not a look file or damaged" in text for text in said)


@pytest.fixture(scope="module")
def look_arrays():
    data = Look.from_photo(RED, model="mobile").to_bytes()
    with np.load(BytesIO(data)) as archive:
        return {name: archive[name] for name in archive.files}


def look_file(arrays: dict) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_members_of_look_files(look_bytes, damages_in_zip):
    with zipfile.ZipFile(BytesIO(look_bytes)) as archive:
        members = archive.namelist()
    for member in members:
        for data in damages_in_zip(look_bytes, member, 25):
            with suppress(BundleError):
                assert_sound(Look.from_bytes(data, "x.look"))


HEAD_VALUES = (
    None, True, -1, 2, 1.5, "x", "mobile", "references", [], {}, [1], [None], ["lips", "x"],
    ["none"], ["lips", "lips"], [["lips"]], {"lips": 1}, "lips", ["\ud800"],
)  # fmt: skip


@pytest.mark.parametrize("field", ["format", "kind", "title", "regions"])
def test_heads_of_look_files(look_arrays, field):
    head = json.loads(look_arrays["head"].tobytes())
    for value in HEAD_VALUES:
        text = json.dumps({**head, field: value}).encode()
        data = look_file({**look_arrays, "head": np.frombuffer(text, np.uint8)})
        with suppress(BundleError):
            assert_sound(Look.from_bytes(data, "x.look"))


@pytest.mark.parametrize("text", ["[]", "1", "null", '"x"', "[" * 100_000, "{}", "1" * 5000, "\0"])
def test_heads_that_are_no_head(look_arrays, text):
    data = look_file({**look_arrays, "head": np.frombuffer(text.encode(), np.uint8)})
    with pytest.raises(BundleError, match=r"^x\.look: not a look file or damaged"):
        Look.from_bytes(data, "x.look")


@pytest.mark.parametrize(("field", "place"), [("method", 8), ("flags", 6)])
def test_zips_that_python_cannot_unpack(look_bytes, field, place):
    """An unknown compression method, or a password."""
    data = bytearray(look_bytes)
    for signature, offset in ((b"PK\x03\x04", place), (b"PK\x01\x02", place + 2)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            data[at + offset] = 93 if field == "method" else 1
    with pytest.raises(BundleError, match=r"^x\.look: not a look file or damaged"):
        Look.from_bytes(bytes(data), "x.look")


@pytest.fixture(scope="module")
def bundle():
    return Bundle.open(MODELS / "face_detector")


def test_bundles_in_a_zip(bundle, damages, damages_in_zip, tmp_path):
    whole = tmp_path / "whole.zip"
    pack_bundle(bundle, whole)
    data, path = whole.read_bytes(), tmp_path / "x.zip"
    said = []
    copies = [*damages(data, 40), *damages(data[-300:], 40)]
    copies[40:] = [data[:-300] + end for end in copies[40:]]  # the directory lies at the end
    copies += damages_in_zip(data, "manifest.json", 20)
    for copy in copies:
        path.write_bytes(copy)
        try:
            assert Bundle.open(path).contents == bundle.contents
        except BundleError as error:
            said.append(str(error))
    assert len(said) > 50
    assert all(text.startswith(str(path)) for text in said)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_bundles_in_a_folder(bundle, name, damages, tmp_path):
    files = {**bundle.contents, "manifest.json": bundle.manifest_bytes}
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    for data in damages(files[name], 60 if name == "manifest.json" else 8):
        (tmp_path / name).write_bytes(data)
        if name == "model.onnx":
            with pytest.raises(BundleError, match=r"model\.onnx: SHA-256 is "):
                Bundle.open(tmp_path)
        else:
            with suppress(BundleError):
                assert Bundle.open(tmp_path).contents == bundle.contents


def test_every_shipped_bundle_is_whole():
    folders = [path for path in MODELS.iterdir() if (path / "manifest.json").is_file()]
    assert folders
    for folder in folders:
        opened = Bundle.open(folder)
        listed = {*opened.contents, "manifest.json"}
        assert {path.name for path in Path(folder).iterdir() if path.is_file()} == listed
