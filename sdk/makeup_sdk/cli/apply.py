"""`makeup apply`: put a look on photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from makeup_kernels import MakeupError, NoFaceError
from makeup_sdk.cli.options import parse_look, parse_strength
from makeup_sdk.cli.photo_jobs import photo_jobs
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import Face
from makeup_sdk.images import read_photo, write_photo
from makeup_sdk.models.registry import DEFAULT_MODEL


def apply(
    sources: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    look: Annotated[
        str,
        typer.Option(
            help="Reference photo, or a .look file; style:NAME (region-gan); bare takes makeup off "
            "(ssat)."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Image for one photo, else a folder.")
    ],
    region: Annotated[
        list[str] | None,
        typer.Option(help="Paint only this region, e.g. lips or eyes=0.6. May be repeated."),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="0 (bare) to 1 (the whole look), at most 1.5.")
    ] = 1.0,
    tone: Annotated[
        float,
        typer.Option(help="How far the face takes the shade of the reference's skin, 0 to 1."),
    ] = 0.0,
    model: Annotated[
        str, typer.Option(help="What puts the makeup on: a model's name, or a bundle.")
    ] = DEFAULT_MODEL,
    backend: Annotated[str, typer.Option(help="Runs the graphs of a bundle.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; default all cores.")] = None,
) -> None:
    """Put the makeup of a reference photo on photos.

    Goes on after a photo that cannot be made up, lists those at the end and exits with status 1.
    """
    console = Console()
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
    for source, target in track(jobs, "Applying", console=console, disable=len(jobs) == 1):
        try:
            photo = read_photo(source)
            result = engine.process_detailed(photo.image)
            if not any(face.painted for face in result.faces):
                raise NoFaceError(_why_bare(source, result.faces))
            target.parent.mkdir(parents=True, exist_ok=True)
            write_photo(target, photo.wearing(result.image))
        except (MakeupError, OSError) as error:
            failures.append(str(error))
    done = f"{len(jobs) - len(failures)} of {len(jobs)}"
    console.print(f"{done} photos made up: {output}", markup=False, soft_wrap=True)
    for failure in failures:
        console.print(f"[red]failed[/red] {escape(failure)}", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


def _why_bare(source: Path, faces: Sequence[Face]) -> str:
    if not faces:
        return f"{source}: no face found; nothing was written"
    states = ", ".join(face.status.value for face in faces)
    return f"{source}: no face could be made up ({states}); nothing was written"
