"""How cost grows: with threads, faces, pixels, and cells of the feature grid.

    python benchmarks/scaling.py        # writes results/scaling.json and results/scaling.svg

The points of a curve are timed in turn, round after round, so that disturbances affect all of them;
a point is the median of its rounds. Fits minimise the squared relative error with non-negative
coefficients. The grid is measured twice: with a face that grows with it, and with a face of
constant size on growing grids. If cost depends on the cells of the regions, not of the grid, one
line in the number of pairs of cells fits both.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from face_cells import FACE_CELLS, face_regions, pairs
from numpy.typing import NDArray
from scaling_plot import write_plot

from makeup_kernels import TEMPLATE_LANDMARKS, MorphReference
from makeup_kernels.dispatch import thread_count
from makeup_sdk import MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.bench.measure import wear_demo_look
from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.scene import scene
from makeup_sdk.stream import FrameProcessor, StreamOptions

RESULTS = Path(__file__).parent / "results"
SIZES = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
GRIDS = (32, 48, 64, 96, 128)
FEW_CELLS = {1: 16, 2: 316, 3: 68}
CHANNELS, VALUES = 32, 12


@dataclass(frozen=True)
class Curve:
    """Milliseconds as a function of x.

    Attributes:
        title: what is measured.
        unit: unit of x.
        labels: labels of the points.
        x: x of the points.
        ms: medians.
        fit: line fit, see `fit_line`; empty for none.
    """

    title: str
    unit: str
    labels: tuple[str, ...]
    x: tuple[float, ...]
    ms: tuple[float, ...]
    fit: Mapping[str, float]

    def entry(self) -> dict[str, object]:
        """For JSON."""
        return {
            "title": self.title,
            "unit": self.unit,
            "labels": self.labels,
            "x": self.x,
            "ms": [round(value, 4) for value in self.ms],
            "fit": {name: float(f"{value:.5g}") for name, value in self.fit.items()},
        }


def time_in_turn(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call, all of them called once per round, after two warm-ups."""
    times: dict[str, list[float]] = {label: [] for label in calls}
    for number in range(rounds + 2):
        for label, call in calls.items():
            start = perf_counter()
            call()
            if number >= 2:
                times[label].append((perf_counter() - start) * 1e3)
    return {label: median(samples) for label, samples in times.items()}


def fit_line(x: NDArray[np.float64], ms: NDArray[np.float64]) -> dict[str, float]:
    """ms ≈ constant + slope · x by least squares of the relative error, neither negative.

    Also returns R², the explained fraction of the variance, and the largest relative error.
    """
    columns = np.stack([np.ones_like(x), x], axis=1) / ms[:, None]
    best = np.linalg.lstsq(columns, np.ones_like(ms), rcond=None)[0]
    if best.min() < 0:  # the best of one coefficient alone
        alone = [(c.sum() / (c @ c), c) for c in columns.T]
        errors = [float(np.square(1 - value * c).sum()) for value, c in alone]
        kept = int(np.argmin(errors))
        best = np.zeros(2)
        best[kept] = alone[kept][0]
    found = best[0] + best[1] * x
    r2 = 1 - float(np.square(ms - found).sum()) / float(np.square(ms - ms.mean()).sum())
    return {
        "constant": best[0],
        "slope": best[1],
        "r2": r2,
        "largest_error": float(np.abs(found / ms - 1).max()),
    }


def curve(
    title: str,
    unit: str,
    x: Mapping[str, float],
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    line: bool = True,
) -> Curve:
    """Time calls, whose x is given under the same labels, and fit a line."""
    found = time_in_turn(calls, rounds)
    at = np.array([x[label] for label in calls], float)
    ms = np.array([found[label] for label in calls])
    fit = fit_line(at, ms) if line else {}
    return Curve(title, unit, tuple(calls), tuple(at.tolist()), tuple(ms.tolist()), fit)


def frame_call(scenario: Scenario, threads: int | None = None) -> Callable[[], object]:
    """One frame of a scenario through its own engine."""
    engine = MakeupEngine(threads=threads, max_faces=scenario.faces)
    wear_demo_look(engine)
    frames = scene(scenario)
    if scenario.path == "image":
        return lambda: engine.process(frames[0])
    process = FrameProcessor(engine, StreamOptions()).process
    state = {"number": 0}

    def call() -> object:
        state["number"] += 1
        return process(frames[state["number"] % len(frames)], state["number"] / 30)

    return call


