"""A video file as the sink of a stream."""

import importlib
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from makeup_kernels import BackendUnavailableError, InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.stream.errors import SinkFullError
from makeup_sdk.stream.source import SourceInfo

if TYPE_CHECKING:
    from makeup_sdk.stream.results import StreamResult


_log = logging.getLogger("makeup_sdk")

_CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
VIDEO_SUFFIXES = tuple(_CODECS)
_RESERVE = 32 << 20
"""Bytes that stay free, so that the index of the file can still be written."""
_LONGEST_GAP = 5.0
"""Seconds of dropped frames that are filled."""


class VideoFileSink:
    """Writes a video file through FFmpeg, and copies the sound of the source into it.

    Dropped frames are filled by repeating the one that follows, so that the file plays at the pace
    of the source. A frame of another size is scaled to that of the first.

    Args:
        path: its suffix chooses the container: .mp4, .mov, .mkv, .avi or .webm.
        codec: four letters that OpenCV's FFmpeg knows; default mp4v, MJPG in .avi, VP80 in .webm.
        audio: True keeps the source's sound (needs PyAV), False leaves it out, None keeps it where
            PyAV is installed and says so once where it is not.

    Raises:
        InvalidInputError: unknown suffix, or the folder does not exist.
        BackendUnavailableError: `audio=True` without PyAV.
    """

    def __init__(
        self, path: str | Path, *, codec: str | None = None, audio: bool | None = None
    ) -> None:
        self._path = Path(path)
        suffix = self._path.suffix.lower()
        if suffix not in _CODECS:
            raise InvalidInputError(
                f"{path}: unknown video type {suffix!r}; use one of {', '.join(VIDEO_SUFFIXES)}"
            )
        if not self._path.parent.is_dir():
            raise InvalidInputError(f"{self._path.parent}: no such folder; create it first")
        self._codec = codec or _CODECS[suffix]
        self._av = None if audio is False else _pyav()
        if audio and self._av is None:
            raise BackendUnavailableError(
                f"{path}: keeping the sound needs PyAV; run: pip install '.[video]'"
            )
        self._keep_audio = audio is not False
        self._writer: Any = None
        self._source: SourceInfo | None = None
        self._size = (0, 0)
        self._written = 0

    def open(self, source: SourceInfo) -> None:
        """Check that the source is not overwritten; the file starts with the first result."""
        self._source = source
        if source.path is None:
            return
        if source.path.resolve() == self._path.resolve():
            raise InvalidInputError(
                f"{self._path}: the source would be overwritten by its own result; choose another "
                "file"
            )
        if self._keep_audio and self._av is None:
            _log.warning(
                "%s: without PyAV the sound of the source, if it has any, is not kept; "
                "run: pip install '.[video]'",
                self._path,
            )

    def write(self, image: Image, result: "StreamResult") -> bool:
        """Append a frame."""
        source = self._opened()
        free = shutil.disk_usage(self._path.parent).free
        if free < _RESERVE:
            raise SinkFullError(
                f"{self._path}: the disk is full ({free >> 20} MiB free); the video so far, "
                f"{self._written} frames, is kept"
            )
        if self._writer is None:
            self._start(image, source)
        if image.shape[1::-1] != self._size:
            image = np.asarray(
                cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8
            )
        image = np.ascontiguousarray(image)
        for _ in range(self._repeats(result, source)):
            self._writer.write(image)
            self._written += 1
        return True

    def close(self) -> None:
        """Write the index, and copy the sound."""
        if self._writer is None:
            return
        self._writer.release()
        source = self._opened()
        if self._av is not None and source.path is not None:
            self._copy_audio(self._av, source.path, self._written / source.fps)

    def _start(self, image: Image, source: SourceInfo) -> None:
        self._size = image.shape[1::-1]
        code = cv2.VideoWriter.fourcc(*self._codec)
        self._writer = cv2.VideoWriter(
            str(self._path), cv2.CAP_FFMPEG, code, source.fps, self._size
        )
        if not self._writer.isOpened():
            self._writer = None
            raise InvalidInputError(
                f"{self._path}: OpenCV cannot write codec {self._codec!r} there; check that the "
                "folder can be written to, or leave the codec out"
            )

    def _repeats(self, result: "StreamResult", source: SourceInfo) -> int:
        """How often to write a frame: once, and for those that were dropped before it."""
        number = round(result.timestamp * source.fps) if source.live else result.index
        return min(max(number + 1 - self._written, 1), round(_LONGEST_GAP * source.fps))

    def _copy_audio(self, av: Any, source: Path, seconds: float) -> None:
        """Rewrite the file with the source's sound in it; on any failure it stays silent."""
        part = self._path.with_name(f".{self._path.stem}.audio{self._path.suffix}")
        try:
            if not _mux(av, self._path, source, part, seconds):
                return
            os.replace(part, self._path)
        except (OSError, av.FFmpegError) as error:
            _log.warning("%s: the sound could not be kept: %s", self._path, error)
        finally:
            part.unlink(missing_ok=True)

    def _opened(self) -> SourceInfo:
        if self._source is None:
            raise InvalidInputError("VideoFileSink: write before open; call open(source) first")
        return self._source


def _pyav() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError:
        return None


def _mux(av: Any, video: Path, source: Path, target: Path, seconds: float) -> bool:
    """Copy the packets of one file's picture and another's sound; False if it has none."""
    with av.open(str(source)) as sound:
        if not sound.streams.audio:
            return False
        with av.open(str(video)) as picture, av.open(str(target), "w") as out:
            tracks = [(picture, picture.streams.video[0]), (sound, sound.streams.audio[0])]
            copies = [out.add_stream_from_template(stream) for _, stream in tracks]
            queues = [container.demux(stream) for container, stream in tracks]
            heads = [_next_packet(queue) for queue in queues]
            while any(heads):
                track = min(
                    (k for k, head in enumerate(heads) if head),
                    key=lambda k: float(heads[k].dts * heads[k].time_base),
                )
                packet = heads[track]
                heads[track] = _next_packet(queues[track])
                if float(packet.dts * packet.time_base) < seconds:
                    packet.stream = copies[track]
                    out.mux(packet)
                elif track == 1:
                    heads[1] = None
    return True


def _next_packet(packets: Any) -> Any:
    return next((packet for packet in packets if packet.dts is not None), None)
