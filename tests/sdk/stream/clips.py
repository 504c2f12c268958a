"""Small videos for tests, made with PyAV."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from fakes import process
from numpy.typing import NDArray

from makeup_sdk.stream import (
    ReconnectOptions,
    Stream,
    StreamOptions,
    VideoFileSink,
    VideoOptions,
)
from makeup_sdk.stream.sources import open_source

Image = NDArray[np.uint8]

MILLISECOND = Fraction(1, 1000)
SIDE = (64, 48)
"""Width and height, unless a test says otherwise."""


def ramp(number: int, size: tuple[int, int] = SIDE) -> Image:
    """A frame that tells its number, 0 to 255, in eight bars."""
    bars = np.array([215 if number >> bit & 1 else 40 for bit in range(8)], np.uint8)
    row = bars[np.arange(size[0]) * 8 // size[0]]
    return np.repeat(np.repeat(row[None, :, None], size[1], axis=0), 3, axis=2)


def number_in(image: Image) -> int:
    """The number that a frame tells."""
    means = [part.mean() for part in np.array_split(image[..., 1], 8, axis=1)]
    return sum(int(mean > 128) << bit for bit, mean in enumerate(means))


def tone(seconds: float, rate: int = 48_000, hertz: float = 440.0) -> NDArray[np.int16]:
    """A sine, int16 (N,)."""
    count = round(seconds * rate)
    return (8000 * np.sin(np.arange(count) * 2 * np.pi * hertz / rate)).astype(np.int16)


def beeps(seconds: float, at: Sequence[float], rate: int = 48_000) -> NDArray[np.int16]:
    """Silence with 50 ms of 1 kHz at some times."""
    wave = np.zeros(round(seconds * rate), np.int16)
    for start in at:
        begin = round(start * rate)
        beep = tone(0.05, rate, 1000.0)[: max(len(wave) - begin, 0)]
        wave[begin : begin + len(beep)] = beep
    return wave


def write_clip(
    path: Path,
    images: Sequence[Image],
    *,
    times: Sequence[float] | None = None,
    fps: int = 30,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    stream: dict[str, Any] | None = None,
    sounds: Sequence[tuple[str, float, NDArray[np.int16]]] = (),
    container: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a video.

    Args:
        path: its suffix chooses the container.
        images: uint8 or uint16 (H, W, 3), BGR.
        times: seconds of each frame; default 1/fps apart.
        options: of the encoder.
        stream: attributes of the codec context, such as colours.
        sounds: codec, seconds at which it starts, and samples at 48 kHz, of each track.
    """
    times = times if times is not None else [k / fps for k in range(len(images))]
    if codec == "libx264":
        options = {"crf": "4", "preset": "ultrafast", **(options or {})}
    with av.open(str(path), "w", options=container or {}) as out:
        out.metadata.update(metadata or {})
        video = out.add_stream(codec, rate=fps, options=options or {})
        video.width, video.height = images[0].shape[1::-1]
        video.pix_fmt = pixel_format
        fine = codec not in ("mjpeg", "mpeg4")
        video.codec_context.time_base = Fraction(1, 90_000 if fine else fps)
        for key, value in (stream or {}).items():
            setattr(video.codec_context, key, value)
        tracks = []
        for name, _, _ in sounds:
            track = out.add_stream(name, rate=48_000)
            track.layout = "mono"
            tracks.append(track)
        packets: list[Any] = []
        base = video.codec_context.time_base
        matrix = int((stream or {}).get("colorspace", 6))
        full = int((stream or {}).get("color_range", 1))
        for image, at in zip(images, times, strict=True):
            deep = image.dtype == np.uint16
            frame = av.VideoFrame.from_ndarray(image, format="bgr48le" if deep else "bgr24")
            frame.colorspace = matrix
            frame = frame.reformat(
                format=pixel_format,
                src_color_range=2,
                dst_color_range=full,
                interpolation=0x40000 | 0x2000 | 4,
            )
            frame.pts, frame.time_base = round(at / base), base
            packets += video.encode(frame)
        packets += video.encode(None)
        for track, (_, start, samples) in zip(tracks, sounds, strict=True):
            sound = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
            sound.sample_rate, sound.time_base = 48_000, Fraction(1, 48_000)
            sound.pts = round(start * 48_000)
            packets += [*track.encode(sound), *track.encode(None)]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base if p.dts else 0):
            out.mux(packet)
    return path


def turn(path: Path, matrix: Sequence[int]) -> Path:
    """Give an MP4's video a display matrix a, b, c, d (in ones)."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (65536 * value for value in matrix)
    place = data.index(b"tkhd") + 44
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def heard(path: Path, track: int = 0) -> tuple[float, NDArray[np.float64]]:
    """Seconds at which a sound track begins, and its samples at 48 kHz."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=track))
        start = float(frames[0].pts * frames[0].time_base)
        resampler = av.AudioResampler("s16", "mono", 48_000)
        parts = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
    return start, np.concatenate(parts).astype(np.float64)


def onsets(start: float, samples: NDArray[np.float64]) -> list[float]:
    """Seconds at which the beeps of a track begin."""
    loud = np.abs(samples) > 2000
    quiet = 48_000 // 10
    found = []
    last = -quiet
    for place in np.flatnonzero(loud):
        if place - last >= quiet:
            found.append(start + place / 48_000)
        last = int(place)
    return found


def seen(path: Path) -> list[tuple[float, Image]]:
    """Time and picture of each frame of a video."""
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        ]


def made_of(source: Path, out: Path, options: VideoOptions | None = None) -> Stream:
    """Go through a video with an engine that does nothing."""
    opened = open_source(source, 25.0, ReconnectOptions(), lambda seconds: False)
    stream = Stream(opened, process, StreamOptions(), sink=VideoFileSink(out, options))
    stream.run()
    return stream


def facts(path: Path) -> Any:
    """What a video's first frame and its container tell."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        context = stream.codec_context
        return {
            "codec": context.name,
            "size": (context.width, context.height),
            "pixels": context.pix_fmt,
            "aspect": stream.sample_aspect_ratio,
            "matrix": int(frame.colorspace),
            "primaries": int(frame.color_primaries),
            "transfer": int(frame.color_trc),
            "range": int(frame.color_range),
            "sound": [track.codec_context.name for track in container.streams.audio],
            "rate": stream.average_rate,
        }
