"""The examples on Ray Serve: answers are the engine's bytes, and a live session moves."""

import json
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
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from makeup_sdk import Look, MakeupEngine, read_image

pytest.importorskip("ray.serve", reason="needs ray[serve]")
pytest.importorskip("fastapi", reason="needs the serve extra")
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")

EXAMPLES = Path(__file__).parents[2] / "examples"
RED = {"colors": {"lips": "#b3123a"}}
FRAMES = 600

_SERVE = """
import sys
import ray
from ray import serve
photos, live, looks, port = sys.argv[1:]
sys.path[:0] = [photos, live]
ray.init("local", num_cpus=3, include_dashboard=False, object_store_memory=80 << 20,
         log_to_driver=False, logging_level="ERROR")
serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
from on_ray import replicas
from serve_app import TryOn
serve.run(TryOn.bind(looks), name="photos", route_prefix="/photos")
serve.run(replicas("shared by all replicas"), name="live", route_prefix="/")
print("up", flush=True)
sys.stdin.readline()
serve.shutdown()
ray.shutdown()
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Process id of a Ray cluster that serves both examples, and the port."""
    looks = tmp_path_factory.mktemp("looks")
    Look.from_colors(lips="#b3123a").save(looks / "red.look")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    folders = str(EXAMPLES / "ray_serve"), str(EXAMPLES / "live_replicas")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, *folders, str(looks), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 600)
        assert ready
        assert process.stdout.readline() == b"up\n"
        yield process.pid, port
    finally:
        process.communicate(b"\n", timeout=120)
        assert process.returncode == 0


def test_answers_are_the_engines(service: tuple[int, int], demo: Callable[[str], str]) -> None:
    photo = Path(demo("medium")).read_bytes()
    address = f"http://127.0.0.1:{service[1]}/photos"
    with urllib.request.urlopen(f"{address}/looks", timeout=60) as answer:
        assert answer.read() == b'["red"]'
    with urllib.request.urlopen(f"{address}/try-on?look=red", photo, timeout=60) as answer:
        assert answer.headers["x-faces"] == "1"
        made = answer.read()
    engine = MakeupEngine(Look.from_colors(lips="#b3123a"))
    expected = cv2.imencode(".jpg", engine.process(read_image(demo("medium"))))[1].tobytes()
    assert made == expected


def test_a_session_goes_on_in_another_replica(
    service: tuple[int, int], demo: Callable[[str], str]
) -> None:
    pid, port = service
    photo = Path(demo("medium")).read_bytes()
    before = replicas(pid)
    assert len(before) == 2
    with live(port, "") as client:
        told = [header(client, photo)]
        busy = at_work(pid, before, lambda: told.append(header(client, photo)))
        session = [each["session"] for each in told if "session" in each][-1]
        track = told[0]["faces"][0]["id"]
        os.kill(busy, signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            client.recv(120)
    with live(port, session) as client:
        moved = header(client, photo)
        assert [(face["id"], face["painted"]) for face in moved["faces"]] == [(track, True)]
        assert moved["session"] != session


def live(port: int, session: str) -> ClientConnection:
    """A socket of a client that brings a session."""
    client = connect(f"ws://127.0.0.1:{port}/v1/live", max_size=1 << 22, open_timeout=120)
    client.send(json.dumps({**RED, "session": session}))
    return client


def header(client: ClientConnection, frame: bytes) -> dict:
    """What is told of the next frame."""
    client.send(frame)
    message = client.recv(120)
    assert isinstance(message, bytes), message
    return json.loads(message[4 : 4 + int.from_bytes(message[:4], "big")])


def at_work(pid: int, before: dict[int, int], ask: Callable[[], object]) -> int:
    """The replica that answers: the one that uses a second of CPU more than the other."""
    for _ in range(FRAMES):
        ask()
        now = replicas(pid)
        least, most = sorted(before, key=lambda each: now[each] - before[each])
        if now[most] - before[most] > now[least] - before[least] + os.sysconf("SC_CLK_TCK"):
            return most
    raise AssertionError(f"no replica worked on {FRAMES} frames: {before}, {replicas(pid)}")


def replicas(pid: int) -> dict[int, int]:
    """CPU ticks of the live app's replicas below a process."""
    facts = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            facts[int(entry.name)] = int(fields[1]), command, int(fields[11]) + int(fields[12])

    def ours(each: int) -> bool:
        while each in facts and each != pid:
            each = facts[each][0]
        return each == pid

    return {
        each: ticks
        for each, (_, command, ticks) in facts.items()
        if command.startswith(b"ray::ServeReplica:live:Live") and ours(each)
    }
