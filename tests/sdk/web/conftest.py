"""Servers, in this process and in a separate one, and a browser, for the tests of the web app."""

import select
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from fastapi.testclient import TestClient

from makeup_sdk import read_image
from makeup_sdk.web.app import create_app
from makeup_sdk.web.limits import Limits

from .pages import CHROMIUM, DESKTOP

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
        for _ in range(1200):
            try:
                urllib.request.urlopen(url, timeout=5).read()
                break
            except urllib.error.URLError:
                assert process.poll() is None
                select.select([], [], [], 0.1)  # let it start
        yield Server(url, process)
    finally:
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGTERM)  # it shuts down, then re-raises


@pytest.fixture(scope="session")
def address(server: Server) -> str:
    return server.address


@pytest.fixture(scope="session")
def camera_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still face as Motion JPEG, which Chromium plays as its camera."""
    frame = np.full((480, 640, 3), 120, np.uint8)
    frame[:, 80:560] = cv2.resize(read_image(str(DEMO / "light.jpg")), (480, 480))
    jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    path.write_bytes(jpeg * 4)
    return path


@pytest.fixture(scope="module")  # its event loop must not outlive the browser's tests
def browser(camera_film: Path) -> Iterator[Any]:
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera_film}",
    ]
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page and waits for the first look; fails on any error in the console."""
    contexts, errors = [], []

    def opened(path: str = "", script: str = "", expected: str = "\0", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda m: errors.append(m.text) if m.type == "error" and expected not in m.text else 0,
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto(address + path)
        page.locator("#save:enabled").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(visit: Callable[..., Any]) -> Any:
    return visit()
