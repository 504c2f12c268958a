import errno
import logging
import shutil
import sys
from collections import namedtuple
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fakes import ListSource, frame, process
from numpy.typing import NDArray

from makeup_sdk import BackendUnavailableError, InvalidInputError, read_image
from makeup_sdk.stream import (
    CallbackSink,
    Ending,
    FolderSink,
    SinkFullError,
    SourceInfo,
    Stream,
    StreamOptions,
    StreamResult,
    VideoFileSink,
    VirtualCameraSink,
    WindowSink,
    sinks,
    video_file,
)
from makeup_sdk.stream.sinks import make_sink

Image = NDArray[np.uint8]
FILE = SourceInfo("a.avi", False, 29.97, 10)


def result(number: int, timestamp: float | None = None, side: int = 64) -> StreamResult:
    image = np.full((side, side, 3), 20 * number, np.uint8)
    return StreamResult(image, (), {}, number, number / 29.97 if timestamp is None else timestamp)


def write(sink: VideoFileSink, source: SourceInfo, results: list[StreamResult]) -> None:
    sink.open(source)
    try:
        for item in results:
            assert sink.write(item.image, item)
    finally:
        sink.close()


def read(path: Path) -> tuple[list[Image], float]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1])
    capture.release()
    return frames, fps


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".webm"])
def test_video_file(tmp_path: Path, suffix: str) -> None:
    write(VideoFileSink(tmp_path / f"out{suffix}"), FILE, [result(k) for k in range(10)])
    frames, fps = read(tmp_path / f"out{suffix}")
    np.testing.assert_allclose([image.mean() for image in frames], 20 * np.arange(10), atol=6)
    assert fps == pytest.approx(29.97, abs=0.05)


def test_dropped_frames_of_a_camera_are_filled(tmp_path: Path) -> None:
    """The file plays at the pace of the camera; one long pause is cut short."""
    camera = SourceInfo("camera 0", True, 10.0)
    seconds = [0.0, 0.1, 0.5, 0.52, 0.7, 60.0]
    write(
        VideoFileSink(tmp_path / "out.avi"),
        camera,
        [result(k, at) for k, at in enumerate(seconds)],
    )
    frames, _ = read(tmp_path / "out.avi")
    numbers = [round(image.mean() / 20) for image in frames]
    assert numbers[:8] == [0, 1, 2, 2, 2, 2, 3, 4]
    assert numbers[8:] == [5] * 50


def test_dropped_frames_of_a_file_are_filled(tmp_path: Path) -> None:
    write(VideoFileSink(tmp_path / "out.avi"), FILE, [result(k) for k in (0, 1, 4, 5)])
    frames, _ = read(tmp_path / "out.avi")
    assert [round(image.mean() / 20) for image in frames] == [0, 1, 4, 4, 4, 5]


def test_frames_of_another_size_are_scaled(tmp_path: Path) -> None:
    write(VideoFileSink(tmp_path / "out.avi"), FILE, [result(0), result(1, side=32), result(2)])
    frames, _ = read(tmp_path / "out.avi")
    assert [image.shape for image in frames] == [(64, 64, 3)] * 3


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
    assert len(read(tmp_path / "out.mp4")[0]) == 6


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("out.wmv", {}, "unknown video type '.wmv'; use one of .mp4"),
        ("missing/out.mp4", {}, "missing: no such folder"),
    ],
)
def test_video_file_that_cannot_be(
    tmp_path: Path, path: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        VideoFileSink(tmp_path / path, **options)


def test_codec_that_opencv_has_not(tmp_path: Path) -> None:
    sink = VideoFileSink(tmp_path / "out.mp4", codec="zzzz")
    with pytest.raises(InvalidInputError, match="OpenCV cannot write codec 'zzzz'"):
        write(sink, FILE, [result(0)])


def test_the_source_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "in.avi"
    write(VideoFileSink(path), FILE, [result(0)])
    before = path.read_bytes()
    source = SourceInfo(str(path), False, 25.0, 1, path)
    with pytest.raises(InvalidInputError, match="would be overwritten by its own result"):
        VideoFileSink(path).open(source)
    assert path.read_bytes() == before


def test_without_pyav_the_loss_of_sound_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    source = SourceInfo("in.mp4", False, 25.0, 1, tmp_path / "in.mp4")
    with caplog.at_level(logging.WARNING):
        write(VideoFileSink(tmp_path / "out.avi"), source, [result(k) for k in range(3)])
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{tmp_path / 'out.avi'}: without PyAV the sound of the source, if it has any, is not "
        "kept; run: pip install '.[video]'"
    )
    caplog.clear()
    write(VideoFileSink(tmp_path / "silent.avi", audio=False), source, [result(0)])
    assert not caplog.records
    with pytest.raises(BackendUnavailableError, match=r"needs PyAV.*\.\[video\]"):
        VideoFileSink(tmp_path / "out.avi", audio=True)


