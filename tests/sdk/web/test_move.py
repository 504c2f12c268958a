"""Two server processes; the first one ends during a live session."""

import json
import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .conftest import free_port
from .test_live import parts

Image = NDArray[np.uint8]
FRAMES, MOVE = 30, 20
"""The server ends while it has frame MOVE."""
LOOK = {"look": {"gallery": "red-classic"}}


@dataclass
class Replica:
    """A server as `makeup serve` starts it, with the key of all replicas."""

    url: str
    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, key: str) -> "Replica":
        port = free_port()
        code = "from makeup_sdk.cli import main; main()"
        command = [sys.executable, "-c", code, "serve", "--port", str(port), "--threads", "1"]
        environment = {**os.environ, "MAKEUP_SESSION_KEY": key}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1")
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/looks", timeout=60).read()
                break
            except urllib.error.URLError:
                assert process.poll() is None
                select.select([], [], [], 0.1)  # let it start
        return cls(f"ws://127.0.0.1:{port}/v1/live", process)


@contextmanager
def replicas(*keys: str) -> Iterator[list[Replica]]:
    made: list[Replica] = []
    try:
        for key in keys:
            made.append(Replica.start(key))
        yield made
    finally:
        for one in made:
            one.process.kill()
            one.process.wait()


@dataclass
class Client:
    """What the page does: one frame at a time; a lost socket is opened at the next server, with the
    session of the last, and the frame that was not answered is sent again.
    """

    servers: list[Replica]
    session: str = ""
    errors: list[str] = field(default_factory=list)
    moves: int = 0
    sockets: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._socket = self._open()

    def _open(self) -> ClientConnection:
        self.sockets.close()
        server = self.servers.pop(0)
        socket = self.sockets.enter_context(connect(server.url, max_size=1 << 22, open_timeout=60))
        socket.send(json.dumps({**LOOK, "session": self.session}))
        return socket

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    def answer(self, data: bytes) -> tuple[dict, Image]:
        """The answer to a frame that was sent."""
        while True:
            try:
                message = self._socket.recv(120)
            except ConnectionClosed:
                self.moves += 1
                self._socket = self._open()
                self._socket.send(data)
                continue
            if isinstance(message, bytes):
                header, image = parts(message)
                self.session = header.get("session", self.session)
                return header, image
            self.errors.append(json.loads(message)["error"])


def film(photo: bytes) -> list[bytes]:
    """JPEGs of a head that moves, seen by a noisy sensor."""
    portrait = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    random = np.random.default_rng(5)
    frames = []
    for number in range(FRAMES):
        x, y = 12 * np.sin(number / 5), 6 * np.sin(number / 4)
        matrix = np.array([[1.0, 0, x], [0, 1, y]])
        seen = cv2.warpAffine(portrait, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
        noisy = seen + random.normal(0, 3, seen.shape)
        frames.append(cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8))[1].tobytes())
    return frames


def run(
    client: Client, frames: list[bytes], end: Callable[[], object] = lambda: None
) -> NDArray[np.int16]:
    """What makeup adds to each frame; `end` is called while the server has frame MOVE."""
    changes = []
    for number, data in enumerate(frames):
        client.send(data)
        if number == MOVE:
            end()
        _, image = client.answer(data)
        frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        changes.append(image.astype(np.int16) - frame)
    client.sockets.close()
    return np.stack(changes)


def sizes(difference: NDArray[np.int16]) -> NDArray[np.float64]:
    return np.array([np.abs(difference).mean(), np.percentile(np.abs(difference), 99.9)])


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_ends_costs_no_frame_and_makes_no_jump(
    photo: bytes, ending: signal.Signals
) -> None:
    frames = film(photo)
    with replicas("the same key for both", "the same key for both") as (first, second):
        control = run(Client([second]), frames)
        client = Client([first, second])
        moved = run(client, frames, lambda: first.process.send_signal(ending))
    assert (client.moves, client.errors, len(moved)) == (1, [], FRAMES)
    steps = np.array([sizes(control[k] - control[k - 1]) for k in range(8, FRAMES)])
    for k in range(MOVE, FRAMES):
        assert (sizes(moved[k] - control[k]) <= steps.max(axis=0)).all()
        assert (sizes(moved[k] - moved[k - 1]) <= 1.25 * steps.max(axis=0)).all()


def test_a_server_with_another_key_begins_anew(photo: bytes) -> None:
    frames = film(photo)[: MOVE + 2]
    with replicas("the key of one server", "the key of another") as (first, second):
        client = Client([first, second])
        moved = run(client, frames, first.process.kill)
    assert len(moved) == len(frames)
    assert client.errors == [
        "session: damaged, or sealed with another key or by another version; a new one begins"
    ]
    assert np.abs(moved[-1]).mean() > 0.5 * np.abs(moved[MOVE - 1]).mean()
