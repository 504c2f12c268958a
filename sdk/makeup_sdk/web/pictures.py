"""Untrusted pictures: size and format are checked before any pixel is decoded."""

import io
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.images import decode_image
from makeup_sdk.photos import decode_photo
from makeup_sdk.web.limits import Limits

_FORMATS = ("JPEG", "PNG", "WEBP")


def open_picture(data: bytes, limits: Limits) -> Image:
    """Decode a JPEG, PNG or WebP file.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        InvalidInputError: another format, a damaged file, too many bytes or pixels.
    """
    _check(data, limits, limits.pixels)
    return decode_image(np.frombuffer(data, np.uint8), "picture")


def open_layer(data: bytes, limits: Limits) -> tuple[Image, NDArray[np.bool_] | None]:
    """Decode a drawing that is laid over a photo.

    Returns:
        uint8 (H, W, 3), BGR; and bool (H, W), true where drawn, or None without an alpha channel.

    Raises:
        InvalidInputError: as `open_picture`, with the limit `limits.label_pixels`.
    """
    _check(data, limits, limits.label_pixels)
    photo = decode_photo(data, "picture")
    if photo.alpha is None:
        return photo.image, None
    return photo.image, photo.alpha > np.iinfo(photo.alpha.dtype).max // 2


def _check(data: bytes, limits: Limits, pixels: int) -> None:
    if len(data) > limits.body_bytes:
        raise InvalidInputError(
            f"picture: {len(data)} bytes; send at most {limits.body_bytes} bytes"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            with Pillow.open(io.BytesIO(data), formats=_FORMATS) as header:
                width, height = header.size
    except Pillow.DecompressionBombError:
        width = height = limits.side + 1
    except Exception:  # Pillow's parsers raise errors of any type
        raise InvalidInputError("picture: not a JPEG, PNG or WebP file") from None
    if width * height > pixels:
        raise InvalidInputError(f"picture: too large; send at most {pixels} pixels")
    if max(width, height) > limits.side:
        raise InvalidInputError(
            f"picture: {width}x{height} pixels; send at most {limits.side} on a side"
        )


def encode_picture(image: Image, kind: str) -> bytes:
    """Encode a BGR image as a JPEG or PNG file; `kind` is "jpeg" or "png".

    Raises:
        InvalidInputError: the format cannot hold a picture of this size.
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90] if kind == "jpeg" else []
    done, data = cv2.imencode(f".{kind}", image, quality)
    if not done:
        height, width = image.shape[:2]
        raise InvalidInputError(f"picture: {width}x{height} pixels are too many for {kind}")
    encoded: bytes = data.tobytes()
    return encoded
