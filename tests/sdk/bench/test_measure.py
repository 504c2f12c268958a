"""Scenes, options and the timing of an engine."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from makeup_sdk import BackendUnavailableError, InvalidInputError, MakeupEngine, MakeupError
from makeup_sdk.bench import PRESETS, BenchOptions, Scenario
from makeup_sdk.bench.cold_start import cold_start, resident
from makeup_sdk.bench.machine import busy_cores, is_busy, machine_info
from makeup_sdk.bench.measure import measure, open_engine
from makeup_sdk.bench.options import parse_size
from makeup_sdk.bench.scene import scene
from makeup_sdk.faces import BundledFaceAnalyzer, Face, FaceStatus
from makeup_sdk.frame import Result


@pytest.mark.parametrize(
    ("width", "height", "faces"), [(640, 480, 1), (480, 640, 2), (1280, 720, 5), (1920, 1080, 8)]
)
def test_the_scene_has_the_faces_it_says(
    width: int, height: int, faces: int, analyzer: BundledFaceAnalyzer
) -> None:
    frames = scene(Scenario("image", width, height, faces))
    assert len(frames) == 4
    for frame in frames:
        assert (frame.shape, frame.dtype) == ((height, width, 3), np.uint8)
        assert len(analyzer.detect(frame, 16)) == faces


def test_the_scene_moves() -> None:
    frames = scene(Scenario("stream", 640, 480, 1))
    for frame, following in pairwise(frames):
        change = np.abs(frame.astype(int) - following)
        assert 0.1 < change.mean() < 5


def test_faces_too_small_to_be_found() -> None:
    with pytest.raises(InvalidInputError, match="320x240, 16 faces: the faces would be too small"):
        scene(Scenario("image", 320, 240, 16))


@pytest.mark.parametrize(
    ("text", "size"),
    [("1280x720", (1280, 720)), ("480p", (640, 480)), ("4K", (3840, 2160)), ("64X99", (64, 99))],
)
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "720", "x720", "1280x", "1280*720", "-1x5", "1280x720x3"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(
        InvalidInputError, match=f"--size {text}".replace("*", r"\*") + ": expected"
    ):
        parse_size(text)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"sizes": ((32, 32),)}, "size: 32x32, expected 64 to 8192 pixels a side"),
        ({"faces": (0,)}, r"faces: \(0,\), expected numbers from 1 to 16"),
        ({"paths": ("video",)}, "expected sizes, faces and paths of image, stream"),
        ({"sizes": ()}, "nothing to measure"),
        ({"frames": 1}, "frames: 1, expected at least 2"),
        ({"device": "cuda"}, "streams run on the CPU; with device 'cuda' measure the path 'image'"),
        ({"warmup": -1}, "warmup: -1, expected at least 0"),
        ({"cold_starts": -1}, "cold_starts: -1, expected at least 0"),
    ],
)
def test_options_out_of_range(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        BenchOptions(**wrong)


def test_presets_ask_for_what_their_machines_have() -> None:
    assert PRESETS["jetson"].backend == "tensorrt"
    assert PRESETS["desktop"].backend == "auto"
    assert len(PRESETS["desktop"].scenarios) == 2 * 3 * 2


class FakeEngine:
    """Takes no time, says what it took, and paints as many faces as it is told to."""

    def __init__(self, painted: int) -> None:
        self.painted = painted
        self.calls = 0

    def process_detailed(self, frame: np.ndarray) -> Result:
        self.calls += 1
        box = np.zeros(4, np.float32)
        landmarks = np.zeros((68, 2), np.float32)
        face = Face(landmarks, box, 1.0, 0, FaceStatus.OK, True)
        return Result(frame, (face,) * self.painted, {"detect": 1.5, "generate": self.calls * 1.0})


def test_the_warm_up_is_not_timed() -> None:
    engine: Any = FakeEngine(painted=2)
    seen: list[int] = []
    options = BenchOptions(frames=5, warmup=3)
    found = measure(engine, Scenario("image", 640, 480, 2), options, seen.append)
    assert engine.calls == 8
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found.stages["detect"].values == (1.5,) * 5
    assert found.stages["generate"].values == (4.0, 5.0, 6.0, 7.0, 8.0)
    assert found.model_only == found.stages["generate"]
    assert len(found.total.values) == 5


def test_faces_that_stay_bare_are_an_error() -> None:
    engine: Any = FakeEngine(painted=1)
    with pytest.raises(InvalidInputError, match="2 faces: 1 faces were made up, expected 2"):
        measure(engine, Scenario("image", 640, 480, 2), BenchOptions(frames=2, warmup=0))


@pytest.mark.parametrize("path", ["image", "stream"])
def test_a_real_engine_is_timed(path: str, engine: MakeupEngine) -> None:
    options = BenchOptions(frames=3, warmup=1)
    found = measure(engine, Scenario(path, 320, 240, 1), options)
    assert set(found.stages) == {"detect", "analyze", "generate", "composite"}
    parts = np.sum([samples.values for samples in found.stages.values()], axis=0)
    assert np.all(parts <= np.array(found.total.values))


def test_a_model_without_networks() -> None:
    with pytest.raises(InvalidInputError, match="'mobile' has no networks that it could run"):
        open_engine(BenchOptions(model="mobile", backend="tensorrt"))


def test_the_engine_is_asked_for_what_the_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def engine(**given: Any) -> MakeupEngine:
        asked.update(given)
        raise BackendUnavailableError("the engine's own words")

    monkeypatch.setattr("makeup_sdk.bench.measure.MakeupEngine", engine)
    options = BenchOptions(
        model="some.bundle",
        backend="tensorrt",
        device="cuda",
        paths=("image",),
        faces=(1, 3),
        threads=2,
    )
    with pytest.raises(BackendUnavailableError, match="the engine's own words"):
        open_engine(options)
    assert asked == {
        "model": "some.bundle",
        "backend": "tensorrt",
        "device": "cuda",
        "max_faces": 3,
        "threads": 2,
    }


def test_a_cold_start_has_all_its_parts() -> None:
    start, memory = cold_start(BenchOptions(sizes=((320, 240),), threads=1))
    parts = (start.imports, start.engine, start.look, start.frame)
    assert min(parts) > 0
    assert start.total == pytest.approx(start.interpreter + sum(parts))
    if memory is not None:
        assert 10 < memory.imported < memory.ready <= memory.peak < 2000


def test_a_cold_start_that_fails_says_why() -> None:
    with pytest.raises(MakeupError, match=r"could not make up a frame: .*nonsense"):
        cold_start(BenchOptions(model="nonsense"))


def test_memory_that_the_system_does_not_tell() -> None:
    assert resident("VmNonsense") is None


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEUP_CPU_ISA", "baseline")
    monkeypatch.setattr("makeup_kernels.dispatch.usable_cores", lambda: 4)
    info = machine_info(threads=3, packages=("numpy", "no-such-package"))
    assert (info["threads"], info["isa"]) == (3, "baseline")
    assert info["versions"]["numpy"] == np.__version__
    assert "no-such-package" not in info["versions"]


@pytest.mark.parametrize(
    ("busy_cores", "cores", "busy"),
    [(0.1, 2, False), (1.5, 2, True), (1.5, 16, False), (None, 2, False)],
)
def test_busy_machines_are_noticed(busy_cores: float | None, cores: int, busy: bool) -> None:
    assert is_busy({"busy_cores": busy_cores, "cores": cores}) is busy


def test_busy_cores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """150 of 400 ticks were not idle: 1.5 of 4 cores."""
    ticks = iter([(1000, 5000), (1150, 5400)])
    monkeypatch.setattr("makeup_sdk.bench.machine._cpu_ticks", lambda: next(ticks))
    monkeypatch.setattr("makeup_sdk.bench.machine._WATCHED", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert busy_cores() == 1.5
