"""Fixtures for all tests of streams."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for scenes.py and fakes.py, beside the tests


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """No test leaves a thread of a stream behind."""
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("makeup-")] == []
