"""The shipped demo faces, and one engine for all tests."""

import json
from collections.abc import Callable
from importlib import resources

import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import Look, MakeupEngine
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_sdk.images import read_image

Image = NDArray[np.uint8]

_DEMO = resources.files("makeup_sdk") / "assets" / "demo"
LISTING = {
    entry["file"]: entry
    for entry in json.loads((_DEMO / "demo.json").read_text(encoding="utf-8"))["pictures"]
}


def demo_path(file: str) -> str:
    return str(_DEMO / file)


@pytest.fixture(scope="session")
def demo() -> Callable[[str], Image]:
    """A demo picture by file name, read-only."""

    def read(file: str) -> Image:
        image = read_image(demo_path(file))
        image.setflags(write=False)
        return image

    return read


@pytest.fixture(scope="session")
def analyzer() -> BundledFaceAnalyzer:
    return BundledFaceAnalyzer(threads=2)


@pytest.fixture(scope="session")
def analysis(
    demo: Callable[[str], Image], analyzer: BundledFaceAnalyzer
) -> Callable[[str], FaceAnalysis]:
    """The analysis of a demo picture by file name."""

    def analyze(file: str) -> FaceAnalysis:
        frame = demo(file)
        return analyzer.analyze(frame, analyzer.detect(frame, 1)[0])

    return analyze


@pytest.fixture(scope="session")
def look() -> Look:
    return Look.from_photo(demo_path("red-classic.jpg"), model="mobile")


@pytest.fixture(scope="session")
def engine(look: Look, analyzer: BundledFaceAnalyzer) -> MakeupEngine:
    """Wears the red look; tests that change its settings make their own."""
    return MakeupEngine(look, model="mobile", analyzer=analyzer)
