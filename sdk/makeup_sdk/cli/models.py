"""`makeup models`: list the models."""

from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.table import Table

from makeup_engines import Bundle
from makeup_kernels.terminal import JsonOption, NamesOption, Reporter
from makeup_sdk.cli.options import ThreadsOption
from makeup_sdk.faces.demo_face import demo_face
from makeup_sdk.looks.look import Look
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
    quiet: NamesOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the models: purpose, inputs, size, and time per face on this machine.

    makeup models

    makeup models --threads 1 --json
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    if quiet and not as_json:
        reporter.names(FACTS)
        return
    table = Table(show_edge=False)
    table.add_column("model", no_wrap=True)
    for title in ("does", "takes"):
        table.add_column(title)
    for title in ("MB", "ms", "weights"):
        table.add_column(title, justify="right")
    shipped = shipped_models()
    listed = []
    for name, facts in FACTS.items():
        size, milliseconds, licence = "", "", "not shipped"
        if name in shipped:
            milliseconds = f"{_milliseconds(open_model(name, ModelOptions(threads=threads))):.0f}"
            size, licence = _size_and_licence(FOLDER / name)
        table.add_row(name, facts.does, facts.takes, size, milliseconds, licence)
        numbers = {
            "megabytes": float(size) if size else None,
            "milliseconds": int(milliseconds) if milliseconds else None,
        }
        listed.append({"name": name, **asdict(facts), **numbers, "licence": licence})
    reporter.table(table)
    reporter.say("ms: for one face, on this machine; weights: their licence")
    reporter.say(
        "full-size and your own networks: `makeup export`, `makeup import`, then --model PATH"
    )
    reporter.json(listed)


def _size_and_licence(folder: Path) -> tuple[str, str]:
    if not folder.is_dir():
        return "0.0", "no weights"
    size = sum(path.stat().st_size for path in folder.iterdir())
    licence = Bundle.open(folder).manifest.weights.get("licence", "see the manifest")
    return f"{size / _MEGABYTE:.1f}", str(licence)


def _milliseconds(model: Model) -> float:
    """Median milliseconds to paint the demo face, without detection and compositing."""
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
    """A painter for a look of the demo face, or for a style."""
    if isinstance(model, StyleModel):
        return model.painter(Style(model.styles[-1]))
    if model.kind == ProductMakeup.kind:
        return Look.shipped("soft-glam").painter(model)
    if model.kind == References.kind:
        return model.painter(References.of(demo_face()))
    return model.painter(model.encode(demo_face()))
