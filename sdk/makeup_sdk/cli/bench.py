"""`makeup bench`: benchmark this machine, and compare two reports."""

from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from makeup_engines import BACKENDS
from makeup_kernels import InvalidInputError
from makeup_kernels.terminal import JsonOption, QuietOption, Reporter
from makeup_sdk.bench.compare import compare_reports
from makeup_sdk.bench.options import PRESETS, BenchOptions, parse_size
from makeup_sdk.bench.plot import save_plot
from makeup_sdk.bench.report import Report, load_report
from makeup_sdk.bench.run import run_bench
from makeup_sdk.bench.tables import show_comparison, show_report
from makeup_sdk.cli.options import ThreadsOption

app = typer.Typer(invoke_without_command=True)

_REDRAW_AFTER = 0.25
"""Minimum seconds between updates of the progress bar."""


@app.callback()
def bench(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="Model name or path of a bundle; default: the SDK's.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help=f"Backend of the networks: auto, {', '.join(BACKENDS)}.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where frames are processed: cpu or cuda.")
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(help="1280x720, or 480p, 720p, 1080p, 4k. May be repeated."),
    ] = None,
    faces: Annotated[
        list[int] | None, typer.Option(help="Faces in the frame. May be repeated.")
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(help="image (detects faces) or stream (tracks them). Default: both."),
    ] = None,
    threads: ThreadsOption = None,
    frames: Annotated[int | None, typer.Option(help="Timed frames per line.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Untimed frames before them.")] = None,
    cold_starts: Annotated[
        int | None, typer.Option(help="New processes, timed to their first frame.")
    ] = None,
    desktop: Annotated[bool, typer.Option("--desktop", help="720p to 4K, 1 and 3 faces.")] = False,
    jetson: Annotated[
        bool, typer.Option("--jetson", help="Networks on TensorRT, streams, long warm-up.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the report with all samples (.json)."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a plot of the report (.svg).")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure an engine's latency per stage, cold start and memory on this machine.

    Further options override those of a preset.

    makeup bench

    makeup bench --size 720p --faces 3 -o mine.json
    """
    if context.invoked_subcommand is not None:
        return
    if desktop and jetson:
        raise InvalidInputError("--desktop and --jetson: choose one preset")
    chosen: dict[str, Any] = {
        "model": model,
        "backend": backend,
        "device": device,
        "sizes": tuple(map(parse_size, size)) if size else None,
        "faces": tuple(faces) if faces else None,
        "paths": tuple(path) if path else ("image",) if device == "cuda" else None,
        "threads": threads,
        "frames": frames,
        "warmup": warmup,
        "cold_starts": cold_starts,
    }
    preset = PRESETS["desktop"] if desktop else PRESETS["jetson"] if jetson else BenchOptions()
    options = replace(preset, **{key: value for key, value in chosen.items() if value is not None})
    for file in (output, plot):
        if file is not None and not file.absolute().parent.is_dir():
            raise InvalidInputError(f"{file.parent}: no such folder; create it first")
    if plot is not None and plot.suffix.lower() != ".svg":
        raise InvalidInputError(f"--plot {plot}: plots are SVG files; end the name in .svg")
    reporter = Reporter(quiet=quiet, as_json=as_json)
    report = _run(options, reporter)
    show_report(reporter.console, report)
    if output is not None:
        report.save(output)
        reporter.say(f"wrote {output}")
    if plot is not None:
        save_plot(plot, report)
        reporter.say(f"wrote {plot}")
    reporter.json(report.entry())


def _run(options: BenchOptions, reporter: Reporter) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # drawn between frames only: a drawing thread would slow the timed frames
    with Progress(*columns, console=reporter.progress, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("starting", total=1.0)
        drawn = 0.0

        def show(what: str, share: float) -> None:
            nonlocal drawn
            bar.update(task, description=what, completed=share)
            if monotonic() - drawn > _REDRAW_AFTER or share == 1:
                bar.refresh()
                drawn = monotonic()

        return run_bench(options, show)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A.json", help="Report of `makeup bench`.")],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="Report to compare with it.")],
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only what is faster or slower.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two reports: ratios of medians with 95 % bootstrap confidence intervals.

    makeup bench compare before.json after.json

    makeup bench compare before.json after.json --json
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    comparison = compare_reports(load_report(before), load_report(after))
    show_comparison(reporter.console, comparison)
    reporter.names(
        f"{scenario.label}: {change.what}: {change.verdict}, {change.ratio:.3f} x"
        for scenario, changes in comparison.changes
        for change in changes
        if change.verdict != "unclear"
    )
    reporter.json(comparison.entry())
