"""Temporal smoothing: jitter at rest, lag in motion, and the filters alone."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import FPS, HEIGHT, WIDTH, Actor, Path, film, still

from makeup_kernels import InvalidInputError
from makeup_sdk import FaceAnalysis, Look, MakeupEngine, Region
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.faces.smoothing import MovingAverage, RegionSmoother, Step, StepEstimator
from makeup_sdk.models.factors import GRIDS, FactorPaint
from makeup_sdk.stream import FrameProcessor, SmoothingOptions, StreamOptions
from makeup_sdk.stream.one_euro import LandmarkFilter, OneEuro

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Layers = Callable[[list[Image], SmoothingOptions | None], FloatArray]


@pytest.fixture
def layers(look: Look, analyzer: BundledFaceAnalyzer, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """The makeup layer of each frame: change of log light, float32 (frames, H, W, 3)."""
    made: list[FloatArray] = []

    def put(paint: FactorPaint, image: Image, face: FaceAnalysis, **options: Any) -> None:
        layer = np.zeros((256, 256, 3), np.float32)
        for grid, gains in paint.gains.items():
            window = layer[grid.pixels]
            change = np.ascontiguousarray(2.4 * np.log1p(gains).transpose(1, 2, 0))
            window += cv2.resize(change, window.shape[1::-1])
        inverse = cv2.invertAffineTransform(face.matrix)
        made.append(cv2.warpAffine(layer, inverse, (WIDTH, HEIGHT)))

    monkeypatch.setattr(FactorPaint, "put", put)

    def of(frames: list[Image], smoothing: SmoothingOptions | None) -> FloatArray:
        made.clear()
        engine = MakeupEngine(look, model="mobile", analyzer=analyzer)
        process = FrameProcessor(engine, StreamOptions(smoothing=smoothing)).process
        for number, frame in enumerate(frames):
            assert process(frame, number / FPS).faces[0].painted
        return np.stack(made)

    return of


class Smoother:
    """Region maps of one face over a stream."""

    def __init__(self) -> None:
        self._estimate, self._smooth = StepEstimator(), RegionSmoother(SmoothingOptions().regions)

    def regions(self, face: FaceAnalysis, dt: float) -> Image:
        return self._smooth(face.regions, self._estimate(face, dt))


@pytest.mark.parametrize("noise", [3, 8])
def test_jitter_is_a_quarter(
    layers: Layers, noise: float, record_property: Callable[[str, object], None]
) -> None:
    """A face at rest, seen by a noisy sensor: how far the paint trembles about its mean."""
    frames = list(film([Actor("light.jpg", still())], 40, noise=noise))

    def jitter(smoothing: SmoothingOptions | None) -> float:
        layer = layers(frames, smoothing)[16:]
        made_up = np.abs(layer.mean(axis=0)).max(axis=2) > 0.01
        return float(np.sqrt(layer.var(axis=0)[made_up].mean()))

    ratio = jitter(SmoothingOptions()) / jitter(None)
    record_property("jitter_ratio", round(ratio, 3))
    print(f"noise {noise}: jitter {ratio:.3f} of the unsmoothed")
    assert ratio <= 0.25


@pytest.mark.parametrize(
    ("motion", "path"),
    [
        ("walk", lambda t: (150 + 120 * t, 180)),
        ("nod", lambda t: (320, 180 + 25 * np.sin(2 * np.pi * t))),
    ],
)
def test_lag_is_below_a_frame(
    layers: Layers, motion: str, path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The delay at which the steadied layer's middle fits the unsmoothed one's best."""
    frames = list(film([Actor("light.jpg", path)], 32, noise=3))

    def middles(smoothing: SmoothingOptions | None) -> NDArray[np.float64]:
        weight = np.abs(layers(frames, smoothing)).sum(axis=3)
        columns, rows = weight.sum(axis=1), weight.sum(axis=2)
        middle = [columns @ np.arange(WIDTH), rows @ np.arange(HEIGHT)]
        return np.stack(middle, axis=1) / weight.sum(axis=(1, 2))[:, None]

    plain, steady = middles(None), middles(SmoothingOptions())
    times = np.arange(len(frames))
    delays = np.linspace(-1, 3, 81)
    errors = []
    for delay in delays:
        late = [np.interp(times - delay, times, plain[:, k]) for k in (0, 1)]
        errors.append(np.square(np.stack(late, axis=1) - steady)[6:].mean())
    lag = float(delays[np.argmin(errors)])
    record_property("lag_frames", round(lag, 2))
    print(f"{motion}: lag {lag:.2f} frames")
    assert abs(lag) <= 1
    assert np.abs(plain - steady)[6:].max() < 2


