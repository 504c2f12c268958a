"""Check the claimed size of a picture file before allocating memory for it."""

import re
import struct

from makeup_kernels import InvalidInputError

MAX_PIXELS = 178_956_970
"""Pillow's own limit: half a gigabyte at three bytes per pixel."""
MAX_BYTES = 1 << 30
"""Maximum file size."""
_MAX_SCANS = 100
"""Maximum scans of a JPEG; encoders write about twelve, and each covers the whole picture."""
_MAX_SCANNED = 2_000_000_000
"""Maximum pixels of all scans together: about twelve scans of the largest picture."""
_JPEG_PIXELS_PER_BYTE = 512
"""A first scan needs at least one bit per block of 64 pixels and plane."""
_PNG_RATIO = 1032
"""Maximum compression ratio of Deflate."""
_SLACK = 1 << 16
"""Bytes that a small file may claim beyond these ratios, for pictures of one colour."""

_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # neither stuffing nor a restart
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_ALONE = (0x01, _SOI)


def check_size(width: int, height: int, name: str) -> None:
    """Refuse a picture of more than 179 megapixels.

    Raises:
        InvalidInputError: too large.
    """
    if width * height > MAX_PIXELS:
        raise InvalidInputError(
            f"{name}: {width}x{height} pixels; shrink it below {MAX_PIXELS / 1e6:.0f} megapixels"
        )


def check_file_size(size: int, name: str) -> None:
    """Refuse an empty file, or one of more than 1 GiB.

    Raises:
        InvalidInputError: empty or too large.
    """
    if size == 0:
        raise InvalidInputError(f"{name}: the file is empty (0 bytes); give an image")
    if size > MAX_BYTES:
        raise InvalidInputError(
            f"{name}: {size} bytes; expected a picture of at most {MAX_BYTES} bytes"
        )


def check_jpeg(data: bytes, width: int, height: int, name: str) -> None:
    """Refuse a JPEG with too many scans, or with more pixels than its bytes can encode.

    Raises:
        InvalidInputError: either of these.
    """
    if width * height > _JPEG_PIXELS_PER_BYTE * (len(data) + _SLACK):
        _refuse_claim(data, width, height, name)
    most = min(_MAX_SCANS, max(_MAX_SCANNED // (width * height), 12))
    if count_scans(data, most) > most:
        raise InvalidInputError(
            f"{name}: a JPEG of more than {most} scans, too many for {width}x{height} pixels; save "
            "it again with an ordinary program"
        )


def check_png(data: bytes, name: str) -> None:
    """Refuse a PNG with more pixels than its bytes can encode, by its first header.

    Raises:
        InvalidInputError: more pixels than its bytes can encode, or too many.
    """
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    check_size(width, height, name)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(kind, 1)
    row = (width * channels * depth + 7) // 8
    if row * height > _PNG_RATIO * (len(data) + _SLACK):
        _refuse_claim(data, width, height, name)


def count_scans(data: bytes, most: int) -> int:
    """Number of scans of a JPEG, counted up to `most` + 1."""
    at, scans = 2, 0
    while scans <= most:
        found = _MARKER.search(data, at)
        if found is None or found[1][0] == _EOI:
            break
        at, marker = found.end(), found[1][0]
        if marker in _ALONE:
            continue
        scans += marker == _SOS
        at += int.from_bytes(data[at : at + 2], "big")
    return scans


def _refuse_claim(data: bytes, width: int, height: int, name: str) -> None:
    raise InvalidInputError(
        f"{name}: claims {width}x{height} pixels, which its {len(data)} bytes cannot hold; the "
        "file is damaged or made to waste memory"
    )
