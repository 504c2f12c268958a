"""README's commands and code run in order on a fresh installation.

Uses the installation that runs the tests, or the environment whose `bin` folder
`MAKEUP_NEWCOMER_BIN` names, such as one with only the wheel.
"""

import os
import re
import select
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import pytest

import makeup_sdk
from makeup_sdk import read_image

DEMO = resources.files("makeup_sdk") / "assets" / "demo"
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BIN = Path(os.environ.get("MAKEUP_NEWCOMER_BIN") or Path(sys.executable).parent)
COMMANDS = [
    line.partition(" #")[0].strip()
    for line in re.findall(r"^    (makeup .*)$", README, re.MULTILINE)
    if not line.startswith("makeup serve")
]
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def is_under_test() -> bool:
    """Whether the environment holds the package that is tested, and not another one."""
    if "MAKEUP_NEWCOMER_BIN" in os.environ:
        return True
    code = "import makeup_sdk; print(makeup_sdk.__file__)"
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BIN, env=kept, capture_output=True, text=True, check=False
    )
    return (BIN / "makeup").is_file() and done.stdout.strip() == makeup_sdk.__file__


pytestmark = pytest.mark.skipif(
    not is_under_test(), reason="the package under test is not installed; pip install it"
)


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the newcomer's environment, outside the repository."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment = {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An own photo, a reference and a film, as README names them."""
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copy(str(DEMO / "medium.jpg"), folder / "photo.jpg")
    shutil.copy(str(DEMO / "red-classic.jpg"), folder / "reference.jpg")
    face = cv2.resize(read_image(folder / "photo.jpg"), (320, 320))
    film = cv2.VideoWriter(
        str(folder / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (320, 320)
    )
    for _ in range(5):
        film.write(face)
    film.release()
    return folder


def test_commands(folder: Path) -> None:
    assert len(COMMANDS) >= 5
    for command in COMMANDS:
        done = run(folder, "bash", "-c", command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    bare = read_image(folder / "photo.jpg")
    for made in ("photo-makeup.jpg", "out.jpg"):
        assert (read_image(folder / made) != bare).any()
    assert (folder / "red.look").stat().st_size > 1000
    assert cv2.VideoCapture(str(folder / "made-up.mp4")).read()[0]


def test_snippets(folder: Path) -> None:
    assert SNIPPETS
    first = "import makeup_sdk\nframe = makeup_sdk.read_image('photo.jpg')\n"
    (folder / "readme.py").write_text(first + "\n".join(SNIPPETS), encoding="utf-8")
    for made in ("out.jpg", "made-up.mp4"):
        (folder / made).unlink(missing_ok=True)
    done = run(folder, str(BIN / "python"), "readme.py")
    assert done.returncode == 0, done.stderr
    assert (read_image(folder / "out.jpg") != read_image(folder / "photo.jpg")).any()
    assert cv2.VideoCapture(str(folder / "made-up.mp4")).read()[0]


@pytest.fixture
def page(folder: Path) -> Iterator[str]:
    """The address of `makeup serve`; skips where its packages are not installed."""
    if run(folder, str(BIN / "python"), "-c", "import fastapi, uvicorn").returncode:
        done = run(folder, "makeup", "serve")
        assert done.returncode == 1
        assert "pip install '.[serve]'" in done.stderr
        pytest.skip("the extra `serve` is not installed, and the message says so")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(BIN / "makeup"), "serve", "--port", str(port)]
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    server = subprocess.Popen(command, cwd=folder, env=kept, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(20)


def test_page(page: str, folder: Path) -> None:
    for _ in range(1200):
        try:
            text = urllib.request.urlopen(page, timeout=10).read().decode()
            break
        except urllib.error.URLError:
            select.select([], [], [], 0.1)  # let it start
    assert "<title>Makeup try-on</title>" in text
