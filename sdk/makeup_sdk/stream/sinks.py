"""Sinks: video file, image folder, window, virtual camera, callback."""

import importlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from makeup_kernels import BackendUnavailableError, InvalidInputError, OutputError
from makeup_kernels.files import as_path, check_writable, make_folder
from makeup_kernels.types import Image
from makeup_sdk.images import IMAGE_SUFFIXES, write_image
from makeup_sdk.stream.containers import VIDEO_SUFFIXES
from makeup_sdk.stream.errors import SinkFullError
from makeup_sdk.stream.results import Ending, StreamResult
from makeup_sdk.stream.source import SourceInfo
from makeup_sdk.stream.video_file import VideoFileSink

_log = logging.getLogger("makeup_sdk")

_WINDOW = "makeup"
_ESCAPE = 27


class Sink(Protocol):
    """Receives results in order. An app may implement its own."""

    def open(self, source: SourceInfo) -> None:
        """Called once, before the first result."""
        ...

    def write(self, image: Image, result: StreamResult) -> bool:
        """Write a result.

        Args:
            image: uint8 (H, W, 3), the result's image in BGR.
            result: the whole result, its image in the engine's channel order.

        Returns:
            whether the stream should continue.

        Raises:
            SinkFullError: there is no space for it.
        """
        ...

    def close(self, ending: Ending) -> None:
        """Finish; called once after `open`.

        Args:
            ending: why the stream ended; after `Ending.FAILED`, discard a partial result.

        Raises:
            SinkFullError: there is no space for the rest.
        """
        ...


class FolderSink:
    """Writes numbered images: frame-000000.png and so on.

    Args:
        folder: created if missing.
        suffix: ".png" (lossless), ".jpg" or another one that `write_image` supports.
    """

    def __init__(self, folder: str | Path, suffix: str = ".png") -> None:
        if suffix not in IMAGE_SUFFIXES:
            raise InvalidInputError(
                f"suffix: {suffix!r} is unknown; expected one of {', '.join(IMAGE_SUFFIXES)}"
            )
        self._folder = Path(folder)
        self._suffix = suffix

    def open(self, source: SourceInfo) -> None:
        """Create the folder, and check that it can be written to.

        Raises:
            InvalidInputError: it is the source's folder.
            OutputError: the folder does not permit it.
        """
        if source.path is None and Path(source.name).resolve() == self._folder.resolve():
            raise InvalidInputError(
                f"{self._folder}: the results would be written among the source's images; choose "
                "another folder"
            )
        if source.deep is not None:
            _log.warning(
                "%s: the source has HDR, or more than 8 bits, its images will be in SDR with 8; a "
                "video file keeps them",
                self._folder,
            )
        make_folder(self._folder)
        check_writable(self._folder / f"frame{self._suffix}")

    def write(self, image: Image, result: StreamResult) -> bool:
        """Write one image atomically."""
        try:
            write_image(self._folder / f"frame-{result.index:06d}{self._suffix}", image)
        except OutputError as error:
            raise SinkFullError(str(error)) from error
        return True

    def close(self, ending: Ending) -> None:
        """Nothing is left open."""


class WindowSink:
    """Shows results in a window; Escape, q or closing it ends the stream.

    Raises:
        BackendUnavailableError: OpenCV was built without windows.
    """

    def __init__(self, title: str = _WINDOW) -> None:
        if not _has_windows():
            raise BackendUnavailableError(
                "window: this OpenCV was built without windows; run: pip uninstall -y "
                "opencv-python-headless && pip install opencv-python"
            )
        self._title = title

    def open(self, source: SourceInfo) -> None:
        """Open the window."""
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL)

    def write(self, image: Image, result: StreamResult) -> bool:
        """Show one result."""
        cv2.imshow(self._title, image)
        key = cv2.waitKey(1) & 0xFF
        closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        return not (closed or key in (_ESCAPE, ord("q")))

    def close(self, ending: Ending) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)


class VirtualCameraSink:
    """Feeds a virtual camera for video calls.

    Args:
        device: for example "/dev/video2"; None: the first one found.

    Raises:
        BackendUnavailableError: pyvirtualcam is not installed, or no such device exists.
    """

    def __init__(self, device: str | None = None) -> None:
        try:
            self._library: Any = importlib.import_module("pyvirtualcam")
        except ImportError as error:
            raise BackendUnavailableError(
                "virtual camera: pyvirtualcam is missing; run: pip install '.[camera]'"
            ) from error
        self._device = device
        self._fps = 30.0
        self._camera: Any = None

    def open(self, source: SourceInfo) -> None:
        """Store the frame rate; the device opens with the first result, whose size it needs."""
        self._fps = source.fps

    def write(self, image: Image, result: StreamResult) -> bool:
        """Send one result."""
        height, width = image.shape[:2]
        if self._camera is None:
            try:
                self._camera = self._library.Camera(
                    width,
                    height,
                    self._fps,
                    fmt=self._library.PixelFormat.BGR,
                    device=self._device,
                )
            except RuntimeError as error:
                raise BackendUnavailableError(
                    f"virtual camera: {error}; on Linux run: sudo modprobe v4l2loopback "
                    "exclusive_caps=1; on Windows and macOS install OBS Studio"
                ) from error
        size = (self._camera.width, self._camera.height)
        if (width, height) != size:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._camera.send(np.ascontiguousarray(image))
        return True

    def close(self, ending: Ending) -> None:
        """Release the device."""
        if self._camera is not None:
            self._camera.close()


class CallbackSink:
    """Calls a function with every `StreamResult`; if it returns False, the stream ends."""

    def __init__(self, function: Callable[[StreamResult], object]) -> None:
        self._function = function

    def open(self, source: SourceInfo) -> None:
        """Nothing to open."""

    def write(self, image: Image, result: StreamResult) -> bool:
        """Call the function."""
        return self._function(result) is not False

    def close(self, ending: Ending) -> None:
        """Nothing is left open."""


def make_sink(sink: Any) -> Sink:
    """The sink for an app's argument.

    Args:
        sink: path of a video file, or of a folder for images (it exists, or has no suffix);
            "window"; "camera", or "camera:/dev/video2" (virtual camera); a function of a
            `StreamResult`; or a `Sink`.

    Raises:
        InvalidInputError: none of these.
        BackendUnavailableError: a required library is missing.
    """
    is_there = isinstance(sink, str) and os.path.lexists(sink)
    if sink == "window" and not is_there:
        return WindowSink()
    if isinstance(sink, str) and (sink == "camera" or sink.startswith("camera:")) and not is_there:
        return VirtualCameraSink(sink.partition(":")[2] or None)
    if isinstance(sink, (str, Path)):
        path = as_path(sink, "sink")
        if path.is_dir() or not path.suffix:
            return FolderSink(path)
        if path.suffix.lower() in VIDEO_SUFFIXES:
            return VideoFileSink(path)
        raise InvalidInputError(
            f"{sink}: unknown video type {path.suffix!r}; use one of "
            f"{', '.join(VIDEO_SUFFIXES)}, a folder, window or camera"
        )
    if hasattr(sink, "write") and hasattr(sink, "open"):
        made: Sink = sink
        return made
    if callable(sink):
        return CallbackSink(sink)
    raise InvalidInputError(
        f"sink: got {type(sink).__name__}, expected a path, 'window', 'camera', a function or a "
        "Sink"
    )


def _has_windows() -> bool:
    lines = cv2.getBuildInformation().splitlines()
    return not any(line.split() == ["GUI:", "NONE"] for line in lines)
