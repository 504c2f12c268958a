"""The protocol of frame sources."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from makeup_kernels.types import Image
from makeup_sdk.stream.tone import DeepFrames
from makeup_sdk.stream.video_format import VideoFormat


@dataclass(frozen=True)
class SourceInfo:
    """Facts about a source before its first frame.

    Attributes:
        name: for messages.
        live: whether frames arrive in real time and are lost if not taken.
        fps: frames per second.
        frames: number of frames, None if unknown; an estimate for video files.
        path: the video file, whose audio a sink may keep; else None.
        native_color: whether frames are in the engine's channel order instead of BGR.
        video: format of a video file's pictures; else None.
        start: seconds of the first frame in the file's own time.
        deep: the file's original frames if they have more than 8 bits or HDR; `read` then returns
            their 8-bit SDR view.
    """

    name: str
    live: bool
    fps: float
    frames: int | None = None
    path: Path | None = None
    native_color: bool = False
    video: VideoFormat | None = None
    start: float = 0.0
    deep: DeepFrames | None = None


class Source(Protocol):
    """Delivers frames in order. An app may implement its own."""

    @property
    def info(self) -> SourceInfo:
        """Facts that are known before the first frame."""
        ...

    @property
    def reconnects(self) -> int:
        """Number of reconnections."""
        ...

    @property
    def lost(self) -> int:
        """Number of frames that could not be read so far."""
        ...

    def read(self) -> tuple[Image, float] | None:
        """The next frame and its time in seconds; None at the end.

        Raises:
            SourceLostError: the source was lost.
        """
        ...

    def close(self) -> None:
        """Release camera, file or connection; no `read` is in progress."""
        ...
