"""Run all measurements of a benchmark."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone

from makeup_sdk.bench.cold_start import cold_start
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.bench.measure import measure, open_engine, wear_demo_look
from makeup_sdk.bench.options import BenchOptions
from makeup_sdk.bench.report import Report

Progress = Callable[[str, float], None]
"""Called with the current measurement's label and the fraction done."""


def run_bench(options: BenchOptions, progress: Progress = lambda what, share: None) -> Report:
    """Measure every scenario, then fresh processes.

    Raises:
        BackendUnavailableError: the backend or device cannot run here.
        InvalidInputError: an option is out of range, or not all faces of a scene get painted.
        BundleError: the model's bundle is missing or damaged.
    """
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    machine = machine_info(options.threads)
    engine = open_engine(options)
    wear_demo_look(engine)
    results = []
    each = options.warmup + options.frames
    for scenario in options.scenarios:

        def show(frames: int, label: str = scenario.label) -> None:
            progress(label, frames / each)

        results.append(measure(engine, scenario, options, show))
    starts = []
    memory = None
    for number in range(options.cold_starts):
        start, memory = cold_start(options)
        starts.append(start)
        progress("cold start", (number + 1) / options.cold_starts)
    settings = asdict(options) | {"model": engine.model.name}
    return Report(created, settings, machine, tuple(results), tuple(starts), memory)
