import errno
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fakes import ListSource, frame, process
from numpy.typing import NDArray

from makeup_kernels import files
from makeup_sdk import BackendUnavailableError, InvalidInputError, OutputError, read_image
from makeup_sdk.stream import (
    CallbackSink,
    Ending,
    FolderSink,
    SinkFullError,
    SourceInfo,
    Stream,
    StreamOptions,
    StreamResult,
    VirtualCameraSink,
    WindowSink,
)
from makeup_sdk.stream.sinks import make_sink

Image = NDArray[np.uint8]
FILE = SourceInfo("a.avi", False, 29.97, 10)


def result(number: int, timestamp: float | None = None, side: int = 64) -> StreamResult:
    image = np.full((side, side, 3), 20 * number, np.uint8)
    return StreamResult(image, (), {}, number, number / 29.97 if timestamp is None else timestamp)


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
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_synced", full)
    sink = FolderSink(tmp_path)
    sink.open(FILE)
    with pytest.raises(SinkFullError, match=r"No space left on device.*; free some space"):
        sink.write(frame(0), result(0))


@pytest.mark.parametrize("name", ["out.mp4", "frames", ""])
def test_places_without_permission_are_refused_at_once(closed_folder: Path, name: str) -> None:
    source = ListSource(range(3))
    stream = Stream(source, process, StreamOptions(), sink=make_sink(closed_folder / name))
    with pytest.raises(OutputError, match=r"Permission denied.*; change the permissions there"):
        stream.run()
    assert stream.ending is Ending.FAILED
    assert source.given == 0
    assert list(closed_folder.iterdir()) == []


def test_permission_lost_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(old: Path, new: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    stream = Stream(
        ListSource(range(3)), process, StreamOptions(), sink=make_sink(tmp_path / "out.mp4")
    )
    monkeypatch.setattr("os.replace", closed)
    stream.run()
    assert stream.ending is Ending.SINK_FULL
    assert stream.message == (
        f"{tmp_path / 'out.mp4'}: cannot be written (Permission denied); change the permissions "
        "there, or choose another place; nothing was left there"
    )
    assert list(tmp_path.iterdir()) == []


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
