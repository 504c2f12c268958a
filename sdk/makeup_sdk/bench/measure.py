"""Time frames through an engine, stage by stage."""

from collections.abc import Callable
from itertools import cycle, islice
from time import perf_counter

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.bench.options import BenchOptions, Scenario
from makeup_sdk.bench.report import Measurement, Samples
from makeup_sdk.bench.scene import REFERENCE, demo_picture, scene
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.frame import Result
from makeup_sdk.looks.look import Look
from makeup_sdk.makeup.product_json import ProductMakeup
from makeup_sdk.models.registry import DEFAULT_MODEL
from makeup_sdk.stream import FrameProcessor, StreamOptions

_FRAME_TIME = 1 / 30
"""Seconds between two frames of a stream, as passed to its processor."""


def open_engine(options: BenchOptions) -> MakeupEngine:
    """Open the engine described by the options, without a look.

    Raises:
        BackendUnavailableError: the backend or device cannot run here.
        InvalidInputError: an option is out of range, or the model has no networks for the backend.
        BundleError: the model's bundle is missing or damaged.
    """
    return MakeupEngine(
        model=DEFAULT_MODEL if options.model is None else options.model,
        backend=options.backend,
        device=options.device,
        max_faces=max(options.faces),
        threads=options.threads,
    )


def wear_demo_look(engine: MakeupEngine) -> None:
    """Encode the shipped reference photo and set it as the engine's look."""
    reads = engine.model.kind != ProductMakeup.kind
    engine.look = demo_picture(REFERENCE) if reads else Look.shipped("soft-glam")


def measure(
    engine: MakeupEngine,
    scenario: Scenario,
    options: BenchOptions,
    progress: Callable[[int], None] = lambda frames: None,
) -> Measurement:
    """Milliseconds of each frame and of its stages, after the warm-up.

    Args:
        engine: an engine with a look.
        scenario: the frames to process.
        options: numbers of frames and warm-up frames.
        progress: called after every frame with the number so far, warm-up included.

    Raises:
        InvalidInputError: the engine did not paint every face of the scene.
    """
    frames = scene(scenario)
    process = _processor(engine, scenario)
    totals: list[float] = []
    stages: dict[str, list[float]] = {}
    for number, frame in enumerate(islice(cycle(frames), options.warmup + options.frames)):
        start = perf_counter()
        result = process(frame, number * _FRAME_TIME)
        spent = (perf_counter() - start) * 1e3
        progress(number + 1)
        if number < options.warmup:
            continue
        totals.append(spent)
        for stage, milliseconds in result.timings.items():
            stages.setdefault(stage, []).append(milliseconds)
    painted = sum(face.painted for face in result.faces)
    if painted != scenario.faces:
        raise InvalidInputError(
            f"{scenario.label}: {painted} faces were made up, expected {scenario.faces}; "
            "take a larger size or fewer faces"
        )
    return Measurement(
        scenario,
        Samples(tuple(totals)),
        {name: Samples(tuple(samples)) for name, samples in stages.items()},
    )


def _processor(engine: MakeupEngine, scenario: Scenario) -> Callable[[Image, float], Result]:
    if scenario.path == "stream":
        return FrameProcessor(engine, StreamOptions()).process
    return lambda frame, time: engine.process_detailed(frame)
