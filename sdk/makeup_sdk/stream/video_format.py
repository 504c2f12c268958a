"""The picture format of a video, and conversion of its frames to arrays and back."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc, Interpolation
from numpy.typing import NDArray

from makeup_kernels.types import Image

DeepImage = NDArray[np.uint16]

_ROUNDED = 0x40000 | 0x2000
"""SWS_ACCURATE_RND and SWS_FULL_CHR_H_INT, for which PyAV 17 has no names."""
_READING = int(Interpolation.BILINEAR) | _ROUNDED
_WRITING = int(Interpolation.BICUBIC) | _ROUNDED
"""Avoids the colour bias of one to three pixel values of FFmpeg's faster modes."""
_UNSPECIFIED = 2
"""H.273 value of unspecified primaries, transfer and matrix."""
_RGB = 0
_BT709, _BT601 = 1, 6
"""Matrices, as H.273 numbers them."""
_HD = 720
"""Rows from which unspecified colours are treated as BT.709, as players do."""


@dataclass(frozen=True)
class VideoFormat:
    """Properties of a video file that its output keeps.

    Attributes:
        rate: average frames per second.
        time_base: unit of its timestamps, in seconds.
        aspect: width of a stored pixel divided by its height.
        matrix, primaries, transfer: H.273 values; 2 is unspecified.
        full_range: whether samples use the full range, instead of 16 to 235 of 255.
        bits: bits per sample.
    """

    rate: Fraction
    time_base: Fraction = Fraction(1, 90_000)
    aspect: Fraction = Fraction(1)
    matrix: int = 1
    primaries: int = 1
    transfer: int = 1
    full_range: bool = False
    bits: int = 8

    @property
    def colour_range(self) -> ColorRange:
        """FFmpeg's name of the range."""
        return ColorRange.JPEG if self.full_range else ColorRange.MPEG

    def matrix_of(self, height: int) -> int:
        """The matrix of frames with this many rows, also if the file does not specify it."""
        if self.matrix != _UNSPECIFIED:
            return self.matrix
        return _BT709 if height >= _HD else _BT601


def format_of(frame: av.VideoFrame, rate: Fraction, time_base: Fraction, aspect: Fraction,
              turned: bool) -> VideoFormat:  # fmt: skip
    """The format of a video, from a decoded frame.

    Args:
        frame: the first frame.
        rate, time_base, aspect: properties of its stream.
        turned: whether frames are shown with rows and columns swapped.
    """
    matrix = int(frame.colorspace)
    if matrix == _RGB or frame.format.is_rgb:
        return VideoFormat(rate, time_base, aspect)
    return VideoFormat(
        rate,
        time_base,
        1 / aspect if turned else aspect,
        matrix,
        int(frame.color_primaries),
        int(frame.color_trc),
        frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj"),
        max(component.bits for component in frame.format.components),
    )


def orientation_of(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """How to rotate a stored frame upright: swap rows and columns, then flip rows, columns."""
    entries: Any = frame.side_data
    for data in entries:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), "<i4")[:5].tolist()
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return False, d < 0, a < 0
            return True, b < 0, c < 0
    return False, False, False


def to_array(frame: av.VideoFrame, video: VideoFormat, deep: bool = False) -> NDArray[Any]:
    """A stored frame, upright, as full-range BGR: uint8, or uint16 if `deep`, (H, W, 3)."""
    if not frame.format.is_rgb:
        frame.colorspace = video.matrix_of(frame.height)
        frame.color_range = int(video.colour_range)
    image = frame.to_ndarray(
        format="bgr48le" if deep else "bgr24",
        dst_color_range=int(ColorRange.JPEG),
        interpolation=_READING,
    )
    swap, rows, columns = orientation_of(frame)
    if swap:
        image = image.swapaxes(0, 1)
    if rows:
        image = image[::-1]
    if columns:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def to_frame(image: Image | DeepImage, video: VideoFormat, pixel_format: str) -> av.VideoFrame:
    """A full-range BGR array, uint8 or uint16 (H, W, 3), as a frame for an encoder."""
    deep = image.dtype == np.uint16
    if av.VideoFormat(pixel_format).is_rgb:
        return av.VideoFrame.from_ndarray(image, format="bgr48le" if deep else "bgr24").reformat(
            format=pixel_format
        )
    frame = av.VideoFrame.from_ndarray(image, format="bgr48le" if deep else "bgr24")
    frame.colorspace = video.matrix_of(image.shape[0])
    stored = frame.reformat(
        format=pixel_format,
        src_color_range=int(ColorRange.JPEG),
        dst_color_range=int(video.colour_range),
        interpolation=_WRITING,
    )
    stored.colorspace = video.matrix
    stored.color_primaries = ColorPrimaries(video.primaries)
    stored.color_trc = ColorTrc(video.transfer)
    return stored
