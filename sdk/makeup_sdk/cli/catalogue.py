"""`makeup catalogue`: every look on every photo, on this machine or on Ray."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from makeup_kernels import BackendUnavailableError
from makeup_kernels.cores import usable_cores
from makeup_kernels.terminal import JsonOption, QuietOption, Reporter
from makeup_sdk.cli.options import (
    BackendOption,
    ModelOption,
    RegionOption,
    StrengthOption,
    ToneOption,
    parse_strength,
)
from makeup_sdk.models.registry import DEFAULT_MODEL


def catalogue(
    photos: Annotated[
        str,
        typer.Argument(
            help="A photo, a folder, a pattern, or a manifest (.csv, .jsonl, .parquet) with a "
            "column photo. Paths, or addresses of fsspec such as s3://bucket/photos."
        ),
    ],
    looks: Annotated[
        str,
        typer.Argument(
            help="A shipped look, look file, products file or reference photo; a folder or pattern "
            "of them; a table of shades; or a manifest with a column look."
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder or address of the results.")
    ],
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Processes; default one per core; 0: only this one. With --ray: actors."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads per worker; default: cores / workers.")
    ] = None,
    picture_format: Annotated[
        str, typer.Option("--format", help="Format of the results: jpg, png, webp, avif, …")
    ] = "jpg",
    size: Annotated[
        int, typer.Option(min=0, help="Longer side of the results in pixels; 0: the photo's.")
    ] = 0,
    region: RegionOption = None,
    strength: StrengthOption = 1.0,
    tone: ToneOption = 0.0,
    model: ModelOption = DEFAULT_MODEL,
    backend: BackendOption = "auto",
    ray: Annotated[
        str | None,
        typer.Option(help="Run on a Ray cluster: auto, local (starts one here), or its address."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count, try a few photos, estimate; write nothing.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put every look on every photo, once; run it again to continue a stopped run.

    Writes pictures/PHOTO/LOOK.FORMAT and report.parquet with a row for each pair. Exits with
    status 1 if pairs failed; the next run retries them. Bad photos do not count as failed.

    makeup catalogue photos/ looks/ -o made-up/ --dry-run

    makeup catalogue photos/ looks/ -o made-up/
    """
    try:
        from makeup_sdk.catalogue import run as module
    except ImportError as error:
        raise BackendUnavailableError(str(error)) from None
    options = module.CatalogueOptions(
        format=picture_format,
        size=size,
        strength=parse_strength(strength, region or ()),
        tone=tone,
        model=model,
        backend=backend,
        workers=workers if workers is not None else 0 if ray else usable_cores(),
        threads=threads or (1 if ray else None),
    )
    reporter = Reporter(quiet=quiet, as_json=as_json)
    if dry_run:
        guess = module.estimate_catalogue(photos, looks, output, options)
        reporter.json(asdict(guess))
        reporter.say(
            f"{guess.photos} photos x {guess.looks} looks = {guess.photos * guess.looks} pictures; "
            f"{guess.begun} photos are begun or done"
        )
        if guess.sampled:
            reporter.say(
                f"the rest: about {guess.hours:.2g} hours with {options.workers} workers and "
                f"{guess.gigabytes:.2g} GB, by {guess.sampled} photos"
            )
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} photos, {task.fields[new]} new pairs"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=reporter.progress) as bar:
        task = bar.add_task("catalogue", total=None, new=0)
        summary = module.run_catalogue(
            photos,
            looks,
            output,
            options,
            ray=ray,
            progress=lambda state: bar.update(
                task, total=state.photos, completed=state.done, new=state.new
            ),
        )
    counts = ", ".join(f"{count} {status}" for status, count in summary.counts.items() if count)
    reporter.say(
        f"{summary.pairs} pairs: {counts}; {summary.new} of them now, in {summary.seconds:.1f} s"
    )
    reporter.say(f"report: {summary.report}")
    reporter.json(asdict(summary))
    failed = summary.counts["failed"]
    if failed:
        reporter.failure(f"{failed} failed; start again to try them once more")
        raise typer.Exit(1)
