"""A picture: the frame for the engine, and the file's other content."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import Image
from makeup_sdk.photos.color import ColorSpace

Samples = NDArray[Any]
"""uint8 or uint16."""

PAPER = 255
"""Grey value of the background of transparent pixels."""


@dataclass(frozen=True)
class Photo:
    """A picture file's content, upright.

    Attributes:
        image: uint8 (H, W, 3), BGR in sRGB, composed on white: a frame for the engine.
        space: colour space of the samples.
        samples: uint8 or uint16 (H, W) or (H, W, C), the file's own; None if equal to `image`.
        alpha: (H, W) of the samples' dtype, or None.
        profile: ICC profile of the samples.
        exif: as bytes, orientation 1.
        xmp: as bytes, orientation 1.
    """

    image: Image
    space: ColorSpace
    samples: Samples | None = None
    alpha: Samples | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def wearing(self, result: Image) -> "Photo":
        """The same picture with the engine's result for its `image`.

        Only the change is transferred to the file's samples, so unpainted pixels keep their bit
        depth, colours outside sRGB, and content under transparency.

        Args:
            result: uint8 (H, W, 3), BGR.
        """
        if self.samples is None:
            return replace(self, image=result)
        changed = (result != self.image).any(axis=2)
        if self.alpha is not None:
            changed &= self.alpha > 0
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not rows.size:
            return self
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        before, after = (
            self.space.from_srgb(frame[box][..., ::-1]).astype(np.int32)
            for frame in (self.image, result)
        )
        top = np.iinfo(self.samples.dtype).max
        change = (after - before) * (top // 255)
        if self.alpha is not None:  # a change of a transparent pixel is less visible
            share = self.alpha[box].astype(np.float32) / np.float32(top)
            share = share.reshape(share.shape + (1,) * (change.ndim - 2))
            change = np.rint(change / np.maximum(share, 1 / top)).astype(np.int32)
        samples = self.samples.copy()
        painted = changed[box].reshape(changed[box].shape + (1,) * (change.ndim - 2))
        samples[box] = np.clip(samples[box] + change * painted, 0, top)
        shown = result if self.space.mode != "L" else on_paper(self.space, samples, self.alpha)
        return replace(self, image=shown, samples=samples)


def on_paper(space: ColorSpace, samples: Samples, alpha: Samples | None) -> Image:
    """Samples composed on white: uint8 (H, W, 3), BGR in sRGB, contiguous."""
    shown = to_bytes(samples) if space.plain else space.to_srgb(to_bytes(samples))
    if alpha is not None:
        share = to_bytes(alpha)[..., None].astype(np.uint16)
        mixed = (shown * share + PAPER * (255 - share) + 127) // 255
        shown = mixed.astype(np.uint8)
    return np.asarray(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR), np.uint8)


def to_bytes(samples: Samples) -> Image:
    """Convert samples of 8 or 16 bits to 8 bits, rounded."""
    if samples.dtype == np.uint8:
        return np.asarray(samples, np.uint8)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
