"""The try-on app in two worker processes: a session goes on when its own one is killed."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("uvicorn", reason="needs the serve extra")
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")

FOLDER = Path(__file__).parents[2] / "examples" / "live_replicas"
RED = {"colors": {"lips": "#b3123a"}}


@pytest.fixture
def service() -> Iterator[tuple[int, str]]:
    """Process id of an app with two workers, and the address of its socket."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "try_on:app", "--workers", "2", "--port", str(port)],
        cwd=FOLDER,
        env={**os.environ, "MAKEUP_SESSION_KEY": "shared by both workers"},
        start_new_session=True,
    )
    try:
        yield process.pid, f"ws://127.0.0.1:{port}/v1/live"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def workers(pid: int) -> list[int]:
    """The processes below one that import the app: not its resource tracker."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def header(message: str | bytes) -> dict:
    assert isinstance(message, bytes), message
    return json.loads(message[4 : 4 + int.from_bytes(message[:4], "big")])


def ask(address: str, session: str, frame: bytes, kill: Callable[[], None]) -> str:
    """Bring a session, have a frame answered, and kill the workers; gives the next session."""
    for _ in range(480):
        try:
            with connect(address, max_size=1 << 22, open_timeout=60) as live:
                live.send(json.dumps({**RED, "session": session}))
                live.send(frame)
                told = header(live.recv(120))
                assert [face["painted"] for face in told["faces"]] == [True]
                kill()
                with pytest.raises(ConnectionClosed):
                    live.recv(60)
                return str(told["session"])
        except OSError:
            select.select([], [], [], 0.25)  # let it start
    raise AssertionError(f"{address} does not answer")


def test_a_session_goes_on_in_another_worker(
    service: tuple[int, str], demo: Callable[[str], str]
) -> None:
    pid, address = service
    photo = Path(demo("medium")).read_bytes()

    def kill() -> None:
        for worker in workers(pid):
            os.kill(worker, signal.SIGKILL)

    session = ask(address, "", photo, kill)
    assert ask(address, session, photo, kill) != session
