"""The window's logic without a display, and the window itself where there is one or Xvfb."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tkinter", reason="this Python has no Tk")

import tkinter

from makeup_sdk import Look

Example = Callable[[str], ModuleType]


@pytest.fixture
def looks() -> list[Look]:
    colors = {"red": "#c01020", "plum": "#5b2145"}
    return [Look.from_colors(lips=color, title=title) for title, color in colors.items()]


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The display there is, or a virtual one; skips where there is neither."""
    if os.environ.get("DISPLAY"):
        yield
        return
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("no display and no Xvfb")
    read, write = os.pipe()
    command = [server, "-displayfd", str(write), "-screen", "0", "800x800x24"]
    process = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as answer:
            number = answer.readline().strip()  # the server says when it is ready
        if not number:
            pytest.skip("Xvfb does not start here")
        monkeypatch.setenv("DISPLAY", f":{number}")
        yield
    finally:
        process.terminate()
        process.wait()


def test_mirror_keeps_the_newest_picture(example: Example, clip: Path, looks: list[Look]) -> None:
    mirror = example("tk_window/tk_window").Mirror(str(clip), looks)
    assert mirror.take() is None
    mirror.stream.run()
    newest = mirror.take()
    assert newest.index == 19
    assert len(newest.faces) == 2
    assert mirror.take() is None


def test_mirror_changes_its_look(example: Example, clip: Path, looks: list[Look]) -> None:
    mirror = example("tk_window/tk_window").Mirror(str(clip), looks)
    mirror.wear(1)
    assert mirror.engine.look is looks[1]
    mirror.start()
    mirror.close()


def test_pixmap_is_what_tk_reads(example: Example, two_faces: NDArray[np.uint8]) -> None:
    data = example("tk_window/tk_window").portable_pixmap(two_faces)
    assert data.startswith(b"P6\n510 256\n255\n")
    pixels = np.frombuffer(data[-two_faces.size :], np.uint8).reshape(two_faces.shape)
    np.testing.assert_array_equal(pixels[..., ::-1], two_faces)


@pytest.mark.usefixtures("display")
def test_window(example: Example, clip: Path, looks: list[Look]) -> None:
    window = example("tk_window/tk_window")
    mirror = window.Mirror(str(clip), looks)
    root = tkinter.Tk()
    shown = window.Window(root, mirror)
    mirror.start()
    mirror._thread.join()
    shown.refresh()
    root.update()
    assert (shown._photo.width(), shown._photo.height()) == (510, 256)

    shown._looks.selection_clear(0)
    shown._looks.selection_set(1)
    shown._looks.event_generate("<<ListboxSelect>>")
    root.update()
    assert mirror.engine.look is looks[1]

    shown._set_strength("40")
    assert set(mirror.engine.strength.values()) == {0.4}
    shown.close()
