"""Sources: cameras, video files, image folders, network streams, iterators."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from makeup_kernels import BackendUnavailableError, InvalidInputError, MakeupError
from makeup_kernels.files import as_path
from makeup_kernels.types import Image
from makeup_sdk.images import check_frame, read_image
from makeup_sdk.photos import READ_SUFFIXES
from makeup_sdk.stream.errors import SourceLostError
from makeup_sdk.stream.options import ReconnectOptions
from makeup_sdk.stream.source import Source, SourceInfo
from makeup_sdk.stream.video_source import VideoFileSource, open_animation, open_container

_log = logging.getLogger("makeup_sdk")

Clock = Callable[[], float]
Wait = Callable[[float], bool]
"""Waits some seconds; returns True if the stream was closed meanwhile."""

_LAST_CAMERA = 1 << 16
_NETWORK = ("rtsp://", "rtsps://", "rtmp://", "http://", "https://", "udp://", "tcp://", "srt://")


class CameraSource:
    """A camera by index, or a GStreamer pipeline that ends in `appsink`."""

    reconnects = 0
    lost = 0

    def __init__(self, camera: int | str, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        if isinstance(camera, str):
            if not _has_gstreamer():
                raise BackendUnavailableError(
                    f"{camera!r}: this OpenCV was built without GStreamer; build OpenCV with "
                    "-D WITH_GSTREAMER=ON (JetPack's own has it), or give a camera index, a file "
                    "or a URL"
                )
            self._capture = cv2.VideoCapture(camera, cv2.CAP_GSTREAMER)
            name = "GStreamer pipeline"
        else:
            self._capture = cv2.VideoCapture(camera)
            name = f"camera {camera}"
        if not self._capture.isOpened():
            raise InvalidInputError(
                f"{name}: cannot be opened; check that it is there (on Linux: ls /dev/video*), "
                "that no other program uses it and that you may read it"
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.info = SourceInfo(name, True, _frame_rate(self._capture, 30.0))

    def read(self) -> tuple[Image, float] | None:
        """The next frame, at the time it arrived."""
        done, frame = self._capture.read()
        if not done:
            raise SourceLostError(
                f"{self.info.name}: gives no more frames; was it unplugged, or taken by another "
                "program?"
            )
        return frame, self._clock()

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


class NetworkSource:
    """A live RTSP or HTTP stream; reconnects with increasing waits when lost.

    Args:
        url: for example "rtsp://host/path".
        options: reconnection options.
        wait: waits between attempts; returns whether the stream was closed meanwhile.
        connect: opens the URL; returns a capture, opened or not.
    """

    lost = 0

    def __init__(
        self,
        url: str,
        options: ReconnectOptions,
        wait: Wait,
        clock: Clock = time.perf_counter,
        connect: Callable[[str, float], Any] | None = None,
    ) -> None:
        self._url = url
        self._options = options
        self._wait = wait
        self._clock = clock
        self._connect = connect or _connect
        self.reconnects = 0
        self._capture = self._connect(url, options.timeout)
        if not self._capture.isOpened():
            raise InvalidInputError(
                f"{_without_password(url)}: cannot be opened; check address, password and network"
            )
        self.info = SourceInfo(_without_password(url), True, _frame_rate(self._capture, 25.0))

    def read(self) -> tuple[Image, float] | None:
        """The next frame, at the time it arrived; None if closed while waiting."""
        done, frame = self._capture.read()
        seconds = self._options.first_wait
        attempts = 0
        while not done:
            self._capture.release()
            if attempts == self._options.attempts:
                raise SourceLostError(
                    f"{self.info.name}: lost, and {attempts} attempts to open it again failed"
                )
            if self._wait(seconds):
                return None
            seconds = min(2 * seconds, self._options.longest_wait)
            attempts += 1
            self._capture = self._connect(self._url, self._options.timeout)
            done, frame = self._capture.read() if self._capture.isOpened() else (False, None)
            self.reconnects += done
        return frame, self._clock()

    def close(self) -> None:
        """Close the connection."""
        self._capture.release()


class FolderSource:
    """The images of a folder in natural order of their names (frame9 before frame10).

    Names that begin with a dot are skipped. An unreadable image gives a warning and counts in
    `lost`; later images keep their times.
    """

    reconnects = 0

    def __init__(self, folder: Path, fps: float) -> None:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in READ_SUFFIXES and not path.name.startswith(".")
        ]
        if not found:
            raise InvalidInputError(f"{folder}: no images in this folder")
        self._paths = sorted(found, key=_natural)
        self._next = 0
        self.lost = 0
        self.info = SourceInfo(str(folder), False, fps, len(found))

    def read(self) -> tuple[Image, float] | None:
        """The next readable image."""
        while self._next < len(self._paths):
            index, self._next = self._next, self._next + 1
            try:
                return read_image(self._paths[index]), index / self.info.fps
            except (MakeupError, OSError) as error:
                self.lost += 1
                _log.warning("%s", error)
        return None

    def close(self) -> None:
        """Nothing to release."""


class IteratorSource:
    """Frames of any iterable, uint8 (H, W, 3) in the channel order of the engine."""

    reconnects = 0
    lost = 0

    def __init__(self, frames: Iterable[Image], fps: float) -> None:
        self._frames: Iterator[Image] = iter(frames)
        self._next = 0
        count = len(frames) if isinstance(frames, Sized) else None
        self.info = SourceInfo("iterator", False, fps, count, native_color=True)

    def read(self) -> tuple[Image, float] | None:
        """The next frame."""
        for frame in self._frames:
            index, self._next = self._next, self._next + 1
            return check_frame(frame, f"frame {index}"), index / self.info.fps
        return None

    def close(self) -> None:
        """Close the iterator if it is a generator."""
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()


def open_source(source: Any, fps: float, reconnect: ReconnectOptions, wait: Wait) -> Source:
    """Open the source for an app's argument.

    Args:
        source: camera index; path of a video file or of a folder of images; URL; GStreamer
            pipeline (text with " ! "); iterable of frames; or a `Source`. A text that is an
            existing path is a path, whatever it looks like.
        fps: frame rate of folders and iterators.
        reconnect: options for network streams.
        wait: see `NetworkSource`.

    Raises:
        InvalidInputError: it cannot be opened.
        BackendUnavailableError: a GStreamer pipeline, but OpenCV lacks GStreamer.
    """
    if isinstance(source, int):
        if not 0 <= source <= _LAST_CAMERA:
            raise InvalidInputError(f"source: {source} is no camera index; expected 0, 1, …")
        return CameraSource(source)
    if isinstance(source, Path) or (isinstance(source, str) and _is_there(source)):
        return _open_path(as_path(source, "source"), fps)
    if isinstance(source, str):
        return _open_text(source, fps, reconnect, wait)
    if hasattr(source, "read") and hasattr(source, "info"):
        opened: Source = source
        return opened
    if isinstance(source, Iterable) and not isinstance(source, np.ndarray):
        return IteratorSource(source, fps)
    raise InvalidInputError(
        f"source: got {type(source).__name__}, expected a camera index, a path, a URL, a GStreamer "
        "pipeline or an iterable of frames"
    )


def _open_path(path: Path, fps: float) -> Source:
    if path.is_dir():
        return FolderSource(path, fps)
    if not path.is_file():
        raise InvalidInputError(
            f"{path}: no such file or folder; give a camera index, a video file, a folder of "
            "images or a URL"
        )
    return open_animation(path) or VideoFileSource(path)


def _open_text(source: str, fps: float, reconnect: ReconnectOptions, wait: Wait) -> Source:
    if source.startswith(_NETWORK):
        return _open_url(source, reconnect, wait)
    if " ! " in source:
        return CameraSource(source)
    return _open_path(as_path(source, "source"), fps)


def _is_there(name: str) -> bool:
    try:
        return os.path.lexists(name)
    except ValueError:  # not a file name
        return False


def _open_url(url: str, reconnect: ReconnectOptions, wait: Wait) -> Source:
    """Open a URL: a file served over HTTP has an end and is read as a file; all else is live."""
    if url.startswith("http"):
        with suppress(InvalidInputError):
            with open_container(url, reconnect.timeout) as container:
                has_end = bool(container.duration)
            if has_end:
                return VideoFileSource(url, reconnect.timeout)
    return NetworkSource(url, reconnect, wait)


def _connect(url: str, timeout: float) -> Any:
    if url.startswith("rtsp"):
        # RTSP over TCP: over UDP lost packets smear the picture
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    milliseconds = int(timeout * 1e3)
    limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
    settings = [item for limit in limits for item in (limit, milliseconds)]
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, settings)


def _frame_rate(capture: Any, fallback: float) -> float:
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    return fps if 1 <= fps <= 1000 else fallback


def _has_gstreamer() -> bool:
    lines = cv2.getBuildInformation().splitlines()
    return any("GStreamer:" in line and "YES" in line for line in lines)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts frame9 before frame10."""
    parts: list[tuple[int, str]] = []
    text = path.name
    while text:
        digits = len(text) - len(text.lstrip("0123456789"))
        if digits:
            parts.append((int(text[:digits]), ""))
            text = text[digits:]
        else:
            letters = next((k for k, c in enumerate(text) if c in "0123456789"), len(text))
            parts.append((-1, text[:letters]))
            text = text[letters:]
    return parts


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}://{user}:***@{host}" if at else url
