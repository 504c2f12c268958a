"""A server in this process, for all tests of the web room."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from fastapi.testclient import TestClient

from makeup_sdk.web.app import create_app
from makeup_sdk.web.limits import Limits

DEMO = resources.files("makeup_sdk") / "assets" / "demo"


@pytest.fixture(scope="session")
def limits() -> Limits:
    return Limits(body_bytes=2 << 20, pixels=1_000_000, clients=2)


@pytest.fixture(scope="session")
def client(limits: Limits) -> TestClient:
    return TestClient(create_app(limits=limits, threads=1), base_url="http://localhost:8000")


@pytest.fixture(scope="session")
def photo() -> bytes:
    return (DEMO / "medium.jpg").read_bytes()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Server:
    """A server of its own process, as `makeup serve` starts it."""

    address: str
    process: "subprocess.Popen[str]"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    port = free_port()
    code = "from makeup_sdk.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1")
        url = f"http://127.0.0.1:{port}/"
        for _ in range(200):
            try:
                urllib.request.urlopen(url, timeout=5).read()
                break
            except urllib.error.URLError:
                assert process.poll() is None
                subprocess.run([sys.executable, "-c", ""], check=True)  # a moment's patience
        yield Server(url, process)
    finally:
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGTERM)  # it shuts down, then re-raises


@pytest.fixture(scope="session")
def address(server: Server) -> str:
    return server.address
