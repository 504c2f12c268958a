"""`makeup demo`: the shipped looks on the shipped faces."""

import json
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.table import Table

from makeup_kernels.terminal import JsonOption, QuietOption, Reporter
from makeup_kernels.types import Image
from makeup_sdk.cli.options import ThreadsOption
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.frame import Result
from makeup_sdk.images import decode_image, write_image
from makeup_sdk.looks.look import Look

_TILE = 320
_RUNS = 10


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path(
        "makeup-demo.jpg"
    ),
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the shipped looks on the shipped faces: writes one picture, prints timings.

    makeup demo

    makeup demo -o faces.jpg --threads 1
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    sources, references = _pictures("source"), _pictures("reference")
    engine = MakeupEngine(threads=threads)
    header = [_tile(np.full((8, 8, 3), 255, np.uint8)), *map(_tile, sources.values())]
    rows = [np.hstack(header)]
    timings: list[Result] = []
    for title, reference in references.items():
        engine.look = Look.from_photo(reference, title=title)
        results = [engine.process_detailed(source) for source in sources.values()]
        rows.append(np.hstack([_tile(reference), *(_tile(result.image) for result in results)]))
    for _ in range(_RUNS):
        timings += [engine.process_detailed(source) for source in sources.values()]
    write_image(output, np.vstack(rows))
    table = Table(title="one face, milliseconds", title_justify="left")
    table.add_column("stage")
    table.add_column("median", justify="right")
    stages = {stage: median(run.timings[stage] for run in timings) for stage in timings[0].timings}
    stages["all"] = median(sum(run.timings.values()) for run in timings)
    for stage, milliseconds in stages.items():
        table.add_row(stage, f"{milliseconds:.1f}")
    reporter.table(table)
    reporter.say("top row: bare faces; left column: references; the rest: made up")
    reporter.say(f"wrote {output} ({len(sources) * len(references)} made-up faces)")
    rounded = {stage: round(milliseconds, 1) for stage, milliseconds in stages.items()}
    reporter.json({"output": output, "milliseconds": rounded})


def _pictures(role: str) -> dict[str, Image]:
    """The shipped demo pictures of one role, by title."""
    folder = resources.files("makeup_sdk") / "assets" / "demo"
    listing = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    return {
        entry["title"]: decode_image(
            np.frombuffer((folder / entry["file"]).read_bytes(), np.uint8), entry["file"]
        )
        for entry in listing["pictures"]
        if entry["role"] == role
    }


def _tile(image: Image) -> Image:
    tile: Image = cv2.resize(image, (_TILE, _TILE), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return tile
