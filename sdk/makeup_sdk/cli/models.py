"""`makeup models`: which models there are."""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from makeup_engines import Bundle
from makeup_sdk.cli.options import ThreadsOption
from makeup_sdk.faces.demo_face import demo_face
from makeup_sdk.look import Look
from makeup_sdk.makeup.product_json import ProductMakeup
from makeup_sdk.makeup.references import References
from makeup_sdk.makeup.style import Style
from makeup_sdk.models.base import Model, ModelOptions, Painter, Strength
from makeup_sdk.models.facts import FACTS
from makeup_sdk.models.papers.region_gan import StyleModel
from makeup_sdk.models.registry import open_model, shipped_models
from makeup_sdk.weights import FOLDER

_RUNS = 7
_MEGABYTE = 1e6


def models(
    threads: ThreadsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the models: what they do and take, their size, and how long a face takes here.

    makeup models

    makeup models --threads 1 --json
    """
    table = Table(show_edge=False)
    for title in ("model", "does", "a look is made of"):
        table.add_column(title, overflow="fold")
    for title in ("MB", "ms a face here", "licence of the weights"):
        table.add_column(title, justify="right")
    shipped = shipped_models()
    listed = []
    for name, facts in FACTS.items():
        size, milliseconds, licence = "", "", "weights do not ship"
        if name in shipped:
            milliseconds = f"{_milliseconds(open_model(name, ModelOptions(threads=threads))):.0f}"
            size, licence = _size_and_licence(FOLDER / name)
        table.add_row(name, facts.does, facts.takes, size, milliseconds, licence)
        numbers = {
            "megabytes": float(size) if size else None,
            "milliseconds": int(milliseconds) if milliseconds else None,
        }
        listed.append({"name": name, **asdict(facts), **numbers, "licence": licence})
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    console = Console()
    console.print(table)
    console.print(
        "full-size and your own networks: `makeup export`, `makeup import`, then --model PATH",
        markup=False,
    )


def _size_and_licence(folder: Path) -> tuple[str, str]:
    if not folder.is_dir():
        return "0.0", "no weights"
    size = sum(path.stat().st_size for path in folder.iterdir())
    licence = Bundle.open(folder).manifest.weights.get("licence", "see the manifest")
    return f"{size / _MEGABYTE:.1f}", str(licence)


def _milliseconds(model: Model) -> float:
    """Median time of painting the demo face, without finding it and putting the paint back."""
    face = demo_face()
    strength: Strength = dict.fromkeys(model.regions, 1.0)
    painter = _painter(model)
    times = []
    for _ in range(_RUNS):
        began = perf_counter()
        painter.paint(face, strength)
        times.append((perf_counter() - began) * 1e3)
    return median(times[2:])


def _painter(model: Model) -> Painter:
    """A look of the demo face, or of a style."""
    if isinstance(model, StyleModel):
        return model.painter(Style(model.styles[-1]))
    if model.kind == ProductMakeup.kind:
        return Look.shipped("soft-glam").painter(model)
    if model.kind == References.kind:
        return model.painter(References.of(demo_face()))
    return model.painter(model.encode(demo_face()))
