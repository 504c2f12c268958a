"""Read and write image files, and check frames."""

import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError

Image = NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_MAX_PIXELS = 1 << 28
_PNG = b"\x89PNG\r\n\x1a\n"


def read_image(path: str | Path) -> Image:
    """Read an image file as a BGR frame.

    Grey becomes three equal channels, an alpha channel is dropped, 16 bits become 8, and the
    camera's EXIF orientation is applied.

    Returns:
        uint8 (H, W, 3).

    Raises:
        InvalidInputError: no such file, empty, not an image that OpenCV reads, or larger than
            268 megapixels.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file; give the path of an image")
    data = np.fromfile(path, np.uint8)
    if data.size == 0:
        raise InvalidInputError(f"{path}: the file is empty (0 bytes); give an image")
    return decode_image(data, str(path))


def decode_image(data: NDArray[np.uint8], name: str) -> Image:
    """Decode the bytes of an image file; `name` stands for it in messages. See `read_image`."""
    _check_png_size(data, name)
    try:
        image: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:  # larger than OpenCV's own limits
        image = None
    if image is None:
        raise InvalidInputError(
            f"{name}: not an image that can be read; expected a JPEG, PNG, WebP, BMP or TIFF file"
        )
    _check_size(image.shape[1], image.shape[0], name)
    frame: Image = image
    return frame


def _check_png_size(data: NDArray[np.uint8], name: str) -> None:
    """Refuse what a PNG's header claims: OpenCV allocates it before it reads on."""
    start = data[:24].tobytes()
    if start.startswith(_PNG) and len(start) == 24:
        width, height = struct.unpack(">II", start[16:])
        _check_size(width, height, name)


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > _MAX_PIXELS:
        raise InvalidInputError(f"{name}: {width}x{height} pixels; shrink it below 268 megapixels")


def write_image(path: str | Path, image: Image) -> None:
    """Write a BGR image; the suffix chooses the format. The file appears whole or not at all.

    Raises:
        InvalidInputError: unknown suffix, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise InvalidInputError(
            f"{path}: unknown image type {path.suffix!r}; use one of " + ", ".join(IMAGE_SUFFIXES)
        )
    if not path.parent.is_dir():
        raise InvalidInputError(f"{path.parent}: no such folder; create it first")
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if jpeg else []
    done, data = cv2.imencode(path.suffix.lower(), image, quality)
    if not done:
        raise InvalidInputError(f"{path}: OpenCV cannot encode this image as {path.suffix}")
    write_atomically(path, data.tobytes())


def write_atomically(path: Path, data: bytes) -> None:
    """Write aside, then rename, so that a crash leaves the old file or none."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def check_frame(frame: object, name: str = "frame") -> Image:
    """Check that an argument is a frame.

    Raises:
        InvalidInputError: not a uint8 array of shape (H, W, 3) with H, W ≥ 1.
    """
    if not isinstance(frame, np.ndarray):
        raise InvalidInputError(
            f"{name}: got {type(frame).__name__}, expected a NumPy array uint8 (H, W, 3)"
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
