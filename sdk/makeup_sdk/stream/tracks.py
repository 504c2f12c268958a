"""Copy sound, subtitles, chapters and tags of a source to the output video."""

import logging
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from makeup_sdk.stream.containers import Container
from makeup_sdk.stream.errors import DISK_ERRORS
from makeup_sdk.stream.video_source import open_container

_log = logging.getLogger("makeup_sdk")

_MOST_FAILURES = 200
"""Consecutive failed reads after which the sound counts as ended."""
_GAP = 0.04
"""Seconds of missing sound that are filled with silence."""
_PRIMING = 0.1
"""Seconds before the first picture that are codec priming."""
_LONGEST_SILENCE = 60.0
"""Maximum seconds to fill with silence; a longer gap is a jump of the clock."""
_PLAIN_TEXTS = frozenset(("subrip", "text", "mov_text"))
_MARKUP = re.compile(rb"</?[a-zA-Z][^>]*>|\{\\[^}]*\}")
"""SubRip markup, which MP4's texts do not support."""
_LONGEST_TEXT = 65_535
"""Maximum bytes of a text in MP4."""
_STORAGE_TAGS = frozenset(
    ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate",
     "_statistics_tags", "_statistics_writing_app", "_statistics_writing_date_utc", "bps",
     "number_of_frames", "number_of_bytes", "vendor_id")
)  # fmt: skip
"""Tags that describe how the source was stored, not its content."""


class Tracks:
    """The other tracks of a source, written in step with the pictures.

    Args:
        source: the source file.
        out: the output container, before its first packet.
        container: features of the output's format.
        start: seconds of the source's first picture.
        sound: whether to keep sound.
        name: names the output in messages.
    """

    def __init__(
        self, source: Path, out: Any, container: Container, start: float, sound: bool, name: str
    ) -> None:
        self._in = open_container(source)
        self._out = out
        self._name = name
        self._tracks: dict[int, _Track] = {}
        streams = self._in.streams
        for number, stream in enumerate(streams.audio if sound else (), 1):
            copied = _codec_of(stream) in container.copied_sound
            self._add(stream, container, number, None if copied else container.sound)
        for number, stream in enumerate(streams.subtitles, 1):
            codec = _codec_of(stream)
            if codec in container.copied_subtitles:
                self._add(stream, container, number, None)
            elif codec in _PLAIN_TEXTS and container.text is not None:
                made = self._out.add_mux_stream(container.text)
                self._keep(stream, made, convert=(codec, container.text))
            else:
                _log.warning(
                    "%s: subtitle track %d cannot be kept in %s; .mkv keeps most",
                    name, number, container.name,
                )  # fmt: skip
        starts = [
            float(track.stream.start_time * track.stream.time_base)
            for track in self._tracks.values()
            if track.stream.start_time is not None
        ]
        first = min([start, *starts])
        self.origin = first if start - first > _PRIMING else start
        """Seconds of the source's time at which the output begins."""
        for track in self._tracks.values():
            track.origin = self.origin
        self._carry_tags()
        self._packets = self._read()
        self._head: Any = None

    def pump(self, until: float | None) -> None:
        """Write packets up to a time.

        Args:
            until: seconds of the output; None for all remaining packets.
        """
        while True:
            packet = self._head if self._head is not None else next(self._packets, None)
            self._head = None
            if packet is None:
                return
            track = self._tracks[packet.stream_index]
            if until is not None and track.time(packet) >= until:
                self._head = packet
                return
            self._write(track, packet)

    def close(self) -> None:
        """Flush the encoders, and close the source."""
        for track in self._tracks.values():
            if track.encodes and not track.dropped:
                self._mux(track, track.flush())
            if track.damaged:
                _log.warning(
                    "%s: %d packets of sound could not be decoded and are silent",
                    self._name,
                    track.damaged,
                )
        self._in.close()

    def abandon(self) -> None:
        """Close the source."""
        self._in.close()

    def _add(self, stream: Any, container: Container, number: int, codec: str | None) -> None:
        try:
            if codec is None:
                made = self._out.add_stream_from_template(stream)
            else:
                rate = stream.codec_context.sample_rate
                made = self._out.add_stream(codec, rate=_rate_for(codec, rate))
                made.layout = "mono" if stream.codec_context.channels == 1 else "stereo"
                _log.info("%s: sound track %d is encoded anew as %s", self._name, number, codec)
                if stream.codec_context.channels > 2:
                    _log.warning(
                        "%s: sound track %d of %d channels becomes stereo; .mkv keeps most as "
                        "they are",
                        self._name, number, stream.codec_context.channels,
                    )  # fmt: skip
        except (av.FFmpegError, ValueError) as error:
            _log.warning(
                "%s: track %d (%s) cannot be kept in %s: %s",
                self._name, number, stream.type, container.name, error,
            )  # fmt: skip
            return
        self._keep(stream, made, encodes=codec is not None)

    def _keep(
        self,
        stream: Any,
        made: Any,
        *,
        encodes: bool = False,
        convert: tuple[str, str] | None = None,
    ) -> None:
        made.metadata.update(_kept(stream.metadata))
        made.disposition = stream.disposition
        self._tracks[stream.index] = _Track(stream, made, encodes, convert)

    def _carry_tags(self) -> None:
        self._out.metadata.update(_kept(self._in.metadata))
        chapters = []
        for chapter in self._in.chapters():
            base = chapter["time_base"]
            offset = round(self.origin / base) if base else 0
            start, end = chapter["start"] - offset, chapter["end"] - offset
            if end > 0:
                chapters.append({**chapter, "start": max(start, 0), "end": end})
        if chapters:
            self._out.set_chapters(chapters)

    def _read(self) -> Iterator[Any]:
        """Packets of the kept tracks, skipping unreadable ones."""
        streams = [track.stream for track in self._tracks.values()]
        if not streams:
            return
        packets, failures = self._in.demux(streams), 0
        while failures < _MOST_FAILURES:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                failures += 1
                packets = self._in.demux(streams)
                continue
            if packet is None:
                return
            if packet.size and (packet.pts is not None or packet.dts is not None):
                failures = 0
                yield packet

    def _write(self, track: "_Track", packet: Any) -> None:
        if track.dropped:
            return
        if track.encodes:
            try:
                made = track.encode(packet)
            except (av.FFmpegError, ValueError):  # damaged: replaced by silence
                track.damaged += 1
                return
            self._mux(track, made)
        else:
            text = track.text(packet)
            if text is not None:
                self._mux(track, [track.moved(text)])

    def _mux(self, track: "_Track", packets: list[Any]) -> None:
        for packet in packets:
            try:
                self._out.mux(packet)
            except av.FFmpegError as error:
                if error.errno in DISK_ERRORS:
                    raise
                track.dropped = True  # not supported by this container after all
                _log.warning(
                    "%s: a %s track is left out from here on: %s",
                    self._name, track.stream.type, error,
                )  # fmt: skip
                return


