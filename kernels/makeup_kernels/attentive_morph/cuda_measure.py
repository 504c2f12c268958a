"""Measure how many warps should share the keys of one tile of queries, once per GPU.

`python -m makeup_kernels.attentive_morph.cuda_measure` measures on the first GPU and stores the
choices where `cuda_splits` reads them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from makeup_kernels.attentive_morph.cuda import MorphReference
from makeup_kernels.attentive_morph.cuda_splits import CANDIDATES, choice_key, keep_choices
from makeup_kernels.cuda.driver import on_gpu
from makeup_kernels.errors import MakeupError

REGION_CELLS = {1: 66, 2: 1342, 3: 290}
"""Typical sizes of lips, skin and eyes on a grid of 64 x 64 cells."""

_GRID = 64
_PROBLEMS = ((256, np.float16, 2), (256, np.float32, 2), (48, np.float32, 2), (0, np.float32, 3))
_FACES = (1, 2, 4, 8)


def measure() -> list[dict[str, Any]]:
    """Time every candidate for the typical problems, and store the fastest.

    Returns:
        one entry per problem: kernel, channels, dtype, values, faces, tiles, the morph launch's
        microseconds by number of splits, and the fastest number.

    Raises:
        BackendUnavailableError: CUDA cannot run here.
    """
    rows = []
    with on_gpu() as gpu:
        for channels, dtype, values in _PROBLEMS:
            for faces in _FACES:
                source, reference = _problem(channels, dtype, values, faces)
                kernel, tiles, launch = MorphReference(*reference).timed_launch(gpu, *source)
                times = {n: gpu.microseconds(partial(launch, n)) for n in CANDIDATES}
                rows.append(
                    {
                        "kernel": kernel,
                        "channels": channels,
                        "dtype": np.dtype(dtype).name,
                        "values": values,
                        "faces": faces,
                        "tiles": tiles,
                        "microseconds": times,
                        "fastest": min(times, key=lambda n: times[n]),
                    }
                )
        keep_choices(
            gpu.name(), {choice_key(row["kernel"], row["tiles"]): row["fastest"] for row in rows}
        )
    return rows


def _problem(
    channels: int, dtype: Any, values: int, faces: int
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Source and reference with regions of typical sizes."""
    generator = np.random.default_rng(0)
    cells = {0: _GRID**2 - sum(REGION_CELLS.values()), **REGION_CELLS}
    regions = np.repeat(np.array(list(cells), np.uint8), list(cells.values()))
    maps = np.tile(regions.reshape(1, _GRID, _GRID), (faces, 1, 1))
    features = generator.standard_normal((1, channels, _GRID, _GRID), np.float32).astype(dtype)
    features = np.repeat(features, faces, axis=0)
    marks = generator.normal(128, 35, (faces, 68, 2)).astype(np.float32)
    planes = generator.standard_normal((1, values, _GRID, _GRID)).astype(np.float32)
    return (features, marks, maps), (features[:1], marks[:1], maps[:1], planes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m makeup_kernels.attentive_morph.cuda_measure",
        description="Measure how many warps should share a tile of queries, and keep the choice.",
    )
    parser.add_argument("--report", help="JSON file for the times")
    asked = parser.parse_args(arguments)
    try:
        rows = measure()
    except MakeupError as error:
        print(error, file=sys.stderr)
        return 1
    for row in rows:
        times = "  ".join(f"{n}: {t:7.1f}" for n, t in row["microseconds"].items())
        print(f"{row['kernel']:18} {row['faces']} faces  us by splits {times}  -> {row['fastest']}")
    if asked.report:
        with open(asked.report, "w") as file:
            json.dump(rows, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
