"""The short form of the soak test, and that it can fail."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soak


def test_three_hundred_frames():
    """In a process of its own, whose memory and threads no other test touches."""
    command = [sys.executable, str(Path(soak.__file__)), "--frames", "300", "--warm-up", "150"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "300 frames at " in done.stdout
    assert "0 frames lost, in order, 0 threads and 0 descriptors left" in done.stdout


@pytest.fixture(autouse=True)
def _two_frames(monkeypatch):
    frames = [np.full((90, 160, 3), level, np.uint8) for level in (60, 200)]
    monkeypatch.setattr(soak, "clip", lambda: frames)


def run(*arguments: str) -> None:
    soak.main([*arguments, "--threads", "1"])


@pytest.mark.parametrize(("growth", "status"), [(4.9, 0), (5.1, 1)])
def test_growth_decides(growth, status, monkeypatch):
    readings = iter([100.0, 100.0, 100.0 + growth])  # the first frame, the warm-up, the end
    monkeypatch.setattr(soak, "resident_mb", lambda: next(readings))
    if status:
        with pytest.raises(SystemExit):
            run("--frames", "4", "--warm-up", "2")
    else:
        run("--frames", "4", "--warm-up", "2")


def test_what_is_left_decides(monkeypatch):
    counts = iter([7, 8])
    monkeypatch.setattr(soak, "descriptors", lambda: next(counts))
    monkeypatch.setattr(soak, "resident_mb", lambda: 100.0)
    with pytest.raises(SystemExit):
        run("--frames", "4", "--warm-up", "2")


def test_a_run_without_an_end_of_the_warm_up_proves_nothing():
    with pytest.raises(SystemExit):
        run("--minutes", "0.001", "--warm-up", "100000")
