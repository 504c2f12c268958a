"""`makeup apply`: put a look on photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track

from makeup_kernels import MakeupError, NoFaceError
from makeup_kernels.files import make_folder
from makeup_kernels.terminal import JsonOption, QuietOption, Reporter, in_words
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
from makeup_sdk.cli.photo_jobs import Job, photo_jobs
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
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the makeup of a reference photo on photos.

    If a photo fails, the others still run; failures are listed at the end, with exit status 1.
    With --json, one line per photo.

    makeup apply photo.jpg --look soft-glam

    makeup apply photos/ --look reference.jpg --region lips --region eyes=0.6 -o made-up/
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
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
    failures, made_up = [], 0
    shown = len(jobs) > 1
    for source, target in track(jobs, "Applying", console=reporter.progress, disable=not shown):
        faces: Sequence[Face] = ()
        problem = None
        try:
            photo = read_photo(source)
            result = engine.process_detailed(photo.image)
            faces = result.faces
            painted = sum(face.painted for face in faces)
            if not painted:
                raise NoFaceError(_why_bare(source, faces))
            make_folder(target.parent)
            write_photo(target, photo.wearing(result.plot() if debug else result.image))
            made_up += painted
        except (MakeupError, OSError) as error:
            problem = in_words(error)
            failures.append(problem)
        reporter.json(_entry(source, None if problem else target, faces, problem), indent=None)
    written = [str(target) for _, target in jobs] if len(jobs) == 1 else _folders(jobs, output)
    done = len(jobs) - len(failures)
    place = f": {', '.join(written)}" if done else ""
    reporter.say(f"{done} of {len(jobs)} photos made up, {made_up} faces{place}")
    for failure in failures:
        reporter.failure(f"failed {failure}")
    if failures:
        raise typer.Exit(1)


def _folders(jobs: Sequence[Job], output: Path | None) -> list[str]:
    """The folders of several results, each once."""
    return list(dict.fromkeys(str(output or target.parent) for _, target in jobs))


def _entry(
    source: Path, target: Path | None, faces: Sequence[Face], problem: str | None
) -> dict[str, Any]:
    """A photo's line of --json."""
    told = [
        {
            "box": [round(float(v), 1) for v in face.box],
            "status": face.status.value,
            "painted": face.painted,
        }
        for face in faces
    ]
    output = None if target is None else str(target)
    return {"photo": str(source), "output": output, "faces": told, "error": problem}


def _why_bare(source: Path, faces: Sequence[Face]) -> str:
    if not faces:
        return f"{source}: no face found; nothing was written"
    states = ", ".join(face.status.value for face in faces)
    return f"{source}: no face could be made up ({states}); nothing was written"
