"""Read the orientation from EXIF bytes, and reset it in EXIF and XMP after rotation."""

import re
import struct

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_SHORT = 3
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))\d")


def orientation(exif: bytes | None) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) if missing or damaged."""
    place = _find(exif or b"")[0]
    if place is None:
        return 1
    order, at = place
    (value,) = struct.unpack_from(order + "H", exif or b"", at)
    return int(value) if 1 <= value <= 8 else 1


def upright_exif(exif: bytes | None) -> bytes | None:
    """The EXIF for rotated pixels: orientation 1, and no thumbnail of the bare face."""
    if not exif:
        return None
    changed = bytearray(exif)
    place, following = _find(exif)
    if place is not None:
        struct.pack_into(place[0] + "H", changed, place[1], 1)
    if following is not None:
        struct.pack_into("<I", changed, following, 0)
    return bytes(changed)


def upright_xmp(xmp: bytes | None) -> bytes | None:
    """The XMP with its orientation, if any, set to 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if xmp else None


def _find(exif: bytes) -> tuple[tuple[str, int] | None, int | None]:
    """Byte order and offset of the orientation's value; offset of the pointer to the thumbnail."""
    start = len(_PREFIX) if exif.startswith(_PREFIX) else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None:
        return None, None
    place = None
    try:
        (directory,) = struct.unpack_from(order + "I", exif, start + 4)
        (count,) = struct.unpack_from(order + "H", exif, start + directory)
        end = start + directory + 2 + 12 * count
        struct.unpack_from("<I", exif, end)
        for entry in range(start + directory + 2, end, 12):
            tag, kind, values = struct.unpack_from(order + "HHI", exif, entry)
            if (tag, kind, values) == (_ORIENTATION, _SHORT, 1):
                place = (order, entry + 8)
    except struct.error:  # truncated
        return None, None
    return place, end
