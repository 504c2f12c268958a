"""The examples as modules, and pictures and a clip to run them on."""

import importlib.util
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import read_image

EXAMPLES = Path(__file__).parents[2] / "examples"
_DEMO = resources.files("makeup_sdk") / "assets" / "demo"


@pytest.fixture
def example() -> Callable[[str], ModuleType]:
    """An example's program by `folder/file`, imported anew."""

    def load(path: str) -> ModuleType:
        name = f"example_{path.replace('/', '_')}"
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{path}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def demo() -> Callable[[str], str]:
    """The path of a demo picture by name."""
    return lambda name: str(_DEMO / f"{name}.jpg")


@pytest.fixture(scope="session")
def two_faces(demo: Callable[[str], str]) -> NDArray[np.uint8]:
    """Two demo faces side by side, uint8 (256, 510, 3): rows of no round number of bytes."""
    faces = [cv2.resize(read_image(demo(name)), (255, 256)) for name in ("light", "dark")]
    return np.hstack(faces)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, two_faces: NDArray[np.uint8]) -> Path:
    """A video of 20 equal frames at 10 fps."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    height, width = two_faces.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (width, height))
    assert writer.isOpened()
    for _ in range(20):
        writer.write(two_faces)
    writer.release()
    return path
