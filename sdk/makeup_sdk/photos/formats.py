"""Supported picture formats and their features."""

import importlib
from dataclasses import dataclass

from PIL import features

from makeup_kernels import BackendUnavailableError


@dataclass(frozen=True)
class Format:
    """Features of one format.

    Attributes:
        name: Pillow's name of the format.
        modes: writable Pillow modes with 8 bits per channel.
        deep: whether 16 bits per channel can be written.
        metadata: whether ICC profile, EXIF and XMP can be written.
        library: distribution that it needs besides Pillow, or None.
        extra: the extra of this package that installs the library.
    """

    name: str
    modes: tuple[str, ...]
    deep: bool = False
    metadata: bool = True
    library: str | None = None
    extra: str | None = None


_JPEG = Format("JPEG", ("L", "RGB", "CMYK"))
_PNG = Format("PNG", ("L", "RGB", "RGBA"), deep=True)
_WEBP = Format("WEBP", ("RGB", "RGBA"))
_BMP = Format("BMP", ("L", "RGB"), metadata=False)
_TIFF = Format("TIFF", ("L", "RGB", "RGBA", "CMYK"), deep=True)
_AVIF = Format("AVIF", ("RGB", "RGBA"))
_HEIF = Format("HEIF", ("RGB", "RGBA"), library="pillow-heif", extra="heif")
_JXL = Format("JXL", ("L", "LA", "RGB", "RGBA"), library="pillow-jxl-plugin", extra="jxl")

_WRITTEN = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jfif": _JPEG,
    ".png": _PNG,
    ".webp": _WEBP,
    ".bmp": _BMP,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".avif": _AVIF,
    ".heic": _HEIF,
    ".heif": _HEIF,
    ".jxl": _JXL,
}
WRITE_SUFFIXES = tuple(_WRITTEN)
"""Suffixes of writable picture files."""
READ_SUFFIXES = (*WRITE_SUFFIXES, ".gif")
"""Suffixes of pictures found in folders. A single file may have any name."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_PLAIN = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


def written_format(suffix: str) -> Format:
    """The format of a suffix of `WRITE_SUFFIXES`, ready for writing.

    Raises:
        BackendUnavailableError: its library is not installed.
    """
    found = _WRITTEN[suffix]
    _prepare(found, suffix)
    return found


def readable_formats(start: bytes, name: str) -> tuple[str, ...]:
    """Pillow's names of the possible formats of a file with these first bytes.

    Raises:
        BackendUnavailableError: HEIC, AVIF or JPEG XL, and its library is not installed.
    """
    if start.startswith(_JXL_STARTS):
        _prepare(_JXL, name)
        return ("JXL",)
    if start[4:8] == b"ftyp":
        size = min(int.from_bytes(start[:4], "big"), len(start))
        brands = {start[8:12], *(start[k : k + 4] for k in range(16, size, 4))}
        if brands & {b"avif", b"avis"}:
            _prepare(_AVIF, name)
            return ("AVIF",)
        if brands & set(_HEIF_BRANDS):
            _prepare(_HEIF, name)
            return ("HEIF",)
    return _PLAIN


def _prepare(wanted: Format, name: str) -> None:
    """Register a format with Pillow that needs its own library."""
    if wanted is _AVIF and not features.check("avif"):
        raise BackendUnavailableError(
            f"{name}: this Pillow was built without AVIF; run: pip install --upgrade 'pillow>=11.3'"
        )
    if wanted.library is None:
        return
    module = "pillow_heif" if wanted is _HEIF else "pillow_jxl"
    try:
        library = importlib.import_module(module)
    except ImportError as error:
        raise BackendUnavailableError(
            f"{name}: {wanted.name} pictures need {wanted.library}; run: "
            f"pip install '.[{wanted.extra}]'"
        ) from error
    if wanted is _HEIF:
        library.register_heif_opener()