class _Track:
    """One track of the source and its place in the output."""

    def __init__(
        self, stream: Any, made: Any, encodes: bool, convert: tuple[str, str] | None
    ) -> None:
        self.stream = stream
        self.made = made
        self.encodes = encodes
        self._convert = convert
        self.dropped = False
        self.damaged = 0
        self.origin = 0.0
        self._last: int | None = None
        self._written = 0.0
        """Seconds up to which sound was sent to the encoder."""

    def time(self, packet: Any) -> float:
        """Seconds of the output at which a packet begins."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        return float(stamp * packet.time_base) - self.origin

    def text(self, packet: Any) -> Any:
        """A packet with its text in the output codec's format; None if there is none."""
        if self._convert is None:
            return packet
        content, (codec, wanted) = bytes(packet), self._convert
        if codec == "mov_text":  # two bytes of length, the text, and its style
            content = content[2 : 2 + int.from_bytes(content[:2], "big")]
        if not content.strip():
            return None
        if wanted == "mov_text":
            content = _MARKUP.sub(b"", content)[:_LONGEST_TEXT]
            content = len(content).to_bytes(2, "big") + content
        made = av.Packet(content)
        made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
        made.time_base = packet.time_base
        return made

    def moved(self, packet: Any) -> Any:
        """A packet at its time in the output; decoding times increase, as containers require."""
        offset = round(self.origin / packet.time_base)
        dts = (packet.dts if packet.dts is not None else packet.pts) - offset
        pts = (packet.pts if packet.pts is not None else packet.dts) - offset
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        self._last = dts
        packet.dts, packet.pts = dts, max(pts, dts)
        packet.stream = self.made
        return packet

    def encode(self, packet: Any) -> list[Any]:
        """Packets of the output's codec; gaps in the source become silence."""
        made: list[Any] = []
        for frame in packet.decode():
            if frame.pts is None:
                continue
            at = float(frame.pts * frame.time_base) - self.origin
            gap = at - self._written
            if _GAP < gap < _LONGEST_SILENCE:
                made += self._encode(_silence(frame, gap))
            made += self._encode(frame)
        return made

    def flush(self) -> list[Any]:
        """The encoder's remaining packets."""
        return [*self.made.encode(None)]

    def _encode(self, frame: Any) -> list[Any]:
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(self._written * frame.sample_rate)  # contiguous
        self._written += frame.samples / frame.sample_rate
        return [*self.made.encode(frame)]


def _codec_of(stream: Any) -> str:
    """The codec's name, independent of the decoder; empty if there is no decoder."""
    context = stream.codec_context
    return "" if context is None else str(context.codec.canonical_name)


def _silence(like: Any, seconds: float) -> Any:
    count = round(seconds * like.sample_rate)
    channels = like.layout.nb_channels
    planar = like.format.is_planar
    shape = (channels, count) if planar else (1, channels * count)
    kind = like.to_ndarray().dtype
    middle = 128 if kind == np.uint8 else 0
    frame = av.AudioFrame.from_ndarray(
        np.full(shape, middle, kind), like.format.name, like.layout.name
    )
    frame.sample_rate = like.sample_rate
    return frame


def _rate_for(codec: str, rate: int) -> int:
    """The smallest sample rate of an encoder that is at least `rate`, or its highest."""
    rates = sorted(av.Codec(codec, "w").audio_rates or [rate])
    return next((known for known in rates if known >= rate), rates[-1])


def _kept(tags: Any) -> dict[str, str]:
    return {key: tag for key, tag in tags.items() if key.lower().partition("-")[0] not in
            _STORAGE_TAGS}  # fmt: skip
