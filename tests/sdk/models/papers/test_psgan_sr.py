"""Small faces gain only the detail that their frame can show and lacks."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import FaceAnalysis, Look, MakeupEngine, Region
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.makeup.base import DETAIL, MAKEUP_REGIONS
from makeup_sdk.models.factors import GRIDS, at_strength, coverage
from makeup_sdk.models.papers.psgan_sr import SharpPainter, small_share

Image = NDArray[np.uint8]
ALL = dict.fromkeys(MAKEUP_REGIONS, 1.0)


@pytest.fixture(scope="module")
def engine(demo: Callable[[str], Image]) -> MakeupEngine:
    engine = MakeupEngine(model="psgan-sr", threads=2)
    engine.look = Look.from_photo(demo("red-classic.jpg"), model=engine.model)
    return engine


@pytest.fixture
def painter(engine: MakeupEngine) -> SharpPainter:
    outfit = engine.outfit(0)
    assert outfit is not None
    assert isinstance(outfit.painter, SharpPainter)
    return outfit.painter


def shrunk(image: Image, face: FaceAnalysis, width: float, blur: float) -> Image:
    """The photo, its face so many pixels wide, blurred by so many pixels."""
    scale = width / float(np.linalg.norm(face.landmarks[16] - face.landmarks[0]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if blur:
        small = cv2.GaussianBlur(small, (0, 0), blur)
    return np.asarray(small, np.uint8)


@pytest.fixture
def seen(
    demo: Callable[[str], Image],
    analysis: Callable[[str], FaceAnalysis],
    analyzer: BundledFaceAnalyzer,
) -> Callable[[float, float], tuple[Image, FaceAnalysis]]:
    """A frame with a face of some width, blurred, and the face."""

    def make(width: float, blur: float) -> tuple[Image, FaceAnalysis]:
        frame = shrunk(demo("light.jpg"), analysis("light.jpg"), width, blur)
        return frame, analyzer.analyze(frame, analyzer.detect(frame, 1)[0])

    return make


def gradient(frame: Image, face: FaceAnalysis) -> float:
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32)
    x0, y0 = face.landmarks.min(axis=0).astype(int)
    x1, y1 = face.landmarks.max(axis=0).astype(int)
    return float(np.hypot(*np.gradient(grey[y0:y1, x0:x1])).mean())


@pytest.mark.parametrize("width", [50, 85])
def test_small_soft_faces_become_sharper(painter: SharpPainter, seen: Callable, width: int) -> None:
    frame, face = seen(width, 0.8)
    factors = dict(painter.factors(face))
    covers = {part: coverage(face, part) for part in factors}
    alone, both = frame.copy(), frame.copy()
    at_strength(factors, covers, ALL).put(both, face, color="bgr", threads=1)
    del factors[DETAIL]
    at_strength(factors, covers, ALL).put(alone, face, color="bgr", threads=1)
    assert gradient(both, face) > 1.02 * gradient(alone, face)
    truth, _ = seen(width, 0.0)
    rest = np.abs(frame.astype(int) - truth).sum()
    bare = frame.copy()
    detail = painter.factors(face)[DETAIL]
    at_strength({DETAIL: detail}, covers, ALL).put(bare, face, color="bgr", threads=1)
    assert np.abs(bare.astype(int) - truth).sum() < rest  # what is added is really missing


def test_what_is_sharp_or_large_stays(painter: SharpPainter, seen: Callable) -> None:
    soft, sharp = (np.abs(painter.factors(seen(85, blur)[1])[DETAIL]).mean() for blur in (0.8, 0))
    assert sharp < 0.6 * soft
    face = seen(85, 0.0)[1]
    assert small_share(face) == 1
    assert 0 < small_share(replace(face, landmarks=face.landmarks * 1.4)) < 1
    large = replace(face, landmarks=face.landmarks * 2)
    assert small_share(large) == 0
    assert DETAIL not in painter.factors(large)


def test_detail_stays_inside_the_face_and_comes_with_the_makeup(
    painter: SharpPainter, seen: Callable
) -> None:
    face = seen(60, 0.8)[1]
    cover = coverage(face, DETAIL)
    regions = face.regions[GRIDS[DETAIL].pixels]
    eyes = face.crop_landmarks[36:42].mean(axis=0).astype(int) - (32, 48)
    assert cover[eyes[1], eyes[0]] == 1
    outside = cv2.erode((regions == 0).astype(np.uint8), np.ones((3, 3))) > 0
    outside[60:] = False  # eyes and mouth, which no makeup region covers
    assert not cover[outside].any()
    grid = GRIDS[DETAIL]
    full, half, none = (
        painter.paint(face, strength).gains for strength in (ALL, {Region.LIPS: 0.5}, {})
    )
    logs, half_logs = (np.log1p(gains[grid]) for gains in (full, half))
    np.testing.assert_allclose(half_logs, logs / 2, atol=1e-6)
    assert grid not in none
    assert np.abs(logs).max() < 0.25  # half of a unit of light, 1/2.4 of that in pixel values


def test_streams_keep_the_detail(engine: MakeupEngine, seen: Callable) -> None:
    frame, face = seen(60, 0.8)
    still = engine.process(frame)
    results = [result.image for result in engine.stream([frame] * 6)]
    assert gradient(results[-1], face) > 0.97 * gradient(still, face)
    change = np.abs(results[-1].astype(int) - results[-2]).max()
    assert change <= 2
