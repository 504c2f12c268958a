"""Encode pictures; keep profile, EXIF, XMP, alpha and bit depth if the format supports them."""

import logging
import struct
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from makeup_kernels import InvalidInputError
from makeup_sdk.photos.formats import Format, written_format
from makeup_sdk.photos.photo import Photo, Samples, to_bytes

_log = logging.getLogger("makeup_sdk")

_QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 90},
    "HEIF": {"quality": 90},
    "JXL": {"quality": 95},
}
_JPEG_SEGMENT = 65_500
"""Maximum bytes of EXIF or XMP in a JPEG."""
_ICC_TAG, _XMP_TAG = 34675, 700
_TIFF_BYTES, _TIFF_UNDEFINED = 1, 7


def encode_photo(photo: Photo, suffix: str, name: str) -> bytes:
    """Encode a picture file.

    If the format does not support them, alpha is composed on white, samples are converted to sRGB
    or to 8 bits, and metadata is dropped.

    Args:
        photo: the picture.
        suffix: selects the format; one of `WRITE_SUFFIXES`.
        name: names the file in messages.

    Raises:
        InvalidInputError: the format does not support this size.
        BackendUnavailableError: the format's library is not installed.
    """
    wanted = written_format(suffix)
    samples, profile = _representation(photo, wanted)
    if not wanted.metadata:
        kept: dict[str, bytes] = {}
    else:
        parts = {"icc_profile": profile, "exif": photo.exif, "xmp": photo.xmp}
        kept = {key: part for key, part in parts.items() if part}
    if wanted.name == "JPEG":
        for key in ("exif", "xmp"):
            if len(kept.get(key, b"")) > _JPEG_SEGMENT:
                _log.warning("%s: the %s is too large for a JPEG and is left out", name, key)
                del kept[key]
    try:
        if wanted.name == "JPEG" and photo.samples is None and not kept:
            return _jpeg(photo)
        if wanted.name == "PNG":
            return _with_chunks(_encode(".png", samples), kept)
        if samples.dtype == np.uint16:
            return _with_tags(_encode(".tif", samples), kept)
        buffer = BytesIO()
        options = {**_QUALITY.get(wanted.name, {}), **kept}
        if wanted.name == "TIFF" and "exif" in kept:  # libtiff cannot write its directories
            options["compression"] = "raw"
        Pillow.fromarray(to_bytes(samples), _mode(photo, samples)).save(
            buffer, wanted.name, **options
        )
    except (OSError, ValueError, RuntimeError, struct.error, cv2.error) as error:
        height, width = samples.shape[:2]
        raise InvalidInputError(
            f"{name}: {wanted.name} cannot hold this picture of {width}x{height} pixels ({error}); "
            "choose another type, such as .png"
        ) from error
    return buffer.getvalue()


def _representation(photo: Photo, wanted: Format) -> tuple[Samples, bytes | None]:
    """Samples to write, (H, W) or (H, W, C), and their ICC profile."""
    mode = photo.space.mode + ("A" if photo.alpha is not None else "")
    plain = photo.space.plain or (photo.space.mode == "L" and photo.profile is None)
    own = photo.space.mode in wanted.modes and (wanted.metadata or plain)
    composed = photo.image[..., ::-1]
    if photo.samples is None:
        return composed, photo.profile
    if not own and photo.alpha is not None and "RGBA" in wanted.modes:
        shown = photo.space.to_srgb(to_bytes(photo.samples))
        return np.dstack([shown, to_bytes(photo.alpha)]), None
    if not own:
        return composed, None
    if photo.alpha is not None and mode not in wanted.modes:
        return composed, None
    samples = photo.samples if wanted.deep else to_bytes(photo.samples)
    if photo.alpha is None:
        return samples, photo.profile
    alpha = photo.alpha if wanted.deep else to_bytes(photo.alpha)
    return np.dstack([samples, alpha]), photo.profile


def _mode(photo: Photo, samples: Samples) -> str:
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if channels == 4:
        return "CMYK" if photo.space.mode == "CMYK" and photo.alpha is None else "RGBA"
    return {1: "L", 2: "LA", 3: "RGB"}[channels]


def _encode(suffix: str, samples: Samples) -> bytes:
    """Encode with OpenCV, which is faster at PNG and supports 16 bits."""
    if samples.ndim == 3:
        swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[samples.shape[2]]
        samples = cv2.cvtColor(samples, swap)
    done, data = cv2.imencode(suffix, samples)
    if not done:
        raise ValueError("OpenCV gives no reason")
    return bytes(data.tobytes())


def _jpeg(photo: Photo) -> bytes:
    """Encode a plain picture with OpenCV: faster than Pillow, same bytes."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY["JPEG"]["quality"]]
    done, data = cv2.imencode(".jpg", photo.image, quality)
    if not done:
        raise ValueError("OpenCV gives no reason")
    return bytes(data.tobytes())


def _with_chunks(png: bytes, kept: dict[str, bytes]) -> bytes:
    """Insert metadata into a PNG after its signature (8 bytes) and IHDR (25)."""
    chunks = b""
    if "icc_profile" in kept:
        chunks += _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(kept["icc_profile"]))
    if "exif" in kept:
        chunks += _chunk(b"eXIf", kept["exif"].removeprefix(b"Exif\0\0"))
    if "xmp" in kept:
        chunks += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + kept["xmp"])
    return png[:33] + chunks + png[33:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _with_tags(tiff: bytes, kept: dict[str, bytes]) -> bytes:
    """Add profile and XMP to a little-endian TIFF of one page; EXIF is not supported."""
    (directory,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, directory)
    first = directory + 2
    entries = [tiff[k : k + 12] for k in range(first, first + 12 * count, 12)]
    parts = {_ICC_TAG: kept.get("icc_profile"), _XMP_TAG: kept.get("xmp")}
    kinds = {_ICC_TAG: _TIFF_UNDEFINED, _XMP_TAG: _TIFF_BYTES}
    for tag, content in parts.items():
        if content:
            tiff += b"\0" * (len(tiff) % 2)
            entries.append(struct.pack("<HHII", tag, kinds[tag], len(content), len(tiff)))
            tiff += content + b"\0" * max(4 - len(content), 0)
    tiff += b"\0" * (len(tiff) % 2)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    end = struct.pack("<H", len(entries)) + b"".join(entries) + b"\0" * 4
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + end
