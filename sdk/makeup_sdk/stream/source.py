"""What every source of frames is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from makeup_kernels.types import Image
from makeup_sdk.stream.tone import DeepFrames
from makeup_sdk.stream.video_format import VideoFormat


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before its first frame.

    Attributes:
        name: for messages.
        live: frames come in their own time and are lost if nobody takes them.
        fps: frames per second.
        frames: how many there are, None if unknown; of video files an estimate.
        path: the video file, whose audio a sink may keep; else None.
        native_color: frames have the channel order of the engine, instead of BGR.
        video: how a video file stores its pictures; else None.
        start: seconds at which the first frame stands in the file's own time.
        deep: frames of more than 8 bits, or of HDR, as the file holds them; what `read` gives is
            a view of them in 8-bit SDR.
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
    """Gives frames one by one. An app may plug in its own."""

    @property
    def info(self) -> SourceInfo:
        """Facts that are known before the first frame."""
        ...

    @property
    def reconnects(self) -> int:
        """How often it was lost and came back."""
        ...

    @property
    def lost(self) -> int:
        """Frames that were announced and could not be read, as far as it is known by now."""
        ...

    def read(self) -> tuple[Image, float] | None:
        """The next frame and its time in seconds; None at the end.

        Raises:
            SourceLostError: it has gone away.
        """
        ...

    def close(self) -> None:
        """Give camera, file or connection back; no `read` is under way."""
        ...
