"""Between the colours of a file's samples and the sRGB that the engine works in."""

import logging
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

Samples = NDArray[np.uint8]

_log = logging.getLogger("makeup_sdk")

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_BLACK_POINT = ImageCms.Flags.BLACKPOINTCOMPENSATION
_SAME = 1
"""Steps by which an embedded sRGB profile may differ from sRGB itself."""


class ColorSpace:
    """Samples of one mode and profile, as sRGB and back; 8 bits a channel.

    Args:
        mode: "L", "RGB" or "CMYK".
        profile: ICC profile, or None for plain grey, sRGB, or CMYK as Pillow reads it.
        name: stands for the file in messages. A profile that cannot be used is told and left out.
    """

    def __init__(self, mode: str, profile: bytes | None, name: str) -> None:
        self.mode = mode
        self._there: ImageCms.ImageCmsTransform | None = None
        self._back: ImageCms.ImageCmsTransform | None = None
        if not profile:
            return
        try:
            own = ImageCms.ImageCmsProfile(BytesIO(profile))
            if own.profile.xcolor_space.strip() != _SPACES[mode]:
                raise ImageCms.PyCMSError(f"it is for {own.profile.xcolor_space.strip()}")
            srgb = ImageCms.createProfile("sRGB")
            there = ImageCms.buildTransform(own, srgb, mode, "RGB", _INTENT, _BLACK_POINT)
            back = ImageCms.buildTransform(srgb, own, "RGB", mode, _INTENT, _BLACK_POINT)
        except (ImageCms.PyCMSError, OSError) as error:
            _log.warning("%s: its ICC profile cannot be used (%s); read as sRGB", name, error)
            return
        if mode != "RGB" or not _is_srgb(there):
            self._there, self._back = there, back

    @property
    def plain(self) -> bool:
        """Whether the samples are sRGB as they are."""
        return self.mode == "RGB" and self._there is None

    def to_srgb(self, samples: Samples) -> Samples:
        """uint8 (H, W) or (H, W, C) to sRGB, uint8 (H, W, 3), channels R, G, B."""
        image = Pillow.fromarray(samples, self.mode)
        if self._there is not None:
            image = _apply(self._there, image)
        return np.asarray(image.convert("RGB"))

    def from_srgb(self, rgb: Samples) -> Samples:
        """The inverse of `to_srgb`, as far as the samples' colours reach."""
        image = Pillow.fromarray(np.ascontiguousarray(rgb), "RGB")
        image = image.convert(self.mode) if self._back is None else _apply(self._back, image)
        return np.asarray(image)


def _apply(transform: ImageCms.ImageCmsTransform, image: Pillow.Image) -> Pillow.Image:
    made = ImageCms.applyTransform(image, transform)
    assert made is not None  # not in place
    return made


def _is_srgb(there: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform leaves a grid of all colours as it is."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, -1, 3)
    made = np.asarray(_apply(there, Pillow.fromarray(grid, "RGB"))).astype(int)
    return int(np.abs(made - grid).max()) <= _SAME
