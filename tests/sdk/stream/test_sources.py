from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from fakes import frame, process
from numpy.typing import NDArray

from makeup_sdk import BackendUnavailableError, InvalidInputError, write_image
from makeup_sdk.stream import Ending, ReconnectOptions, SourceLostError, Stream, StreamOptions
from makeup_sdk.stream.sources import NetworkSource, Source, open_source

Image = NDArray[np.uint8]


def never(seconds: float) -> bool:
    raise AssertionError("nothing to wait for")


def opened(source: object, fps: float = 25.0) -> Source:
    return open_source(source, fps, ReconnectOptions(), never)


def read_all(source: Source) -> list[tuple[Image, float]]:
    frames = list(iter(source.read, None))
    source.close()
    return frames


def write_video(path: Path, count: int, fps: float) -> None:
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48)
    )
    for number in range(count):
        writer.write(np.full((48, 64, 3), 10 * number, np.uint8))
    writer.release()


def test_video_file(tmp_path: Path) -> None:
    write_video(tmp_path / "ramp.avi", 12, 29.97)
    source = opened(str(tmp_path / "ramp.avi"))
    assert source.info.path == tmp_path / "ramp.avi"
    assert source.info.frames == 12
    assert source.info.fps == pytest.approx(29.97, abs=1e-3)
    assert not source.info.live
    frames = read_all(source)
    assert [round(image.mean() / 10) for image, _ in frames] == list(range(12))
    np.testing.assert_allclose([at for _, at in frames], np.arange(12) / 29.97, atol=2e-3)


def test_the_clips_are_read_whole(faces_folder: Path) -> None:
    counts = {}
    for path in sorted((faces_folder / "video").glob("*.gif")):
        source = opened(path)
        expected = source.info.frames
        times = [at for _, at in read_all(source)]
        counts[path.name] = (len(times), expected)
        assert np.diff(times).min() > 0
    assert counts
    assert all(read == expected for read, expected in counts.values()), counts


def test_folder_counts_in_names_as_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1, 33):
        write_image(tmp_path / f"frame{number}.png", frame(number))
    (tmp_path / "notes.txt").write_text("no image")
    source = opened(tmp_path, fps=20)
    assert (source.info.frames, source.info.live) == (4, False)
    frames = read_all(source)
    assert [int(image[0, 0, 0]) for image, _ in frames] == [1, 2, 10, 33]
    assert [at for _, at in frames] == [0, 0.05, 0.1, 0.15]


def test_a_bad_picture_does_not_end_a_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        write_image(tmp_path / f"{number}.png", frame(number))
    (tmp_path / "1.png").write_bytes(b"damaged")
    (tmp_path / "._0.png").write_bytes(b"left by another system")
    source = opened(tmp_path, fps=10)
    frames = read_all(source)
    assert source.info.frames == 4
    assert [int(image[0, 0, 0]) for image, _ in frames] == [0, 2, 3]
    assert [at for _, at in frames] == [0, 0.2, 0.3]
    assert source.lost == 1
    assert "1.png: not an image that can be read" in caplog.text
    stream = Stream(opened(tmp_path), process, StreamOptions())
    stream.run()
    assert stream.ending is Ending.INCOMPLETE
    assert stream.message == f"{tmp_path}: 1 frame could not be read; the other 3 were"


def test_iterator_and_generator() -> None:
    left = []

    def frames() -> Iterator[Image]:
        try:
            for number in range(5):
                yield frame(number)
        finally:
            left.append(True)

    assert opened([frame(0), frame(1)]).info.frames == 2
    source = opened(frames(), fps=10)
    assert source.info.frames is None
    assert source.info.native_color
    assert source.read() is not None
    assert source.read()[1] == 0.1
    source.close()
    assert left == [True]


def test_bad_frames_are_named() -> None:
    source = opened([frame(0), frame(1)[..., 0]])
    source.read()
    with pytest.raises(InvalidInputError, match=r"frame 1: got shape \(4, 6\).*COLOR_GRAY2BGR"):
        source.read()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.mp4", "nowhere.mp4: no such file or folder; give a camera index"),
        (63, "camera 63: cannot be opened; check that it is there"),
        (frame(0), "source: got ndarray, expected a camera index"),
        (2.5, "source: got float"),
    ],
)
def test_what_cannot_be_opened(source: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        opened(source)


def test_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InvalidInputError, match="not a video that can be read"):
        opened(tmp_path / "text.mp4")


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no images in this folder"):
        opened(tmp_path)


