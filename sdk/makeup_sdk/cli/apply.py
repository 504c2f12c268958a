"""`makeup apply`: put a look on photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from makeup_kernels import InvalidInputError, MakeupError, NoFaceError
from makeup_sdk.cli.options import parse_look, parse_strength
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import Face
from makeup_sdk.images import IMAGE_SUFFIXES, read_image, write_image
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
    strength: Annotated[float, typer.Option(help="0 (bare) to 1 (the whole look).")] = 1.0,
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
    jobs = _jobs(sources, output)
    engine = MakeupEngine(
        parse_look(look),
        model=model,
        backend=backend,
        strength=parse_strength(strength, region or ()),
        threads=threads,
    )
    failures = []
    for source, target in track(jobs, "Applying", console=console, disable=len(jobs) == 1):
        try:
            result = engine.process_detailed(read_image(source))
            if not any(face.painted for face in result.faces):
                raise NoFaceError(_why_bare(source, result.faces))
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, result.image)
        except (MakeupError, OSError) as error:
            failures.append(str(error))
    console.print(f"{len(jobs) - len(failures)} of {len(jobs)} photos made up: {output}")
    for failure in failures:
        console.print(f"[red]failed[/red] {escape(failure)}", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


def _why_bare(source: Path, faces: Sequence[Face]) -> str:
    if not faces:
        return f"{source}: no face found; nothing was written"
    states = ", ".join(face.status.value for face in faces)
    return f"{source}: no face could be made up ({states}); nothing was written"


def _jobs(sources: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """Pairs of photo and result; folders are walked and mirrored below the output folder."""
    to_image = output.suffix.lower() in IMAGE_SUFFIXES
    if output.suffix and not to_image and not output.is_dir():
        raise InvalidInputError(
            f"{output}: unknown image type {output.suffix!r}; use one of "
            f"{', '.join(IMAGE_SUFFIXES)} (if this is to be a folder, create it first)"
        )
    if to_image and len(sources) == 1 and not sources[0].is_dir():
        return [(sources[0], output)]
    if to_image or output.is_file():
        raise InvalidInputError(f"{output}: several photos need a folder as --output")
    jobs = []
    for source in sources:
        if source.is_dir():
            found = sorted(
                path
                for path in source.rglob("*")
                if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
            )
            if not found:
                raise InvalidInputError(f"{source}: no photos in this folder")
            jobs += [(path, output / path.relative_to(source)) for path in found]
        else:
            suffix = source.suffix if source.suffix.lower() in IMAGE_SUFFIXES else ".png"
            jobs.append((source, output / f"{source.stem}{suffix}"))
    targets = [target for _, target in jobs]
    doubled = {str(target) for target in targets if targets.count(target) > 1}
    if doubled:
        raise InvalidInputError(
            f"several photos would be written to {min(doubled)}; apply them one folder at a time"
        )
    clash = {target.resolve() for target in targets} & {source.resolve() for source, _ in jobs}
    if clash:
        raise InvalidInputError(
            f"{min(clash)} would be overwritten by its own result; choose another --output"
        )
    return jobs
