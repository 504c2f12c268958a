"""Video files as sinks: in sync with their sound, in the source's colours, written atomically."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import (
    facts,
    heard,
    made_of,
    number_in,
    ramp,
    seen,
    tone,
    turn,
    write_clip,
)
from fakes import ListSource, process
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from makeup_sdk import InvalidInputError
from makeup_sdk.stream import (
    Ending,
    ReconnectOptions,
    SourceInfo,
    Stream,
    StreamOptions,
    StreamResult,
    VideoFileSink,
    VideoOptions,
)
from makeup_sdk.stream.sources import open_source

HERE = Path(__file__).parent
RAMP = [ramp(k) for k in range(30)]


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [
        (".mp4", "h264", "aac"),
        (".mov", "h264", "aac"),
        (".mkv", "h264", "aac"),
        (".webm", "libvpx-vp9", "libopus"),
        (".avi", "mjpeg", "mp3float"),
    ],
)
def test_what_is_written_by_default(tmp_path: Path, suffix: str, codec: str, sound: str) -> None:
    source = write_clip(tmp_path / "in.mp4", RAMP, sounds=[("aac", 0.0, tone(1.0))])
    out = tmp_path / f"out{suffix}"
    assert made_of(source, out).ending is Ending.FINISHED
    found = facts(out)
    name = codec.removeprefix("lib").replace("vpx-", "")
    assert (found["codec"].removeprefix("lib").replace("vpx-", ""), found["rate"]) == (name, 30)
    assert [entry.removeprefix("lib") for entry in found["sound"]] == [sound.removeprefix("lib")]
    frames = seen(out)
    assert [number_in(image) for _, image in frames] == list(range(30))
    times = np.array([at for at, _ in frames])
    np.testing.assert_allclose(times - times[0], np.arange(30) / 30, atol=2e-3)
    _, samples = heard(out)
    assert 0.95 < len(samples) / 48_000 < 1.1
    spectrum = np.abs(np.fft.rfft(samples[4800:38400]))
    assert abs(np.argmax(spectrum) * 48_000 / 33600 - 440) < 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", out.name]


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(2, 700), min_size=2, max_size=25), st.sampled_from([".mp4", ".mkv"]))
def test_uneven_times_are_carried(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("times")
    times = [0.0, *(np.cumsum(steps) / 1000).tolist()]
    images = [ramp(k) for k in range(len(times))]
    source = write_clip(
        folder / "in.mkv", images, times=times, codec="mjpeg", pixel_format="yuvj420p",
        stream={"time_base": Fraction(1, 1000)},
    )  # fmt: skip
    made_of(source, folder / f"out{suffix}")
    frames = seen(folder / f"out{suffix}")
    assert [number_in(image) for _, image in frames] == list(range(len(times)))
    found = np.array([at for at, _ in frames])
    np.testing.assert_allclose(found - found[0], times, atol=1.6e-3)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_become_videos(tmp_path: Path, suffix: str) -> None:
    first, *others = [Pillow.fromarray(ramp(k)) for k in range(8)]
    source = tmp_path / f"in{suffix}"
    first.save(source, save_all=True, append_images=others, duration=100, lossless=True)
    assert made_of(source, tmp_path / "out.mp4").ending is Ending.FINISHED
    frames = seen(tmp_path / "out.mp4")
    assert [number_in(image) for _, image in frames] == list(range(8))
    np.testing.assert_allclose([at for at, _ in frames], np.arange(8) / 10, atol=2e-3)


@pytest.mark.parametrize("size", [(65, 49), (64, 49), (65, 48)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    images = [ramp(k, size) for k in range(5)]
    source = write_clip(tmp_path / "in.mkv", images, pixel_format="yuv444p")
    assert made_of(source, tmp_path / f"out{suffix}").ending is Ending.FINISHED
    even = suffix == ".mp4"
    expected = tuple(side + (side & 1) * even for side in size)
    assert facts(tmp_path / f"out{suffix}")["size"] == expected
    assert [number_in(image) for _, image in seen(tmp_path / f"out{suffix}")] == list(range(5))


COLOURS = [
    {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1},
    {"colorspace": 6, "color_primaries": 6, "color_trc": 6, "color_range": 2},
    {"colorspace": 9, "color_primaries": 9, "color_trc": 14, "color_range": 1},
    {"colorspace": 1, "color_primaries": 12, "color_trc": 13, "color_range": 1},
]


@pytest.mark.parametrize("stored", COLOURS)
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_colours_and_aspect_are_carried(
    tmp_path: Path, stored: dict[str, int], suffix: str
) -> None:
    patch = np.full((48, 64, 3), (60, 90, 200), np.uint8)
    given_stream = {**stored, "sample_aspect_ratio": Fraction(4, 3)}
    source = write_clip(tmp_path / "in.mkv", [patch] * 4, stream=given_stream)
    out = tmp_path / f"out{suffix}"
    made_of(source, out)
    found = facts(out)
    square = suffix == ".webm"
    assert found["aspect"] == (1 if square else Fraction(4, 3))
    assert found["size"] == ((85, 48) if square else (64, 48))
    assert (found["matrix"], found["range"]) == (stored["colorspace"], stored["color_range"])
    if suffix == ".mp4":
        assert found["primaries"] == stored["color_primaries"]
        assert found["transfer"] == stored["color_trc"]
    before, after = (
        next(iter(open_source(path, 25.0, ReconnectOptions(), lambda s: False).read, None))
        for path in (source, out)
    )
    np.testing.assert_allclose(after[0].mean(axis=(0, 1)), before[0].mean(axis=(0, 1)), atol=1.5)


def test_a_turned_video_comes_out_upright(tmp_path: Path) -> None:
    stored = np.full((48, 64, 3), 60, np.uint8)
    stored[:16, :20] = 230
    clip = write_clip(
        tmp_path / "in.mp4", [stored] * 3, stream={"sample_aspect_ratio": Fraction(4, 3)}
    )
    made_of(turn(clip, (0, 1, -1, 0)), tmp_path / "out.mp4")
    assert facts(tmp_path / "out.mp4")["aspect"] == Fraction(3, 4)
    _, image = seen(tmp_path / "out.mp4")[0]
    np.testing.assert_allclose(image.astype(int), np.rot90(stored, -1), atol=14)


def result(number: int, timestamp: float, side: int = 64) -> StreamResult:
    return StreamResult(ramp(number, (side, side)), (), {}, number, timestamp)


def test_frames_of_a_camera_stand_at_their_times(tmp_path: Path) -> None:
    seconds = [0.0, 0.1, 0.5, 0.52, 0.7, 60.0]
    sink = VideoFileSink(tmp_path / "out.mp4")
    sink.open(SourceInfo("camera 0", True, 10.0))
    for number, at in enumerate(seconds):
        item = result(number, at, side=32 if number == 3 else 64)  # scaled to the first
        assert sink.write(item.image, item)
    sink.close(Ending.FINISHED)
    frames = seen(tmp_path / "out.mp4")
    assert [number_in(image) for _, image in frames] == list(range(6))
    np.testing.assert_allclose([at for at, _ in frames], seconds, atol=1e-3)


def test_codec_quality_and_pixel_format(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3)).astype(np.uint8)
    source = write_clip(tmp_path / "in.mkv", list(noise), codec="ffv1", pixel_format="bgr0")
    sizes = []
    for quality in (10, 40):
        options = VideoOptions("libx265", quality, "yuv444p", "ultrafast")
        made_of(source, tmp_path / "out.mp4", options)
        assert (facts(tmp_path / "out.mp4")["codec"], facts(tmp_path / "out.mp4")["pixels"]) == (
            "hevc",
            "yuv444p",
        )
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    assert sizes[1] < sizes[0] / 2


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no scheduling policies here")
def test_av1_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    """Its encoder turns the threads of root into real-time ones."""

    def policies() -> set[int]:
        return {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}

    before = policies()
    sink = VideoFileSink(tmp_path / "out.webm", VideoOptions("libsvtav1"))
    sink.open(SourceInfo("camera 0", True, 10.0))
    for number in range(3):
        item = result(number, number / 10)
        assert sink.write(item.image, item)
    assert policies() == before
    sink.close(Ending.FINISHED)
    assert policies() == before
    assert len(seen(tmp_path / "out.webm")) == 3


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("out.wmv", {}, "unknown video type '.wmv'; use one of .mp4"),
        ("missing/out.mp4", {}, "missing: no such folder"),
        ("out.mp4", {"codec": "zzzz"}, "codec: this FFmpeg has no encoder 'zzzz'; use for example"),
        ("out.mp4", {"codec": "aac"}, "pixel_format: aac cannot encode 'yuv420p'; expected one of"),
        ("out.mp4", {"pixel_format": "gray77"}, "pixel_format: libx264 cannot encode 'gray77'"),
        ("out.webm", {"codec": "libx264"}, "codec: webm files cannot hold libx264; use .mkv"),
    ],
)
def test_video_file_that_cannot_be(
    tmp_path: Path, path: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        VideoFileSink(tmp_path / path, VideoOptions(**options))


def test_options_that_the_encoder_refuses(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", RAMP)
    message = r"libx264 does not take frames of 64x48 pixels, yuv420p, with .*'preset': 'zzzz'"
    with pytest.raises(InvalidInputError, match=message):
        made_of(source, tmp_path / "out.mp4", VideoOptions(preset="zzzz"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.parametrize("name", ["12:30:15.mp4", "Wow ! me.mp4", "100%d.mp4", "ü.mkv"])
def test_names_of_results_are_names(tmp_path: Path, name: str) -> None:
    source = write_clip(tmp_path / "in.mkv", RAMP)
    assert made_of(source, tmp_path / name).ending is Ending.FINISHED
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mkv", name])


@pytest.mark.parametrize("link", ["same", "hard", "symbolic"])
def test_the_source_is_not_overwritten(tmp_path: Path, link: str) -> None:
    source = write_clip(tmp_path / "in.mp4", RAMP)
    before = source.read_bytes()
    out = tmp_path / "out.mp4"
    if link == "same":
        out = source
    elif link == "hard":
        os.link(source, out)
    else:
        out.symlink_to(source)
    with pytest.raises(InvalidInputError, match="would be overwritten by its own result"):
        made_of(source, out)
    assert source.read_bytes() == before


def test_a_source_that_fails_leaves_an_earlier_video(tmp_path: Path) -> None:
    out = write_clip(tmp_path / "out.mp4", RAMP)
    before = out.read_bytes()
    failing = ListSource(range(2), error=ValueError("broken"))
    stream = Stream(failing, process, StreamOptions(), sink=VideoFileSink(out))
    with pytest.raises(ValueError, match="broken"):
        stream.run()
    assert stream.ending is Ending.FAILED
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_an_app_that_fails_leaves_an_earlier_video(tmp_path: Path) -> None:
    out = write_clip(tmp_path / "out.mp4", RAMP)
    before = out.read_bytes()
    stream = Stream(ListSource(range(9)), process, StreamOptions(), sink=VideoFileSink(out))

    def fails() -> None:
        with stream:
            for item in stream:
                print(1 / (3 - item.index))

    with pytest.raises(ZeroDivisionError):
        fails()
    assert stream.ending is Ending.FAILED
    assert out.read_bytes() == before


def test_a_full_disk_leaves_a_playable_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    free = iter([1 << 30] * 6 + [1 << 20])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(next(free)))
    sink = VideoFileSink(tmp_path / "out.mp4")
    stream = Stream(ListSource(range(50)), process, StreamOptions(), sink=sink)
    statistics = stream.run()
    assert stream.ending is Ending.SINK_FULL
    assert "the disk is full (1 MiB free); the video so far, 6 frames, is kept" in stream.message
    assert statistics.frames == 6
    assert len(seen(tmp_path / "out.mp4")) == 6


SCRIPT = """
import os, resource, signal, sys
sys.path.insert(0, {here!r})
import numpy as np
from fakes import ListSource, process
from makeup_sdk.stream import SourceInfo, Stream, StreamOptions, VideoFileSink

