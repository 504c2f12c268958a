"""Video files as sources of streams: skips damage, keeps the file's timestamps."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from PIL import Image as Pillow

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.images import to_bgr
from makeup_sdk.stream.source import SourceInfo
from makeup_sdk.stream.tone import HLG, PQ, DeepFrames, Tone
from makeup_sdk.stream.video_format import format_of, orientation_of, to_array

_log = logging.getLogger("makeup_sdk")

_USUAL_RATE = Fraction(25)
_MOST_FAILURES = 200
"""Consecutive failed reads after which a file counts as ended."""
_CUT_OFF = 0.5
"""Tolerated seconds between a file's end and its header's duration; sound and picture rarely end
together."""
_TELLS_ITS_LENGTH = frozenset(("matroska", "webm", "flv", "asf", "ogg"))
"""Containers without a frame count whose header has the total duration."""
_KNOWN = "expected a file that FFmpeg knows, such as MP4, MKV, WebM, AVI or GIF"


def open_container(name: str | Path, timeout: float | None = None) -> Any:
    """Open a video for reading: a path with any characters, or a URL.

    Args:
        name: `Path` for a local file, text for a URL.
        timeout: seconds that a server may take to answer.

    Raises:
        InvalidInputError: FFmpeg cannot read it.
    """
    place = f"file:{name}" if isinstance(name, Path) else name
    limits = None if timeout is None else (timeout, timeout)
    try:
        return av.open(place, metadata_errors="replace", timeout=limits)
    except (av.FFmpegError, ValueError) as error:
        raise InvalidInputError(f"{name}: not a video that can be read; {_KNOWN}") from error


class VideoFileSource:
    """A video file, or a network file with an end.

    Frames are upright, with the file's timestamps. Undecodable frames are skipped and counted in
    `lost`, as are frames that the header announces but the file lacks.

    For HDR, and for more than 8 bits, frames are 8-bit SDR views; `SourceInfo.deep` has the
    originals.

    Args:
        name: `Path` of a file, or a URL.
        timeout: seconds that a server may take to answer.

    Raises:
        InvalidInputError: not a video, or without readable frames.
    """

    reconnects = 0

    def __init__(self, name: str | Path, timeout: float | None = None) -> None:
        self._container = open_container(name, timeout)
        try:
            self._open(name)
        except BaseException:
            self._container.close()
            raise

    def _open(self, name: str | Path) -> None:
        streams = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & Disposition.attached_pic
        ]
        if not streams:
            raise InvalidInputError(f"{name}: holds no video; {_KNOWN}")
        self._stream = max(streams, key=_importance)
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE
        rate = Fraction(rate) if 1 <= rate <= 1000 else _USUAL_RATE
        self._failed = 0
        self._given = 0
        self._fps = float(rate)
        self._at = -1 / self._fps
        self._end = 0.0
        """Seconds of the file's last packet."""
        self._over = False
        self._announced = self._count(rate)
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise InvalidInputError(f"{name}: none of its frames can be read; copy the file again")
        self._next: av.VideoFrame | None = first
        time_base = self._stream.time_base or 1 / rate
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        aspect = aspect if aspect > 0 else Fraction(1)
        self._video = format_of(first, rate, time_base, aspect, orientation_of(first)[0])
        self._deep: DeepFrames | None = None
        if self._video.bits > 8 or self._video.transfer in (PQ, HLG):
            self._deep = DeepFrames(Tone(self._video.transfer, self._video.primaries))
        self.info = SourceInfo(
            str(name),
            False,
            self._fps,
            self._announced,
            name if isinstance(name, Path) else None,
            video=self._video,
            start=self._time(first),
            deep=self._deep,
        )

    @property
    def lost(self) -> int:
        """Number of undecodable frames, and after the end also of missing ones."""
        if not self._over:
            return self._failed
        missing = (self._announced or 0) - self._given if self._stream.frames else self._cut_off()
        return max(self._failed, missing, 0)

    def read(self) -> tuple[Image, float] | None:
        """The next decodable frame, at its presentation time."""
        frame = self._next if self._next is not None else next(self._frames, None)
        self._next = None
        if frame is None:
            return None
        self._given += 1
        self._at = self._time(frame)
        if self._deep is None:
            return to_array(frame, self._video), self._at
        samples = to_array(frame, self._video, deep=True)
        view = self._deep.tone.view(samples)
        self._deep.put(self._given - 1, samples, view)
        return view, self._at

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _time(self, frame: av.VideoFrame) -> float:
        """Seconds; files without usable times play at their frame rate."""
        if frame.pts is not None and frame.time_base is not None:
            at = float(frame.pts * frame.time_base)
            if at > self._at or self._given <= 1:
                return at
        return self._at + 1 / self._fps

    def _decode(self) -> Iterator[av.VideoFrame]:
        """The frames in order, skipping what cannot be read or decoded."""
        packets = self._container.demux()
        failures = 0
        while failures < _MOST_FAILURES:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                failures += 1
                packets = self._container.demux()
                continue
            if packet is None:
                break
            self._note_end(packet)
            if packet.stream is not self._stream:
                continue
            try:
                for frame in packet.decode():
                    failures = 0
                    yield frame
            except (av.FFmpegError, ValueError):
                failures += 1
                self._failed += 1
            if packet.is_discard and self._announced:  # removed by an edit list
                self._announced -= 1
        self._over = True

    def _note_end(self, packet: Any) -> None:
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._end = max(self._end, end)

    def _count(self, rate: Fraction) -> int | None:
        """Number of frames according to the header."""
        stream, container = self._stream, self._container
        by_time = 0
        if stream.duration:
            by_time = round(stream.duration * stream.time_base * rate)
        elif container.duration:
            by_time = round(container.duration / av.time_base * rate)
        if stream.frames and by_time and "mp4" in container.format.name:  # fewer by an edit list
            return min(int(stream.frames), by_time + 1)
        return int(stream.frames) or by_time or None

    def _cut_off(self) -> int:
        """Number of frames missing at the end, according to the header."""
        container = self._container
        if not container.duration or not _TELLS_ITS_LENGTH & set(container.format.name.split(",")):
            return 0
        announced = ((container.start_time or 0) + container.duration) / av.time_base
        missing = announced - self._end
        return round(missing * self._fps) if missing > _CUT_OFF else 0