def morph_call(grid: int, sizes: Mapping[int, int], threads: int | None) -> Callable[[], object]:
    """`MorphReference.morph` of a face with these cells, reference prepared."""
    rng = np.random.default_rng(0)
    regions = face_regions(grid, sizes)
    marks = TEMPLATE_LANDMARKS * 256
    features = rng.standard_normal((2, CHANNELS, grid, grid), dtype=np.float32)
    values = rng.standard_normal((VALUES, grid, grid), dtype=np.float32)
    reference = MorphReference(features[0], marks, regions, values, pixel_stride=256 / grid)
    out = np.empty_like(values)
    return lambda: reference.morph(features[1], marks, regions, out, threads=threads)


def scaled(grid: int) -> dict[int, int]:
    """Cells of the typical face on another grid."""
    return {region: round(count * (grid / 64) ** 2) for region, count in FACE_CELLS.items()}


def measure_all(rounds: int) -> dict[str, Curve]:
    """Every curve, by name."""
    most = max(thread_count(None), 2)
    counts = {f"{n}": float(n) for n in sorted({*(2**k for k in range(most.bit_length())), most})}
    faces = {f"{n}": float(n) for n in range(1, 9)}
    pixels = {label: width * height / 1e6 for label, (width, height) in SIZES.items()}
    found = {
        "threads: stream": curve(
            "Threads: stream 1280x720, 1 face",
            "thread",
            counts,
            {k: frame_call(Scenario("stream", 1280, 720, 1), int(n)) for k, n in counts.items()},
            rounds,
            line=False,
        ),
        "threads: attentive morph": curve(
            "Threads: attentive_morph 64x64",
            "thread",
            counts,
            {k: morph_call(64, FACE_CELLS, int(n)) for k, n in counts.items()},
            4 * rounds,
            line=False,
        ),
    }
    for path in ("image", "stream"):
        found[f"faces: {path}"] = curve(
            f"Faces: {path} 1920x1080",
            "face",
            faces,
            {k: frame_call(Scenario(path, 1920, 1080, int(n))) for k, n in faces.items()},
            rounds,
        )
        found[f"pixels: {path}"] = curve(
            f"Frame size: {path}, 1 face",
            "megapixel",
            pixels,
            {k: frame_call(Scenario(path, *SIZES[k], 1)) for k in pixels},
            rounds,
        )
    return found | measure_grids(4 * rounds)


def measure_grids(rounds: int) -> dict[str, Curve]:
    """The two series over the grid, timed in turn, each with the line that fits both together."""
    series = {
        "face grows with the grid": {grid: scaled(grid) for grid in GRIDS},
        "same 400 cells on larger grids": dict.fromkeys(GRIDS, FEW_CELLS),
    }
    calls = {
        f"{name} {grid}": morph_call(grid, sizes, None)
        for name, grids in series.items()
        for grid, sizes in grids.items()
    }
    found = time_in_turn(calls, rounds)
    all_pairs = [pairs(sizes) for grids in series.values() for sizes in grids.values()]
    common = fit_line(np.array(all_pairs, float), np.array(list(found.values())))
    curves = {}
    for name, grids in series.items():
        ms = tuple(found[f"{name} {grid}"] for grid in grids)
        exponent = float(np.polyfit(np.log(np.square(GRIDS)), np.log(ms), 1)[0])
        fit = {**common, "exponent_of_grid_cells": exponent}
        x = tuple(float(pairs(sizes)) for sizes in grids.values())
        labels = tuple(f"{grid}x{grid}" for grid in grids)
        title = f"attentive_morph, C={CHANNELS}, V={VALUES}: {name}"
        curves[f"grid: {name}"] = Curve(title, "pair of cells", labels, x, ms, fit)
    return curves


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="calls of each frame")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    machine = machine_info()
    curves = measure_all(options.rounds)
    data = {
        "schema": "makeup-scaling/1",
        "machine": machine,
        "curves": {name: found.entry() for name, found in curves.items()},
    }
    (options.output / "scaling.json").write_text(json.dumps(data, indent=1) + "\n")
    write_plot(options.output / "scaling.svg", data)
    for name, found in curves.items():
        shown = ", ".join(f"{a} {b:.2f}" for a, b in zip(found.labels, found.ms, strict=True))
        print(f"{name}: {shown} ms; {found.entry()['fit']}")


if __name__ == "__main__":
    main()