limit, act, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # background jobs ignore some
    signal.signal(getattr(signal, name), signal.SIG_DFL)
for number in (signal.SIGHUP, signal.SIGINT):  # ignored where tests run in the background
    signal.signal(number, signal.SIG_DFL)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
noise = np.random.default_rng(0).integers(0, 255, (8, 240, 320, 3)).astype(np.uint8)

class Noise(ListSource):
    def read(self):
        read = super().read()
        return None if read is None else (noise[self.given % 8], read[1])

def watched(image, at):
    if at >= 20:
        for name in act.split("+"):
            if name != "none":
                os.kill(os.getpid(), getattr(signal, name))
    return process(image, at)

stream = Stream(Noise(range(60)), watched, StreamOptions(), sink=VideoFileSink(out))
stream.run()
print(stream.ending.name, stream.message)
"""


def in_a_process(out: Path, limit: int = 0, act: str = "none") -> subprocess.CompletedProcess[str]:
    """Write noise in a process of its own, under a limit of file sizes, or sending it signals."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(here=str(HERE)), str(limit), act, str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("limit", [1000, 100_000, 600_000])
def test_a_failed_write_is_no_success(tmp_path: Path, limit: int) -> None:
    """At the header, among the frames, or at the last."""
    out = write_clip(tmp_path / "out.mp4", RAMP)
    before = out.read_bytes()
    done = in_a_process(out, limit)
    assert done.stdout.startswith("SINK_FULL "), done.stderr
    assert (
        f"{out}: cannot be written (File too large); raise the limit on file sizes" in done.stdout
    )
    assert "nothing was left there" in done.stdout
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("act", ["SIGTERM", "SIGHUP", "SIGINT+SIGINT+SIGINT"])
def test_signals_end_a_video_whole(tmp_path: Path, act: str) -> None:
    done = in_a_process(tmp_path / "out.mp4", act=act)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("STOPPED ")
    assert 0 < len(seen(tmp_path / "out.mp4")) < 60
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_what_a_killed_process_left_is_cleaned_the_next_time(tmp_path: Path) -> None:
    out = write_clip(tmp_path / "out.mp4", RAMP)
    before = out.read_bytes()
    assert in_a_process(out, act="SIGKILL").returncode == -9
    assert out.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2
    source = write_clip(tmp_path / "in.mp4", RAMP)
    assert made_of(source, out).ending is Ending.FINISHED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