def test_one_euro_follows_its_formula() -> None:
    """Against the published recursion, written out for one number."""
    values = np.random.default_rng(3).normal(size=30).cumsum()
    dt, rest, gain, speed_cutoff, sudden = 0.04, 0.5, 2.0, 1.0, 20.0

    def alpha(cutoff: float) -> float:
        return 1 / (1 + 1 / (2 * np.pi * cutoff * dt))

    smooth, speed, expected = values[0], 0.0, [values[0]]
    for value in values[1:]:
        step = (value - smooth) / dt
        speed += alpha(speed_cutoff) * (step - speed)
        smooth += alpha(rest + gain * max(abs(speed), abs(step) - sudden)) * (value - smooth)
        expected.append(smooth)
    one_euro = OneEuro(rest, gain, sudden)
    made = [one_euro(np.array([[value]]), dt)[0, 0] for value in values]
    np.testing.assert_allclose(made, expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [0.2, 1.0, 4.0])
def test_landmarks_lag_by_a_bounded_distance(
    analysis: Callable[[str], FaceAnalysis], scale: float
) -> None:
    """In steady motion of any speed, 1 / (2π · speed_gain) pupil distances, at any size."""
    options = SmoothingOptions()
    face = analysis("light.jpg").landmarks * np.float32(scale)
    pupils = float(np.hypot(*(face[36:42].mean(axis=0) - face[42:48].mean(axis=0))))
    bound = 1.1 * np.sqrt(2) * pupils / (2 * np.pi * options.speed_gain)
    for speed in (0.2, 1.0, 4.0):  # pupil distances per second
        smooth = LandmarkFilter(options)
        for number in range(60):
            moved = face + np.array([speed * pupils * number / FPS, 0], np.float32)
            steadied = smooth(moved, 1 / FPS)
        assert np.abs(steadied - moved).max() < bound


def test_landmark_filter_keeps_a_still_face(analysis: Callable[[str], FaceAnalysis]) -> None:
    face = analysis("dark.jpg").landmarks
    smooth = LandmarkFilter(SmoothingOptions())
    for _ in range(5):
        np.testing.assert_allclose(smooth(face, 1 / FPS), face, atol=1e-3)


def test_a_covered_part_leaves_the_region_map_at_once(
    analysis: Callable[[str], FaceAnalysis],
) -> None:
    face = analysis("medium.jpg")
    steady = Smoother()
    for _ in range(20):
        kept = steady.regions(face, 1 / FPS)
    assert (kept != face.regions).mean() < 0.02
    crop, regions = face.crop.copy(), face.regions.copy()
    crop[160:], regions[160:] = (180, 60, 20), Region.NONE
    hidden = replace(face, crop=crop, regions=regions)
    covered = steady.regions(hidden, 1 / FPS)
    assert (covered[170:] != 0).mean() < 0.02
    assert (covered[:150] == kept[:150]).mean() > 0.97


def test_flickering_edges_stand_still(analysis: Callable[[str], FaceAnalysis]) -> None:
    """A region map that trembles by a pixel or two, over a picture that does not change."""
    face = analysis("light.jpg")
    random = np.random.default_rng(5)
    steady = Smoother()
    raw, smooth = [], []
    for _ in range(40):
        moved = np.roll(face.regions, random.integers(-2, 3, 2), axis=(0, 1))
        trembling = replace(face, regions=moved)
        raw.append(moved)
        smooth.append(steady.regions(trembling, 1 / FPS))

    def flips(maps: list[Image]) -> float:
        return float(np.mean([(a != b).mean() for a, b in pairwise(maps[20:])]))

    assert flips(smooth) < 0.15 * flips(raw)


@pytest.mark.parametrize("region", GRIDS)
def test_every_grid_is_carried_along_the_same_motion(region: Region) -> None:
    """A picture of the crop, and what a grid sees of it, move alike."""
    grid = GRIDS[region]
    noise = np.random.default_rng(2).normal(size=(256, 256)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 6)
    motion = np.array([[0.99, -0.02, 4.3], [0.02, 0.99, -2.2]])
    moved = cv2.warpAffine(picture, motion, (256, 256))

    def seen(image: FloatArray) -> FloatArray:
        cut = np.ascontiguousarray(image[grid.pixels])
        size = (grid.columns, grid.rows)
        return cv2.resize(cut, size, interpolation=cv2.INTER_AREA).astype(np.float32)[None]

    average = MovingAverage(1e6, grid)
    average(seen(picture), None)
    step = Step(1 / FPS, motion, 0.0, np.zeros((64, 64), np.float32))
    half = average(np.zeros_like(seen(picture)), step)  # of two frames the plain mean
    inside = np.s_[:, 8:-8, 8:-8]
    away = np.abs(2 * half - seen(moved))[inside].max()
    assert away < 0.12 * np.abs(picture).max()
    assert away < 0.3 * np.abs(seen(moved) - seen(picture))[inside].max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rest_cutoff": 0}, "rest_cutoff: got 0, expected more than 0"),
        ({"speed_gain": -1}, "speed_gain: got -1, expected at least 0"),
        ({"layer": float("nan")}, "layer: got nan, expected at least 0"),
    ],
)
def test_bad_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        SmoothingOptions(**options)
