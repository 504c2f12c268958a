"""Fixtures that tests of several rooms share."""

import os
from pathlib import Path

import pytest

_DEFAULT_FACES = Path(__file__).parents[2] / "shared" / "faces"


@pytest.fixture(scope="session")
def faces_folder() -> Path:
    """The folder of face data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MAKEUP_FACES", _DEFAULT_FACES))
    if not (folder / "val" / "labels.json").is_file():
        pytest.skip(f"no face data in {folder}; set MAKEUP_FACES to its folder")
    return folder