@pytest.mark.parametrize("frames", [20, 10])
def test_sound_is_kept_as_long_as_the_picture(tmp_path: Path, frames: int) -> None:
    av = pytest.importorskip("av", reason="needs the extra: video")
    tone = (8000 * np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000)).astype(np.int16)
    with av.open(str(tmp_path / "in.mp4"), "w") as out:
        video = out.add_stream("mpeg4", rate=Fraction(20))
        video.width = video.height = 64
        audio = out.add_stream("aac", rate=48000)
        for number in range(20):
            picture = av.VideoFrame.from_ndarray(result(number % 10).image, "bgr24")
            out.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
        sound.sample_rate = 48000
        out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    source = SourceInfo("in", False, 20.0, 20, tmp_path / "in.mp4")
    sink = VideoFileSink(tmp_path / "out.mp4", audio=True)
    write(sink, source, [result(number % 10) for number in range(frames)])
    with av.open(str(tmp_path / "out.mp4")) as made:
        heard = np.concatenate([f.to_ndarray()[0] for f in made.decode(audio=0)])
    assert frames / 20 - 0.1 < len(heard) / 48000 < frames / 20 + 0.2
    spectrum = np.abs(np.fft.rfft(heard[4800:19200]))
    assert abs(np.argmax(spectrum) * 48000 / 14400 - 440) < 5
    assert len(read(tmp_path / "out.mp4")[0]) == frames
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_sound_that_cannot_be_copied_leaves_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*arguments: object) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(sys.modules, "av", SimpleNamespace(FFmpegError=ValueError))
    monkeypatch.setattr(video_file, "_mux", fails)
    source = SourceInfo("in", False, 20.0, 20, tmp_path / "in.mp4")
    write(VideoFileSink(tmp_path / "out.mp4"), source, [result(k) for k in range(5)])
    assert "the sound could not be kept" in caplog.text
    assert len(read(tmp_path / "out.mp4")[0]) == 5


def test_folder(tmp_path: Path) -> None:
    sink = make_sink(tmp_path / "frames")
    Stream(ListSource(range(3)), process, StreamOptions(), sink=sink).run()
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["frame-000000.png", "frame-000001.png", "frame-000002.png"]
    np.testing.assert_array_equal(read_image(tmp_path / "frames" / names[2]), frame(2))


def test_folder_is_not_its_own_source(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path)
    with pytest.raises(InvalidInputError, match="among the source's images; choose another"):
        sink.open(SourceInfo(str(tmp_path), False, 30.0, 3))


def test_folder_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, image: Image) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sinks, "write_image", full)
    sink = FolderSink(tmp_path)
    sink.open(FILE)
    with pytest.raises(SinkFullError, match="No space left on device"):
        sink.write(frame(0), result(0))


def test_callback_ends_the_stream() -> None:
    seen: list[int] = []

    def callback(item: StreamResult) -> bool | None:
        seen.append(item.index)
        return False if item.index == 4 else None

    sink = make_sink(callback)
    assert isinstance(sink, CallbackSink)
    stream = Stream(ListSource(range(50)), process, StreamOptions(), sink=sink)
    stream.run()
    assert seen == [0, 1, 2, 3, 4]
    assert stream.ending is Ending.STOPPED


def test_window_needs_an_opencv_with_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:       NONE\n")
    with pytest.raises(BackendUnavailableError, match=r"pip install opencv-python$"):
        make_sink("window")


def test_window(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter([-1, -1, ord("q")])
    shown: list[str] = []
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:       GTK3\n")
    monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(title))
    monkeypatch.setattr(cv2, "waitKey", lambda wait: next(keys))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, what: 1.0)
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: shown.append("closed"))
    stream = Stream(ListSource(range(50)), process, StreamOptions(), sink=WindowSink("mirror"))
    stream.run()
    assert shown == ["mirror", "mirror", "mirror", "closed"]
    assert stream.ending is Ending.STOPPED


def test_virtual_camera_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(BackendUnavailableError, match=r"pip install '\.\[camera\]'"):
        make_sink("camera")


class FakeCamera:
    made: "FakeCamera"

    def __init__(
        self, width: int, height: int, fps: float, *, fmt: str, device: str | None
    ) -> None:
        if device == "/dev/none":
            raise RuntimeError("v4l2loopback is not loaded")
        self.width, self.height, self.fps, self.device = width, height, fps, device
        self.sent: list[Image] = []
        self.closed = False
        FakeCamera.made = self

    def send(self, image: Image) -> None:
        self.sent.append(image)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def _pyvirtualcam(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(Camera=FakeCamera, PixelFormat=SimpleNamespace(BGR="bgr"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", library)


@pytest.mark.usefixtures("_pyvirtualcam")
def test_virtual_camera() -> None:
    sink = make_sink("camera:/dev/video9")
    Stream(ListSource(range(3)), process, StreamOptions(), sink=sink).run()
    camera = FakeCamera.made
    assert (camera.width, camera.height, camera.fps, camera.device) == (6, 4, 10.0, "/dev/video9")
    np.testing.assert_array_equal(camera.sent, [frame(k) for k in range(3)])
    assert camera.closed


@pytest.mark.usefixtures("_pyvirtualcam")
def test_virtual_camera_without_a_device() -> None:
    sink = VirtualCameraSink("/dev/none")
    sink.open(FILE)
    with pytest.raises(BackendUnavailableError, match="not loaded; on Linux run: sudo modprobe"):
        sink.write(frame(0), result(0))


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ("out.gif", "unknown video type '.gif'; use one of .mp4"),
        (3, "sink: got int, expected a path, 'window'"),
    ],
)
def test_no_such_sink(sink: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make_sink(sink)
