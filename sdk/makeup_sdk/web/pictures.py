"""Pictures from strangers: size and type are checked before a pixel is decoded."""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.images import decode_image

_FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class Limits:
    """What the server takes from one client.

    Attributes:
        body_bytes: size of a request body or of one socket message.
        pixels: width times height of a picture.
        clients: live sockets at once.
    """

    body_bytes: int = 12 << 20
    pixels: int = 16_000_000
    clients: int = 64


def open_picture(data: bytes, limits: Limits) -> Image:
    """Decode a JPEG, PNG or WebP file.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        InvalidInputError: another or a damaged format, too many bytes or pixels.
    """
    if len(data) > limits.body_bytes:
        raise InvalidInputError(
            f"picture: {len(data)} bytes; send at most {limits.body_bytes} bytes"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            with Pillow.open(io.BytesIO(data), formats=_FORMATS) as header:
                pixels = header.size[0] * header.size[1]
    except Pillow.DecompressionBombError:
        pixels = limits.pixels + 1
    except Exception:  # Pillow raises whatever its parsers stumble over
        raise InvalidInputError("picture: not a JPEG, PNG or WebP file") from None
    if pixels > limits.pixels:
        raise InvalidInputError(f"picture: too large; send at most {limits.pixels} pixels")
    return decode_image(np.frombuffer(data, np.uint8), "picture")


def encode_picture(image: Image, kind: str) -> bytes:
    """BGR to the bytes of a JPEG or PNG file; `kind` is "jpeg" or "png"."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90] if kind == "jpeg" else []
    data: Any = cv2.imencode(f".{kind}", image, quality)[1]
    encoded: bytes = data.tobytes()
    return encoded
