"""The example service with several worker processes: one that is killed is replaced."""

import os
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

from makeup_sdk import Look, MakeupEngine, read_image

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("uvicorn", reason="needs the serve extra")
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")

FOLDER = Path(__file__).parents[2] / "examples" / "fastapi_service"
RED = Look.from_colors(lips="#b3123a")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """Process id of a service with two workers, and its address."""
    RED.save(tmp_path / "red.look")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    options = ["--workers", "2", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "service:app", *options],
        cwd=FOLDER,
        env={**os.environ, "LOOKS": str(tmp_path)},
        start_new_session=True,
    )
    try:
        yield process.pid, f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ask(address: str, data: bytes | None = None) -> bytes:
    """An answer; asked again while nobody listens, or when the one who did has just died."""
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, data, timeout=60) as answer:
                return bytes(answer.read())
        except (OSError, EOFError):
            select.select([], [], [], 0.25)  # let it start
    raise AssertionError(f"{address} does not answer")


def workers(pid: int) -> set[int]:
    """The processes below one that import the service: not its resource tracker."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    }


def test_a_worker_that_is_killed_is_replaced(
    service: tuple[int, str], demo: Callable[[str], str]
) -> None:
    pid, address = service
    assert ask(f"{address}/looks") == b'["red"]'
    photo = Path(demo("medium")).read_bytes()
    made = MakeupEngine(RED).process(read_image(demo("medium")))
    expected = cv2.imencode(".jpg", made)[1].tobytes()
    assert ask(f"{address}/try-on?look=red", photo) == expected
    before = workers(pid)
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    for _ in range(240):
        now = workers(pid)
        if len(now) == 2 and min(before) not in now:
            break
        select.select([], [], [], 0.25)
    assert len(workers(pid) - before) == 1
    for _ in range(4):
        assert ask(f"{address}/try-on?look=red", photo) == expected
