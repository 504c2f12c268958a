"""Convert between a file's colour space and the engine's sRGB."""

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
"""Tolerance, in pixel values, for recognising an embedded profile as sRGB."""


class ColorSpace:
    """Conversion of samples of one mode and profile to sRGB and back; 8 bits per channel.

    Args:
        mode: "L", "RGB" or "CMYK".
        profile: ICC profile, or None for plain grey, sRGB, or CMYK as Pillow reads it.
        name: names the file in messages. An unusable profile is ignored with a warning.
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
        """Whether the samples are already sRGB."""
        return self.mode == "RGB" and self._there is None

    def to_srgb(self, samples: Samples) -> Samples:
        """uint8 (H, W) or (H, W, C) to sRGB, uint8 (H, W, 3), channels R, G, B."""
        image = Pillow.fromarray(samples, self.mode)
        if self._there is not None:
            image = _apply(self._there, image)
        return np.asarray(image.convert("RGB"))

    def from_srgb(self, rgb: Samples) -> Samples:
        """The inverse of `to_srgb`, clipped to the samples' gamut."""
        image = Pillow.fromarray(np.ascontiguousarray(rgb), "RGB")
        image = image.convert(self.mode) if self._back is None else _apply(self._back, image)
        return np.asarray(image)


def _apply(transform: ImageCms.ImageCmsTransform, image: Pillow.Image) -> Pillow.Image:
    made = ImageCms.applyTransform(image, transform)
    assert made is not None  # not in place
    return made


def _is_srgb(there: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform leaves a grid of colours unchanged."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, -1, 3)
    made = np.asarray(_apply(there, Pillow.fromarray(grid, "RGB"))).astype(int)
    return int(np.abs(made - grid).max()) <= _SAME
