"""`makeup apply`: put a look on photos."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from makeup_kernels import MakeupError, NoFaceError
from makeup_sdk.cli.options import (
    BackendOption,
    LookOption,
    ModelOption,
    RegionOption,
    StrengthOption,
    ThreadsOption,
    ToneOption,
    parse_look,
    parse_strength,
)
from makeup_sdk.cli.photo_jobs import photo_jobs
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import Face
from makeup_sdk.images import read_photo, write_photo
from makeup_sdk.models.registry import DEFAULT_MODEL


def apply(
    sources: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    look: LookOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Image for one photo, else a folder; by default beside each photo, as "
            "NAME-makeup.",
        ),
    ] = None,
    region: RegionOption = None,
    strength: StrengthOption = 1.0,
    tone: ToneOption = 0.0,
    model: ModelOption = DEFAULT_MODEL,
    backend: BackendOption = "auto",
    threads: ThreadsOption = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Draw landmarks, boxes and status on the results.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print failures alone.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was done as JSON, a line for each photo.")
    ] = False,
) -> None:
    """Put the makeup of a reference photo on photos.

    Goes on after a photo that cannot be made up, lists those at the end and exits with status 1.

    makeup apply photo.jpg --look soft-glam

    makeup apply photos/ --look reference.jpg --region lips --region eyes=0.6 -o made-up/
    """
    console = Console(quiet=quiet or as_json)
    worn = parse_look(look)
    jobs = photo_jobs(sources, output, [Path(worn)] if isinstance(worn, str) else [])
    engine = MakeupEngine(
        worn,
        model=model,
        backend=backend,
        strength=parse_strength(strength, region or ()),
        tone=tone,
        threads=threads,
    )
    failures = []
    shown = len(jobs) > 1 and not console.quiet
    for source, target in track(jobs, "Applying", console=console, disable=not shown):
        faces: Sequence[Face] = ()
        problem = None
        try:
            photo = read_photo(source)
            result = engine.process_detailed(photo.image)
            faces = result.faces
            if not any(face.painted for face in faces):
                raise NoFaceError(_why_bare(source, faces))
            target.parent.mkdir(parents=True, exist_ok=True)
            write_photo(target, photo.wearing(result.plot() if debug else result.image))
        except (MakeupError, OSError) as error:
            problem = str(error)
            failures.append(problem)
        if as_json:
            typer.echo(_line(source, None if problem else target, faces, problem))
    done = f"{len(jobs) - len(failures)} of {len(jobs)}"
    place = output or ", ".join(dict.fromkeys(str(target.parent) for _, target in jobs))
    if len(jobs) == 1:
        place = jobs[0][1]
    console.print(f"{done} photos made up: {place}", markup=False, soft_wrap=True)
    loud = Console(quiet=as_json)
    for failure in failures:
        loud.print(f"[red]failed[/red] {escape(failure)}", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


def _line(source: Path, target: Path | None, faces: Sequence[Face], problem: str | None) -> str:
    """One photo's JSON."""
    told = [
        {
            "box": [round(float(v), 1) for v in face.box],
            "status": face.status.value,
            "painted": face.painted,
        }
        for face in faces
    ]
    output = None if target is None else str(target)
    return json.dumps({"photo": str(source), "output": output, "faces": told, "error": problem})


def _why_bare(source: Path, faces: Sequence[Face]) -> str:
    if not faces:
        return f"{source}: no face found; nothing was written"
    states = ", ".join(face.status.value for face in faces)
    return f"{source}: no face could be made up ({states}); nothing was written"
