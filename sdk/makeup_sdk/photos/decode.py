"""Decode picture files: check the size, convert the profile, compose alpha, rotate upright."""

from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from makeup_kernels import InvalidInputError, MakeupError
from makeup_sdk.photos import limits, metadata
from makeup_sdk.photos.color import ColorSpace
from makeup_sdk.photos.formats import readable_formats
from makeup_sdk.photos.photo import Photo, Samples, on_paper

_PNG = b"\x89PNG\r\n\x1a\n"
_KNOWN = "expected a JPEG, PNG, WebP, AVIF, BMP, TIFF, GIF, HEIC or JPEG XL file"
_BITS_PER_SAMPLE = 258
_TIFF_ORIENTATION = 274
_READ_AS = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "CMYK",
    "YCbCr": "RGB",
}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


def decode_photo(data: bytes, name: str) -> Photo:
    """Decode the bytes of a picture file.

    Args:
        data: the whole file.
        name: names the file in messages.

    Raises:
        InvalidInputError: empty, damaged, not a still picture, too large, or claiming more pixels
            than its bytes can encode.
        BackendUnavailableError: HEIC, AVIF or JPEG XL, and its library is not installed.
    """
    limits.check_file_size(len(data), name)
    start = data[:4096]
    formats = readable_formats(start, name)
    if start.startswith(_PNG) and len(start) >= 26:
        limits.check_png(data, name)
    try:
        with Pillow.open(BytesIO(data), formats=formats) as opened:
            width, height = opened.size
            limits.check_size(width, height, name)
            if start.startswith(b"\xff\xd8"):
                limits.check_jpeg(data, width, height, name)
            return _decode(data, opened, name)
    except MakeupError:
        raise
    except Pillow.DecompressionBombError as error:
        raise InvalidInputError(
            f"{name}: {error} shrink it below {limits.MAX_PIXELS / 1e6:.0f} megapixels"
        ) from error
    except UnidentifiedImageError as error:
        raise InvalidInputError(f"{name}: not an image that can be read; {_KNOWN}") from error
    except Exception as error:  # decoders raise many classes on damaged bytes
        raise InvalidInputError(
            f"{name}: not an image that can be read, or a damaged one ({error}); {_KNOWN}"
        ) from error


def _decode(data: bytes, opened: Pillow.Image, name: str) -> Photo:
    _check_single(opened, name)
    profile, exif, xmp = _metadata(opened)
    if _is_deep(data, opened):
        samples, alpha = _deep_samples(data, opened, metadata.orientation(exif), name)
    else:
        turn = 1 if opened.format == "TIFF" else metadata.orientation(exif)  # Pillow rotates TIFFs
        samples, alpha = _samples(opened, turn, name)
    mode = "L" if samples.ndim == 2 else {3: "RGB", 4: "CMYK"}[samples.shape[2]]
    space = ColorSpace(mode, profile, name)
    image = on_paper(space, samples, alpha)
    itself = space.plain and samples.dtype == np.uint8 and alpha is None
    return Photo(
        image,
        space,
        None if itself else samples,
        alpha,
        profile,
        metadata.upright_exif(exif),
        metadata.upright_xmp(xmp),
    )


def _check_single(opened: Pillow.Image, name: str) -> None:
    """Refuse animations and multi-page files: all but the first picture would be lost."""
    count = getattr(opened, "n_frames", 1)
    if count == 1 or opened.format in ("MPO", "HEIF"):  # their extra pictures are auxiliary
        return
    if opened.format == "TIFF":
        raise InvalidInputError(
            f"{name}: a TIFF of {count} pages; save the page you want as a file of its own"
        )
    raise InvalidInputError(
        f"{name}: an animation of {count} pictures; give it to a stream "
        "(makeup stream --source), or save one picture of it"
    )


def _metadata(opened: Pillow.Image) -> tuple[bytes | None, bytes | None, bytes | None]:
    """ICC profile, EXIF and XMP as bytes; for a TIFF, EXIF built from its tags."""
    info = opened.info
    xmp = info.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    exif = info.get("exif")
    if opened.format == "TIFF":
        exif = _tiff_exif(opened)
    return info.get("icc_profile"), exif, xmp


def _tiff_exif(opened: Pillow.Image) -> bytes | None:
    """The tags that describe the picture, without those that describe its storage."""
    tags = opened.getexif()
    kept = Pillow.Exif()
    for tag in (270, 271, 272, _TIFF_ORIENTATION, 305, 306, 315, 33432):
        if tag in tags:
            kept[tag] = tags[tag]
    for directory in (0x8769, 0x8825):  # Exif, GPS
        inside = tags.get_ifd(directory)
        if inside:
            kept._ifds[directory] = dict(inside)
            kept[directory] = dict(inside)
    return kept.tobytes() if len(kept) else None


def _is_deep(data: bytes, opened: Pillow.Image) -> bool:
    """Whether the file has 16 bits per channel."""
    if opened.format == "PNG":
        return data[24] == 16
    if opened.format == "TIFF":
        bits = opened.tag_v2.get(_BITS_PER_SAMPLE, (1,))  # type: ignore[attr-defined]
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    return False


def _deep_samples(
    data: bytes, opened: Pillow.Image, turn: int, name: str
) -> tuple[Samples, Samples | None]:
    """Samples and alpha, uint16; channels R, G, B."""
    read: NDArray[np.uint16] | None = cv2.imdecode(
        np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED
    )
    if read is None or read.dtype != np.uint16 or opened.mode == "CMYK":
        found = opened.mode if read is None or opened.mode == "CMYK" else str(read.dtype)
        raise InvalidInputError(
            f"{name}: samples of this kind ({found}) are not read; save it with 8 or 16 bits of "
            "grey or RGB"
        )
    read = _turned(read, turn)
    if read.ndim == 2:
        return read, None
    alpha = np.ascontiguousarray(read[..., 3]) if read.shape[2] == 4 else None
    return np.ascontiguousarray(read[..., 2::-1]), alpha


def _turned(read: NDArray[np.uint16], turn: int) -> NDArray[np.uint16]:
    """Rotate an array upright, by its EXIF orientation."""
    if turn >= 5:
        read = read.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        read = read[::-1]
    if turn in (2, 3, 6, 7):
        read = read[:, ::-1]
    return np.ascontiguousarray(read)


def _samples(opened: Pillow.Image, turn: int, name: str) -> tuple[Samples, Samples | None]:
    """Samples and alpha, uint8; channels R, G, B or C, M, Y, K."""
    mode = _READ_AS.get(opened.mode)
    if mode is None:
        raise InvalidInputError(
            f"{name}: samples of this kind ({opened.mode}) are not read; save it with 8 or 16 bits "
            "of grey or RGB"
        )
    opened.load()
    if "transparency" in opened.info:
        mode = _WITH_ALPHA.get(mode, mode)
    image = opened if opened.mode == mode else opened.convert(mode)
    if turn in _TURNS:
        image = image.transpose(_TURNS[turn])
    samples = np.asarray(image)
    if mode in ("LA", "RGBA"):
        alpha = np.ascontiguousarray(samples[..., -1])
        colors = samples[..., 0] if mode == "LA" else samples[..., :3]
        return np.ascontiguousarray(colors), alpha
    return samples, None