def test_gstreamer_is_not_replaced_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GStreamer:   NO\n")
    with pytest.raises(BackendUnavailableError, match="without GStreamer; build OpenCV with"):
        opened("videotestsrc ! videoconvert ! appsink")


class FakeCapture:
    """Gives some frames, or cannot be opened at all (None)."""

    def __init__(self, frames: int | None) -> None:
        self._left = frames

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return self._left is not None

    def get(self, what: int) -> float:
        return 25.0

    def read(self) -> tuple[bool, Image | None]:
        if not self._left:
            return False, None
        self._left -= 1
        return True, frame(self._left)

    def release(self) -> None:
        pass


class FakeNetwork:
    """A server that gives these captures one after the other; records waits."""

    def __init__(self, *captures: int | None, closed_at: int = -1) -> None:
        self._captures = iter(captures)
        self._closed_at = closed_at
        self.waits: list[float] = []
        self.now = 100.0

    def source(self, **options: float) -> NetworkSource:
        return NetworkSource(
            "rtsp://me:secret@host/live",
            ReconnectOptions(**options),
            self._wait,
            lambda: self.now,
            lambda url, timeout: FakeCapture(next(self._captures)),
        )

    def _wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return len(self.waits) == self._closed_at


def test_a_lost_stream_is_opened_again_with_growing_waits() -> None:
    network = FakeNetwork(2, None, None, None, None, None, 0, 1, 1)
    source = network.source(attempts=8)
    times = [source.read()[1] for _ in range(3)]
    assert network.waits == [0.5, 1, 2, 4, 8, 8, 8]
    assert times == [100, 100, 131.5]
    assert source.reconnects == 1
    source.read()
    assert network.waits[7:] == [0.5]  # a success starts the waits anew
    assert source.reconnects == 2


def test_reconnecting_gives_up() -> None:
    network = FakeNetwork(1, None, None, None)
    source = network.source(attempts=3)
    source.read()
    with pytest.raises(SourceLostError, match=r"rtsp://me:\*\*\*@host/live: lost, and 3 attempts"):
        source.read()
    assert network.waits == [0.5, 1, 2]


def test_closing_ends_the_wait() -> None:
    network = FakeNetwork(1, None, None, closed_at=2)
    source = network.source()
    source.read()
    assert source.read() is None


def test_a_stream_that_is_not_there() -> None:
    with pytest.raises(InvalidInputError, match=r"me:\*\*\*@host/live: cannot be opened"):
        FakeNetwork(None).source()


class Server(ThreadingHTTPServer):
    """Serves a folder, and at /live an endless stream of JPEGs that breaks off after 5 frames."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.refuse = 0
        self.connections = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path != "/live":
            return super().do_GET()
        self.server.connections += 1
        if self.server.refuse > 0:
            self.server.refuse -= 1
            return self.send_error(503)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with suppress(OSError):  # the client went away
            for number in range(5):
                data = cv2.imencode(".jpg", np.full((48, 64, 3), 40 * number, np.uint8))[1]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                self.wfile.write(head.encode() + b"\r\n\r\n" + data.tobytes() + b"\r\n")
        return None

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_over_http_has_an_end(server: Server, tmp_path: Path) -> None:
    write_video(tmp_path / "ramp.avi", 12, 25)
    source = opened(server.url("ramp.avi"))
    assert (source.info.live, source.info.frames, source.info.path) == (False, 12, None)
    assert len(read_all(source)) == 12


def test_a_live_stream_over_http_is_opened_again(server: Server) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    source = open_source(server.url("live"), 25, ReconnectOptions(), wait)
    assert (source.info.live, source.info.frames) == (True, None)
    for _ in range(3):
        assert source.read() is not None
    server.refuse = 2
    levels = []
    while source.reconnects < 1:
        image, _ = source.read()
        levels.append(round(image.mean() / 40))
    source.close()
    assert waits == [0.5, 1, 2]
    assert levels == [3, 4, 0]


def test_an_unplugged_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera(FakeCapture):
        def __init__(self, index: int) -> None:
            super().__init__(2)

        def set(self, what: int, value: float) -> bool:
            return True

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    source = opened(0)
    assert (source.info.live, source.info.fps, source.info.frames) == (True, 25.0, None)
    first, second = source.read(), source.read()
    assert first is not None
    assert second is not None
    assert second[1] >= first[1]
    with pytest.raises(SourceLostError, match="camera 0: gives no more frames; was it unplugged"):
        source.read()
