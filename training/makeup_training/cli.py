"""The `makeup-train` command."""

import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import Progress

from makeup_kernels import MakeupError
from makeup_kernels.dispatch import thread_count
from makeup_training.extra import require_train_extra

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(help="shipped recipe (see --list), or a .toml file")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="faces folder (labels.json) or MT layout (images/, segs/)")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder of the run [default: runs/RECIPE]")
    ] = None,
    width: Annotated[int | None, typer.Option(help="channels of the first stage")] = None,
    size: Annotated[int | None, typer.Option(help="side of the crops")] = None,
    steps: Annotated[int | None, typer.Option(help="steps in all")] = None,
    triples: Annotated[
        int | None, typer.Option(help="overfit check: train on the first N examples only")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of weights, data and noise")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="any other value, e.g. optimiser.rate=1e-4; may be repeated"),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="of the weights, kept with them for the export")
    ] = None,
    data_name: Annotated[
        str | None, typer.Option(help="of the data, kept with the weights [default: its folder's]")
    ] = None,
    data_licence: Annotated[str | None, typer.Option(help="of the data, kept likewise")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16 (mixed), or auto: where the hardware has it")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads, 0 for one per usable core")] = 0,
    workers: Annotated[int, typer.Option(help="processes that read ahead")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run in --out")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="leave out faces that cannot be used")
    ] = False,
    start: Annotated[
        Path | None, typer.Option(help="SYSTEM-mobile: start from the weights of this run")
    ] = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="show the shipped recipes")] = False,
) -> None:
    """Train a published makeup system on labelled faces."""
    require_train_extra("makeup-train", "torch", "safetensors", "skimage", "tensorboard")
    # heavy imports only when something is trained
    from makeup_training.systems.train import PLANS
    from makeup_training.trainer.config import load_config, parse_setting, shipped_recipes

    console = Console()
    mobile = {f"{system}-mobile": system for system in PLANS}
    if list_recipes:
        console.print("\n".join(sorted([*shipped_recipes(), *mobile])))
        return
    if not recipe or data is None:
        raise typer.BadParameter("expected a recipe and --data DIR; --list shows the recipes")
    named = {"width": width, "size": size, "steps": steps, "triples": triples, "seed": seed}
    overrides: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    if recipe in mobile:
        unused = {"triples": triples, "seed": seed, "set": setting, "skip-bad": skip_bad}
        given = ", ".join(f"--{name}" for name, value in unused.items() if value)
        if given:
            raise typer.BadParameter(f"{given}: {recipe} has none")
        overrides = {k: v for k, v in overrides.items() if k != "triples"}
        folder = out or Path("runs") / recipe
        mixed = precision == "bfloat16"
        _train_mobile(mobile[recipe], overrides, data, folder, start, mixed, threads, console)
        return
    overrides.update(parse_setting(text) for text in setting or [])
    config = load_config(recipe, overrides)

    import cv2
    import torch

    from makeup_training.data.readers import open_collection
    from makeup_training.trainer.loop import RunOptions, Trainer

    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler()])
    cv2.setNumThreads(1)
    torch.set_num_threads(thread_count(threads or None))
    collection = _checked(open_collection(data), skip_bad, console)
    folder = out or Path("runs") / Path(recipe).stem
    origin: dict[str, Any] = {"licence": licence} if licence else {}
    if data_name or data_licence or not resume:
        name = data_name or data.resolve().name
        origin["training_data"] = [{"name": name, "licence": data_licence or "not stated"}]
    options = RunOptions(folder, device, precision, resume, workers, origin)
    Trainer(config, collection, options).run(console)
    console.print(f"done: checkpoint, log, sheets and curves are in {folder}")


def _train_mobile(
    system: str,
    overrides: dict[str, Any],
    data: Path,
    out: Path,
    start: Path | None,
    mixed: bool,
    threads: int,
    console: Console,
) -> None:
    """Analyse the faces, unless they lie beside the run already, and carry out the plan."""
    from dataclasses import replace

    import torch

    from makeup_training.systems.learners import LEARNERS
    from makeup_training.systems.rows import COUNT
    from makeup_training.systems.train import PLANS, RunOptions, train

    if threads:
        torch.set_num_threads(threads)
    learner = LEARNERS[system]
    faces = out.parent / learner.folder
    if not (faces / COUNT).is_file():
        learner.build_faces(data, faces, lambda text: console.print(text, markup=False))
    options = RunOptions(faces, out, start, mixed)
    weights = train(system, replace(PLANS[system], **overrides), options)
    console.print(
        f"done: makeup export {system} --weights {weights} --half-weights -o BUNDLE",
        markup=False,
        soft_wrap=True,
    )


def _checked(collection: Any, skip_bad: bool, console: Console) -> Any:
    """The collection without bad faces, which are listed, or an error at the first."""
    from makeup_training.data.portraits import usable

    parts = {name: list(getattr(collection, name)) for name in collection.__dataclass_fields__}
    kept, problems = {}, []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading faces", total=sum(map(len, parts.values())))
        for name, files in parts.items():
            kept[name], bad = usable(
                files, skip_bad=skip_bad, advance=lambda: progress.advance(task)
            )
            problems += bad
    if problems:
        console.print(
            f"left out {len(problems)} faces:", *problems, sep="\n  ", markup=False, soft_wrap=True
        )
    counts = Counter({name: len(files) for name, files in kept.items()})
    console.print(", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n))
    return type(collection)(**kept)


def main() -> None:
    """Run the command; an error of ours ends it with its message and exit status 1."""
    try:
        app()
    except MakeupError as error:
        message = f"error: {error}"
        Console(stderr=True).print(message, style="bold red", markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
