"""Read and write image files, and check frames."""

import os
import re
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from makeup_kernels import InvalidInputError, OutputError
from makeup_kernels.files import as_path, write_atomically
from makeup_kernels.types import Image
from makeup_sdk.photos import WRITE_SUFFIXES, Photo, decode_photo, encode_photo
from makeup_sdk.photos.color import ColorSpace
from makeup_sdk.photos.limits import check_file_size

IMAGE_SUFFIXES = WRITE_SUFFIXES
COLORS = ("bgr", "rgb")
"""Channel orders of frames."""

Picture: TypeAlias = str | Path | NDArray[np.uint8] | Pillow.Image
"""A picture argument; see `open_picture`."""


def read_photo(path: str | Path) -> Photo:
    """Read a picture file: a frame for the engine, and the file's other content.

    Raises:
        InvalidInputError: no such file, empty, damaged, not a still picture, larger than 179
            megapixels, or claiming more pixels than its bytes can encode.
        BackendUnavailableError: HEIC, AVIF or JPEG XL, and its library is not installed.
    """
    path = as_path(path)
    if not path.is_file():
        raise InvalidInputError(f"{path}: {_why_no_file(path)}; give the path of an image")
    try:
        with path.open("rb") as file:
            check_file_size(os.fstat(file.fileno()).st_size, str(path))
            data = file.read()
    except OSError as error:
        raise InvalidInputError(
            f"{path}: cannot be read ({error.strerror}); check who owns it, with ls -l"
        ) from None
    return decode_photo(data, str(path))


def _why_no_file(path: Path) -> str:
    if re.match("[a-z0-9]{2,}:/", str(path)):
        return "addresses are not opened; download the picture first"
    return "this is a folder" if path.is_dir() else "no such file"


def read_image(path: str | Path) -> Image:
    """Read an image file as a BGR frame.

    The result is sRGB and upright by its EXIF orientation. Grey becomes three equal channels,
    transparency is composed on white, 16 bits become 8.

    Returns:
        uint8 (H, W, 3).

    Raises:
        InvalidInputError, BackendUnavailableError: see `read_photo`.
    """
    return read_photo(path).image


def decode_image(data: NDArray[np.uint8], name: str) -> Image:
    """Decode the bytes of an image file; `name` is for messages. See `read_image`."""
    return decode_photo(data.tobytes(), name).image


def write_photo(path: str | Path, photo: Photo) -> None:
    """Write a picture atomically; the suffix selects the format.

    Keeps profile, EXIF, XMP, alpha and bit depth if the format supports them.

    Raises:
        InvalidInputError: unknown suffix, a size that the format does not support, or a missing
            folder.
        OutputError: the path is a folder, the disk is full, or permission is denied.
        BackendUnavailableError: the format's library is not installed.
    """
    path = as_path(path)
    if path.is_dir():
        raise OutputError(f"{path}: this is a folder; give the name of an image file in it")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise InvalidInputError(
            f"{path}: unknown image type {path.suffix!r}; use one of " + ", ".join(IMAGE_SUFFIXES)
        )
    if not path.parent.is_dir():
        raise InvalidInputError(f"{path.parent}: no such folder; create it first")
    write_atomically(path, encode_photo(photo, path.suffix.lower(), str(path)))


def write_image(path: str | Path, image: Image) -> None:
    """Write a BGR image; see `write_photo`."""
    write_photo(path, Photo(check_frame(image, "image"), ColorSpace("RGB", None, str(path))))


def check_frame(frame: object, name: str = "frame") -> Image:
    """Check that an argument is a frame.

    Raises:
        InvalidInputError: not a uint8 array of shape (H, W, 3) with H, W ≥ 1.
    """
    if frame is None:
        raise InvalidInputError(
            f"{name}: got None, expected a NumPy array uint8 (H, W, 3); OpenCV gives None for a "
            "file that it could not read: check its path, or use makeup_sdk.read_image"
        )
    if not isinstance(frame, np.ndarray):
        hint = ""
        if isinstance(frame, (bytes, bytearray)):
            hint = "; open the bytes of an image file with PIL.Image.open(io.BytesIO(data))"
        raise InvalidInputError(
            f"{name}: got {type(frame).__name__}, expected a NumPy array uint8 (H, W, 3){hint}"
        )
    if frame.dtype != np.uint8:
        hint = ""
        if frame.dtype == np.uint16:
            hint = "; convert 16-bit frames with (frame >> 8).astype(numpy.uint8)"
        elif frame.dtype.kind == "f":
            hint = "; convert float frames in [0, 1] with (frame * 255).round().astype(numpy.uint8)"
        raise InvalidInputError(
            f"{name}: got dtype {frame.dtype}, shape {frame.shape}, expected uint8 (H, W, 3){hint}"
        )
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        hint = ""
        if frame.ndim == 2:
            hint = "; convert grey frames with cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)"
        elif frame.ndim == 3 and frame.shape[2] == 4:
            hint = "; drop the alpha channel with frame[..., :3]"
        raise InvalidInputError(f"{name}: got shape {frame.shape}, expected (H, W, 3){hint}")
    return frame


def open_picture(picture: Any, color: str, name: str = "frame") -> tuple[Any, Image | None]:
    """A picture as a frame, and its alpha channel.

    Args:
        picture: path of an image file; a Pillow image; an array uint8 (H, W, 3), or (H, W, 4) with
            alpha last, or grey (H, W) or (H, W, 1). Anything else, such as a GPU array, is returned
            unchanged.
        color: channel order of arrays, and of the frame, "bgr" or "rgb".
        name: names the picture in messages.

    Returns:
        the frame uint8 (H, W, 3), and alpha uint8 (H, W, 1) or None. An array (H, W, 3) is returned
        itself.

    Raises:
        InvalidInputError, BackendUnavailableError: the file cannot be read; see `read_photo`.
    """
    if isinstance(picture, (str, Path)):
        frame = read_image(picture)
        return (frame[..., ::-1] if color == "rgb" else frame), None
    if isinstance(picture, Pillow.Image):
        upright = ImageOps.exif_transpose(picture)
        has_alpha = upright.has_transparency_data
        array = np.asarray(upright.convert("RGBA" if has_alpha else "RGB"))
        frame = array[..., :3] if color == "rgb" else array[..., 2::-1]
        return frame, array[..., 3:] if has_alpha else None
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        return picture, None
    if picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 1):
        return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2), None
    if picture.ndim == 3 and picture.shape[2] == 4:
        return picture[..., :3], picture[..., 3:]
    return picture, None


def check_color(color: str) -> str:
    """Check a channel order.

    Raises:
        InvalidInputError: not one of `COLORS`.
    """
    if color not in COLORS:
        raise InvalidInputError(f"color: {color!r} is unknown; expected one of {COLORS}")
    return color


def to_bgr(frame: Image, color: str) -> Image:
    """A frame as BGR: unchanged for "bgr", a contiguous copy for "rgb"."""
    if color == "bgr":
        return frame
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), np.uint8)
