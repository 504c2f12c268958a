"""The sink that writes a video file."""

import logging
import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, OutputError
from makeup_kernels.files import as_path, aside, check_writable, how_to_mend
from makeup_kernels.types import Image
from makeup_sdk.stream.containers import (
    CONTAINERS,
    EVEN,
    TELLS_ASPECT,
    VIDEO_SUFFIXES,
    VideoOptions,
    check_options,
    chosen,
    encoder_options,
)
from makeup_sdk.stream.errors import DISK_ERRORS, SinkFullError
from makeup_sdk.stream.scheduling import usual_scheduling
from makeup_sdk.stream.source import SourceInfo
from makeup_sdk.stream.tracks import Tracks
from makeup_sdk.stream.video_format import DeepImage, VideoFormat, to_frame

if TYPE_CHECKING:
    from makeup_sdk.stream.results import Ending, StreamResult


_log = logging.getLogger("makeup_sdk")

_RESERVE = 32 << 20
"""Bytes to keep free for the file's index."""


class VideoFileSink:
    """Writes a video file: by default H.264 and AAC in .mp4, VP9 and Opus in .webm.

    Keeps the source's frame times, even if uneven, and its colours, aspect ratio, sound tracks,
    subtitles, chapters and tags. Sound is copied if the container supports its codec, else
    re-encoded. Frames of another size are scaled to the first one's. If the codec needs even sides,
    the last line is repeated; if it cannot store the pixel aspect ratio, pixels are made square.

    The file appears when the stream has ended: complete, or up to the point where the stream was
    stopped or its source was lost. If the stream failed, nothing appears, and an existing file
    stays.

    Args:
        path: its suffix selects the container: .mp4, .mov, .mkv, .avi or .webm.
        options: codec, quality, pixel format, sound.

    Raises:
        InvalidInputError: unknown suffix, missing folder, or unsupported options.
    """

    def __init__(self, path: str | Path, options: VideoOptions | None = None) -> None:
        self._path = as_path(path)
        suffix = self._path.suffix.lower()
        if suffix not in CONTAINERS:
            raise InvalidInputError(
                f"{path}: unknown video type {suffix!r}; use one of {', '.join(VIDEO_SUFFIXES)}"
            )
        if not self._path.parent.is_dir():
            raise InvalidInputError(f"{self._path.parent}: no such folder; create it first")
        self._container = CONTAINERS[suffix]
        self._options = options or VideoOptions()
        check_options(self._container, self._options, str(path))
        self._source: SourceInfo | None = None
        self._aside: AbstractContextManager[Path] | None = None
        self._place = self._path
        self._out: Any = None
        self._tracks: Tracks | None = None
        self._size = (0, 0)
        self._written = 0
        self._failed = False

    def open(self, source: SourceInfo) -> None:
        """Check the output; the file starts with the first result.

        Raises:
            OutputError: the folder does not permit it.
            InvalidInputError: the source would be overwritten, perhaps through a link; or the
                format does not support the source's bit depth.
        """
        self._source = source
        bits = source.video.bits if source.video is not None else 8
        deep_bits = max(bits, 10) if source.deep is not None else 8  # HDR wants ten
        name = str(self._path)
        self._codec, self._pixel_format = chosen(self._container, self._options, deep_bits, name)
        if source.deep is not None:
            source.deep.want()
        there = source.path is not None and source.path.exists() and self._path.exists()
        if source.path is not None and there and self._path.samefile(source.path):
            raise InvalidInputError(
                f"{self._path}: the source would be overwritten by its own result; choose another "
                "file"
            )
        check_writable(self._path)

    def write(self, image: Image, result: "StreamResult") -> bool:
        """Append a frame.

        Raises:
            SinkFullError: the disk is full or not writable.
            InvalidInputError: the encoder does not support this frame size or the options.
        """
        free = shutil.disk_usage(self._path.parent).free
        if free < _RESERVE:
            raise SinkFullError(
                f"{self._path}: the disk is full ({free >> 20} MiB free); the video so far, "
                f"{self._written} frames, is kept"
            )
        try:
            if self._out is None:
                self._start(image, self._opened())
            self._append(self._fitted(self._deep(image, result)), result.timestamp)
        except (av.FFmpegError, OutputError, OSError) as error:
            raise self._failure(error) from error
        return True

    def close(self, ending: "Ending") -> None:
        """Finish the file and move it into place; if the stream failed, remove it.

        Raises:
            SinkFullError: the rest cannot be written; the file is removed.
        """
        if self._aside is None:
            return
        failed = self._failed or ending.name == "FAILED"
        try:
            if failed:
                self._abandon()
            else:
                self._finish(whole=ending.name in ("FINISHED", "INCOMPLETE"))
        except (av.FFmpegError, OutputError, OSError) as error:
            self._abandon()
            raise self._failure(error) from error

    def _finish(self, *, whole: bool) -> None:
        self._mux(self._stream.encode(None))
        if self._tracks is not None:
            self._tracks.pump(None if whole else self._end)
            self._tracks.close()
        self._out.close()
        with self._place.open("rb+") as file:
            os.fsync(file.fileno())
        leaving, self._aside = self._aside, None
        assert leaving is not None
        leaving.__exit__(None, None, None)

    def _abandon(self) -> None:
        """Remove the temporary file."""
        if self._tracks is not None:
            self._tracks.abandon()
        if self._out is not None:
            try:
                self._out.close()
            except (av.FFmpegError, OSError):
                _log.debug("%s: the unfinished file could not be closed", self._path)
        if self._aside is not None:
            leaving, self._aside = self._aside, None
            error = SinkFullError("left unfinished")
            leaving.__exit__(type(error), error, None)

    def _failure(self, error: Exception) -> SinkFullError | InvalidInputError:
        """The error to raise: of the disk, or of the encoder."""
        self._failed = True
        if isinstance(error, OutputError):
            return SinkFullError(f"{error}; nothing was left there")
        reason = getattr(error, "strerror", None) or error
        number = getattr(error, "errno", None)
        if number not in DISK_ERRORS:
            width, height = self._size
            told = encoder_options(self._codec, self._options)
            return InvalidInputError(
                f"{self._path}: {self._codec} does not take frames of {width}x{height} pixels, "
                f"{self._pixel_format}, with {told} ({reason}); choose another codec or preset"
            )
        return SinkFullError(
            f"{self._path}: cannot be written ({reason}); {how_to_mend(number)}; nothing was left "
            "there"
        )

    def _start(self, image: Image, source: SourceInfo) -> None:
        rate = Fraction(source.fps).limit_denominator(1001)
        self._video = source.video or VideoFormat(rate)
        step = self._video.time_base if self._container.varying else 1 / self._video.rate
        self._step = step
        self._last = -1
        self._end = 0.0
        self._aside = aside(self._path, make_parents=False)
        self._place = self._aside.__enter__()
        container, options = self._container, self._options
        self._out = av.open(
            f"file:{self._place}", "w", format=container.name, options=dict(container.options)
        )
        codec = self._codec
        if self._pixel_format.startswith("yuvj"):
            self._video = replace(self._video, full_range=True)
        elif av.VideoFormat(self._pixel_format).is_rgb:
            self._video = replace(self._video, full_range=True, matrix=0)
        self._stream = self._out.add_stream(
            codec, rate=self._video.rate, options=encoder_options(codec, options)
        )
        self._size = _shown_size(image, self._video.aspect, codec)
        if codec not in TELLS_ASPECT:
            self._video = replace(self._video, aspect=Fraction(1))
        even = codec in EVEN and av.VideoFormat(self._pixel_format, 2, 2).chroma_width() < 2
        width, height = self._size
        self._stream.width = width + (width & 1) * even
        self._stream.height = height + (height & 1) * even
        self._stream.pix_fmt = self._pixel_format
        self._stream.time_base = step
        context = self._stream.codec_context
        context.time_base = step
        context.sample_aspect_ratio = self._video.aspect
        context.colorspace = self._video.matrix
        context.color_primaries = self._video.primaries
        context.color_trc = self._video.transfer
        context.color_range = int(self._video.colour_range)
        if codec == "libx265" and container.name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # Apple's players need it
        self._shift = 0.0
        if source.path is not None and source.video is not None:
            self._tracks = Tracks(
                source.path, self._out, container, source.start, options.sound, str(self._path)
            )
            self._shift = source.start - self._tracks.origin

    def _deep(self, image: Image, result: "StreamResult") -> Image | DeepImage:
        """The result's picture in the source's bit depth and tone curve."""
        deep = self._opened().deep
        if deep is None:
            return image
        samples, view = deep.take(result.index)
        return deep.tone.wearing(samples, view, image)

    def _fitted(self, image: Image | DeepImage) -> Image | DeepImage:
        """A frame of the video's size; an odd side repeats its last line."""
        fitted: NDArray[Any] = image
        if image.shape[1::-1] != self._size:
            larger = image.shape[1] <= self._size[0] and image.shape[0] <= self._size[1]
            method = cv2.INTER_CUBIC if larger else cv2.INTER_AREA
            fitted = np.asarray(cv2.resize(image, self._size, interpolation=method), image.dtype)
        more = (self._stream.height - fitted.shape[0], self._stream.width - fitted.shape[1])
        if any(more):
            fitted = np.pad(fitted, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
        return np.ascontiguousarray(fitted)

    def _append(self, image: Image | DeepImage, timestamp: float) -> None:
        at = timestamp + self._shift
        frame = to_frame(image, self._video, self._pixel_format)
        place = max(round(at / self._step), self._last + 1)
        if self._last < 0 and not self._container.varying:  # such a file cannot start late
            for before in range(place):
                self._encode(frame, before)
        self._encode(frame, place)
        if self._tracks is not None:
            self._tracks.pump(at)
        self._last = place
        self._written += 1
        self._end = at + 1 / float(self._video.rate)

    def _encode(self, frame: av.VideoFrame, place: int) -> None:
        frame.pts, frame.time_base = place, self._step
        if self._stream.codec_context.is_open:
            self._mux(self._stream.encode(frame))
        else:
            with usual_scheduling():
                packets = self._stream.encode(frame)
            self._mux(packets)

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            if not packet.duration:
                packet.duration = max(round(1 / self._video.rate / packet.time_base), 1)
            self._out.mux(packet)

    def _opened(self) -> SourceInfo:
        if self._source is None:
            raise InvalidInputError("VideoFileSink: write before open; call open(source) first")
        return self._source


def _shown_size(image: Image, aspect: Fraction, codec: str) -> tuple[int, int]:
    """Width and height to store; no line is lost if pixels are made square."""
    height, width = image.shape[:2]
    if codec in TELLS_ASPECT or aspect == 1:
        return width, height
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)
