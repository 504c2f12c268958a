"""Features and default encoders of the video containers."""

from dataclasses import dataclass
from io import BytesIO

import av

from makeup_kernels import InvalidInputError


@dataclass(frozen=True)
class Container:
    """A container format.

    Attributes:
        name: FFmpeg's name.
        video, deep: encoders for 8 bits and for more; None: more is not supported.
        sound: encoder of sound that is not copied.
        copied_sound, copied_subtitles: codecs whose packets are copied.
        text: codec to which other plain-text subtitles are converted.
        varying: whether frames may have any timestamp, instead of a fixed grid.
        options: options of FFmpeg's muxer.
    """

    name: str
    video: str
    deep: str | None
    sound: str
    copied_sound: frozenset[str]
    copied_subtitles: frozenset[str] = frozenset()
    text: str | None = None
    varying: bool = True
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class VideoOptions:
    """Encoding options of a video file.

    Attributes:
        codec: FFmpeg's name of an encoder, such as "libx265" or "libsvtav1"; None: H.264 in .mp4,
            .mov and .mkv, VP9 in .webm, MJPEG in .avi; for more than 8 bits H.265, AV1 in .webm.
        quality: constant rate factor of the encoder, lower is better; for MJPEG its quantiser, 2 to
            31. None: visually close to the source.
        pixel_format: FFmpeg's name, such as "yuv444p"; None: "yuv420p", which every player
            supports, and "yuv420p10le" or "yuv420p12le" if the source has more than 8 bits.
        preset: encoder preset (speed or size); None: fast enough for a stream.
        sound: whether to keep the source's sound.
    """

    codec: str | None = None
    quality: float | None = None
    pixel_format: str | None = None
    preset: str | None = None
    sound: bool = True


_LOSSY = frozenset(("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"))
_PCM = frozenset(("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_f32le", "pcm_s32le"))
_TEXTS = frozenset(("subrip", "ass", "ssa", "webvtt", "text"))
_BITMAPS = frozenset(("dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle"))
_FAST_START = (("movflags", "+faststart"),)

CONTAINERS = {
    ".mp4": Container(
        "mp4", "libx264", "libx265", "aac", _LOSSY, frozenset(("mov_text",)), "mov_text",
        options=_FAST_START,
    ),
    ".mov": Container(
        "mov", "libx264", "libx265", "aac", _LOSSY - {"opus", "flac"} | _PCM,
        frozenset(("mov_text",)), "mov_text", options=_FAST_START,
    ),
    ".mkv": Container(
        "matroska", "libx264", "libx265", "aac", _LOSSY | _PCM | {"vorbis", "dts"},
        _TEXTS | _BITMAPS, "subrip",
    ),
    ".webm": Container(
        "webm", "libvpx-vp9", "libsvtav1", "libopus", frozenset(("opus", "vorbis")),
        frozenset(("webvtt",)),
    ),
    ".avi": Container(
        "avi", "mjpeg", None, "libmp3lame", frozenset(("mp3", "ac3", "pcm_s16le")),
        varying=False, options=(("avoid_negative_ts", "disabled"),),  # else frames move by one
    ),
}  # fmt: skip
VIDEO_SUFFIXES = tuple(CONTAINERS)

_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libx265": {"crf": "20", "preset": "fast", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
    "libsvtav1": {"crf": "28", "preset": "10", "svtav1-params": "film-grain=0"},
    "mjpeg": {"qmin": "2", "qmax": "2"},
}
_PRESETS = {"libvpx-vp9": "cpu-used"}
TELLS_ASPECT = frozenset(("libx264", "libx265"))
"""Encoders that store the pixel aspect ratio; others get square pixels."""
EVEN = frozenset(("libx264", "libx265", "libsvtav1"))
"""Encoders that refuse odd sides with subsampled chroma."""


def encoder_options(codec: str, options: VideoOptions) -> dict[str, str]:
    """Options for FFmpeg's encoder."""
    told = dict(_ENCODERS.get(codec, {}))
    if options.quality is not None:
        keys = ("qmin", "qmax") if codec == "mjpeg" else ("crf",)
        told |= dict.fromkeys(keys, f"{options.quality:g}")
    if options.preset is not None:
        told[_PRESETS.get(codec, "preset")] = options.preset
    return told


def chosen(container: Container, options: VideoOptions, bits: int, name: str) -> tuple[str, str]:
    """Encoder and pixel format to use.

    Args:
        bits: bits per sample of the source.
        name: names the file in messages.

    Raises:
        InvalidInputError: the container or the requested encoder supports only 8 bits.
    """
    codec = options.codec or (container.video if bits == 8 else container.deep)
    if codec is None:
        raise InvalidInputError(
            f"{name}: {container.name} files cannot hold the {bits} bits a sample of the source; "
            "use .mp4, .mkv or .webm"
        )
    if options.pixel_format is not None:
        return codec, options.pixel_format
    if bits == 8:
        return codec, "yuvj420p" if codec == "mjpeg" else "yuv420p"
    known = [entry.name for entry in av.Codec(codec, "w").video_formats or ()]
    depths = (10, 12) if bits <= 10 else (12, 10)
    for depth in depths:
        if f"yuv420p{depth}le" in known:
            return codec, f"yuv420p{depth}le"
    raise InvalidInputError(
        f"{name}: codec: {codec} cannot hold the {bits} bits a sample of the source; use "
        "libx265 or libsvtav1, or ask for 8 bits by a pixel_format"
    )


def check_options(container: Container, options: VideoOptions, name: str) -> None:
    """Refuse an unsupported codec or pixel format before the first frame.

    Raises:
        InvalidInputError: no such encoder, or unsupported by the container or the encoder.
    """
    codec, wanted = chosen(container, options, 8, name)
    try:
        encoder = av.Codec(codec, "w")
    except (av.FFmpegError, ValueError) as error:
        raise InvalidInputError(
            f"{name}: codec: this FFmpeg has no encoder {codec!r}; use for example libx264, "
            "libx265, libvpx-vp9 or libsvtav1"
        ) from error
    formats = [entry.name for entry in encoder.video_formats or ()]
    if encoder.type != "video" or wanted not in formats:
        raise InvalidInputError(
            f"{name}: pixel_format: {codec} cannot encode {wanted!r}; "
            f"expected one of {', '.join(formats) or 'none: it encodes no pictures'}"
        )
    with av.open(BytesIO(), "w", format=container.name) as out:
        try:
            out.add_stream(codec, rate=25)
        except ValueError as error:
            raise InvalidInputError(
                f"{name}: codec: {container.name} files cannot hold {codec}; use .mkv, which holds "
                "nearly all"
            ) from error
