import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import ramp, seen, write_clip
from scenes import Actor, film, still

from makeup_sdk import write_image
from makeup_sdk.cli import main
from makeup_sdk.stream import Ending, Stream, video_file

RED = str(resources.files("makeup_sdk") / "assets" / "demo" / "red-classic.jpg")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run `makeup stream ARGUMENTS` in this process; returns the exit status."""
    monkeypatch.setattr(sys, "argv", ["makeup", "stream", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "240")
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six frames of a film, as images."""
    source = tmp_path / "frames"
    source.mkdir()
    for number, frame in enumerate(film([Actor("light.jpg", still())], 6, noise=2)):
        write_image(source / f"{number}.png", frame)
    return source


def test_folder_to_video(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.mp4"
    options = ("--look", RED, "--sink", out, "--fps", 12.5, "--region", "lips=0.8")
    assert run(monkeypatch, "--source", folder, *options) == 0
    capture = cv2.VideoCapture(str(out), cv2.CAP_FFMPEG)
    assert (capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)) == (12.5, 6)
    said = capsys.readouterr().out
    assert f"{out}: 6 frames" in said
    assert "0 dropped" in said
    assert "finished: the source came to its end" in said


def test_quiet_and_json(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ("--source", folder, "--look", RED, "--sink", tmp_path / "out.mp4")
    assert run(monkeypatch, *given, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run(monkeypatch, *given, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["frames"], told["ending"]) == (6, "finished")
    assert told["stages"]["process"]["p50"] > 0


def test_a_look_for_one_face(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    blue = tmp_path / "blue.look"
    monkeypatch.setattr(
        sys, "argv", ["makeup", "look", "colors", "--lips", "#2030c0", "-o", str(blue)]
    )
    with pytest.raises(SystemExit):
        main()
    for name, more in (("red", ()), ("blue", ("--wear", f"0={blue}"))):
        out = tmp_path / name
        assert (
            run(
                monkeypatch,
                "--source",
                folder,
                "--look",
                RED,
                "--sink",
                out,
                "--no-smoothing",
                *more,
            )
            == 0
        )
    red, blue_lips = (
        cv2.imread(str(tmp_path / name / "frame-000005.png")).astype(int)
        for name in ("red", "blue")
    )
    lips = (slice(225, 245), slice(310, 330))
    assert np.mean(blue_lips[lips][..., 0]) > np.mean(red[lips][..., 0]) + 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "none.mp4"), "none.mp4: no such file or folder"),
        (("--wear", "blue.look"), "--wear blue.look: expected ID=LOOK, for example 1=blue.look"),
        (("--policy", "some"), "policy: 'some' is unknown"),
        (("--sink", "out.gif"), "out.gif: unknown video type '.gif'"),
    ],
)
def test_errors(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, str],
    message: str,
) -> None:
    given = ("--source", folder, "--look", RED, "--sink", tmp_path / "out.mp4", *arguments)
    assert run(monkeypatch, *given) == 1
    assert message in capsys.readouterr().err


def test_a_full_disk_is_told(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(video_file.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    given = ("--source", folder, "--look", RED, "--sink", tmp_path / "out.mp4")
    assert run(monkeypatch, *given) == 1
    assert "sink_full" in (said := capsys.readouterr().out)
    assert "the disk is full" in said


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that is not ignored, as `nohup` and background jobs would have it."""
    before = signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    signal.signal(request.param, before)


def test_signals_end_cleanly(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    write, streams = Stream._write, []

    def interrupted(stream: Stream, result: object) -> bool:
        streams.append(stream)
        if len(streams) == 3:
            for _ in range(3):  # an impatient user
                os.kill(os.getpid(), number)
        return write(stream, result)  # type: ignore[arg-type]

    monkeypatch.setattr(Stream, "_write", interrupted)
    out = tmp_path / "out.mp4"
    before = signal.getsignal(number)
    assert run(monkeypatch, "--source", folder, "--look", RED, "--sink", out) == 0
    assert signal.getsignal(number) is before
    assert streams[0].ending is Ending.STOPPED
    assert "stopped" in capsys.readouterr().out
    assert 3 <= len(seen(out)) < 6


def test_the_end_of_a_damaged_video_has_another_exit_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(
        tmp_path / "in.avi", [ramp(k) for k in range(20)], codec="mjpeg", pixel_format="yuvj420p"
    )
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    out = tmp_path / "out.mp4"
    assert run(monkeypatch, "--source", clip, "--look", RED, "--sink", out) == 1
    said = capsys.readouterr().out
    assert "incomplete: " in said
    assert "frames could not be read; the other" in said
    assert 3 < len(seen(out)) < 20


def test_options_of_a_video(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.mkv"
    more = ("--codec", "libx265", "--quality", "30", "--pixel-format", "yuv444p")
    assert run(monkeypatch, "--source", folder, "--look", RED, "--sink", out, *more) == 0
    with av.open(str(out)) as made:
        context = made.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("hevc", "yuv444p")
    given = ("--source", folder, "--look", RED, "--sink", tmp_path / "frames", "--codec", "libx264")
    assert run(monkeypatch, *given) == 1
    assert "--no-sound are for video files" in capsys.readouterr().err