class AnimationSource:
    """An animated WebP, PNG or AVIF, which Pillow supports and FFmpeg does not.

    Raises:
        InvalidInputError: the first picture is damaged.
    """

    reconnects = 0

    def __init__(self, path: Path, opened: Any) -> None:
        self._opened = opened
        self._path = path
        self._next = 0
        self._at = 0.0
        self._frames = int(opened.n_frames)
        self.lost = 0
        try:
            opened.load()
        except (OSError, ValueError, EOFError) as error:
            opened.close()
            raise InvalidInputError(f"{path}: its first picture is damaged ({error})") from error
        duration = float(opened.info.get("duration") or 40) / 1e3
        self.info = SourceInfo(str(path), False, 1 / duration, self._frames, path)

    def read(self) -> tuple[Image, float] | None:
        """The next picture, transparent places on white."""
        while self._next < self._frames:
            index, self._next = self._next, self._next + 1
            at = self._at
            try:
                self._opened.seek(index)
                shown = self._opened.convert("RGBA")
                self._at += float(self._opened.info.get("duration") or 40) / 1e3
            except (OSError, ValueError, EOFError, SyntaxError):
                self.lost += 1
                self._at += 1 / self.info.fps
                continue
            paper = Pillow.new("RGBA", shown.size, "white")
            image = np.asarray(Pillow.alpha_composite(paper, shown).convert("RGB"))
            return to_bgr(image, "rgb"), at
        return None

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def open_animation(path: Path) -> AnimationSource | None:
    """An animation that Pillow reads; None if the file is none."""
    try:
        opened = Pillow.open(path, formats=("WEBP", "PNG", "AVIF"))
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        return None
    if getattr(opened, "n_frames", 1) > 1:
        return AnimationSource(path, opened)
    opened.close()
    return None


def _importance(stream: Any) -> tuple[bool, int]:
    context = stream.codec_context
    return bool(stream.disposition & Disposition.default), context.width * context.height
