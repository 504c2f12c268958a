"""The header of a picture file is checked before anything is decoded."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from makeup_kernels import InvalidInputError
from makeup_sdk.images import read_photo
from makeup_sdk.photos import decode_photo, limits

RGB = np.random.default_rng(1).integers(0, 256, (40, 56, 3)).astype(np.uint8)


def saved(image: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = bytearray(saved(Pillow.fromarray(RGB), "JPEG"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (jpeg_that_claims(32000, 32000), r".*1024000000 pixels.* shrink it below 179 megapixels"),
        (jpeg_that_claims(13000, 13000), "claims 13000x13000 pixels, which its"),
    ],
)
def test_a_jpeg_that_claims_too_much(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^x: {message}"):
        decode_photo(data, "x")


def test_a_png_that_claims_too_much() -> None:
    data = bytearray(saved(Pillow.fromarray(RGB), "PNG"))
    struct.pack_into(">II", data, 16, 12000, 12000)
    with pytest.raises(InvalidInputError, match=r"^x: claims 12000x12000 pixels, which its"):
        decode_photo(bytes(data), "x")


def test_one_colour_is_no_false_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_SLACK", 0)
    flat = Pillow.new("RGB", (4000, 3000), (200, 150, 120))
    for options in ({"quality": 20, "optimize": True}, {"quality": 20, "progressive": True}):
        limits.check_jpeg(saved(flat, "JPEG", **options), 4000, 3000, "x")
    limits.check_png(saved(flat, "PNG", compress_level=9), "x")


def test_a_scan_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Pillow.fromarray(RGB), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    bomb = data[:last] + scan * 2000 + b"\xff\xd9"
    assert limits.count_scans(data, 100) == data.count(b"\xff\xda")
    monkeypatch.setattr(Pillow.Image, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(InvalidInputError, match=r"^x: a JPEG of more than 100 scans"):
        decode_photo(bomb, "x")
    large = data[:last] + scan * 30 + bytes(1 << 20) + b"\xff\xd9"
    with pytest.raises(InvalidInputError, match=r"^x: a JPEG of more than 24 scans, too many for"):
        limits.check_jpeg(large, 9000, 9000, "x")
    limits.check_jpeg(large, 5000, 5000, "x")


def test_scans_of_thumbnails_and_of_what_follows_do_not_count() -> None:
    thumbnail = saved(Pillow.fromarray(RGB), "JPEG")
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = saved(Pillow.fromarray(RGB), "JPEG")
    data = data[:2] + segment * 120 + data[2:] + b"\xff\xda" * 5000
    assert limits.count_scans(data, 100) == 1
    assert decode_photo(data, "x").image.shape == RGB.shape


def test_surplus_data_is_not_unpacked() -> None:
    """A PNG of one pixel whose stream would unpack to 200 MB: Pillow stops with the picture."""
    import tracemalloc

    packed = zlib.compress(bytes(200_000_000), 1)
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")):
        check = zlib.crc32(kind + content)
        data += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
    tracemalloc.start()
    try:
        assert decode_photo(data, "x").image.shape == (1, 1, 3)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # takes no room
    with pytest.raises(InvalidInputError, match="1073741825 bytes; expected a picture of at most"):
        read_photo(path)
