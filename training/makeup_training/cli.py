"""The `makeup-train` command."""

import logging
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from rich.progress import Progress

from makeup_kernels import terminal
from makeup_kernels.dispatch import thread_count
from makeup_kernels.terminal import JsonOption, QuietOption, Reporter
from makeup_training.extra import require_train_extra
from makeup_training.systems.plans import PLANS
from makeup_training.trainer.config import load_config, parse_setting, shipped_recipes

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
        str | None,
        typer.Option(
            help="of the weights, kept with them, so that `makeup export` need not ask "
            "[SYSTEM-mobile: Apache-2.0]"
        ),
    ] = None,
    data_name: Annotated[
        str | None,
        typer.Option(
            help="of the data, kept with the weights [default: its folder's; SYSTEM-mobile: what "
            "the shipped weights learnt from]"
        ),
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
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a published makeup system on labelled faces.

    Ctrl-C finishes the step, saves the run and prints the command that resumes it.

    makeup-train psgan-quick --data faces/ --skip-bad

    makeup-train psgan --data faces/ --licence Apache-2.0 --out runs/mine
    """
    report = Reporter(quiet=quiet, as_json=as_json)
    mobile = {f"{system}-mobile": system for system in PLANS}
    if list_recipes:
        recipes = sorted([*shipped_recipes(), *mobile])
        report.say("\n".join(recipes))
        report.names(recipes)
        report.json(recipes)
        return
    require_train_extra("makeup-train", "torch", "safetensors", "skimage", "tensorboard")
    if not recipe or data is None:
        raise typer.BadParameter("expected a recipe and --data DIR; --list shows the recipes")
    named = {"width": width, "size": size, "steps": steps, "triples": triples, "seed": seed}
    overrides: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    folder = out or Path("runs") / Path(recipe).stem
    origin: dict[str, Any] = {"licence": licence} if licence else {}
    is_named = bool(data_name or data_licence)
    if is_named or not (resume or recipe in mobile):
        name = data_name or data.resolve().name
        origin["training_data"] = [{"name": name, "licence": data_licence or "not stated"}]
    try:
        if recipe in mobile:
            unused = {"triples": triples, "seed": seed, "set": setting, "skip-bad": skip_bad}
            unused |= {"workers": workers, "device": device not in ("auto", "cpu")}
            given = ", ".join(f"--{name}" for name, value in unused.items() if value)
            if given:
                raise typer.BadParameter(f"{given}: {recipe} has none")
            mixed = precision == "bfloat16"
            where = data, folder, start
            _train_mobile(mobile[recipe], overrides, where, mixed, threads, origin, report)
        else:
            overrides.update(parse_setting(text) for text in setting or [])
            options = {"device": device, "precision": precision, "resume": resume}
            options |= {"workers": workers, "origin": origin}
            _train_recipe(recipe, overrides, data, folder, skip_bad, threads, options, report)
    except KeyboardInterrupt:
        _say_how_to_go_on(folder, report)
        raise typer.Exit(130) from None


def _say_how_to_go_on(folder: Path, report: Reporter) -> None:
    """After Ctrl-C, print the command that resumes the run."""
    again = ["makeup-train", *sys.argv[1:]]
    if any(folder.glob("checkpoints/step-*")) or (folder / "state.safetensors").is_file():
        resumed = again if "--resume" in again else [*again, "--resume"]
        text = f"interrupted; the run is kept in {folder}, go on with it:\n{shlex.join(resumed)}"
    else:
        text = f"interrupted before the first step was kept; start again:\n{shlex.join(again)}"
    report.failure(text)


def _train_recipe(
    recipe: str,
    overrides: dict[str, Any],
    data: Path,
    folder: Path,
    skip_bad: bool,
    threads: int,
    options: dict[str, Any],
    report: Reporter,
) -> None:
    """Train by a recipe file; `options` are those of the trainer's `RunOptions`."""
    config = load_config(recipe, overrides)

    # heavy imports only if something is trained
    import cv2
    import torch

    from makeup_training.data.readers import open_collection
    from makeup_training.trainer.loop import RunOptions, Trainer

    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler()])
    cv2.setNumThreads(1)
    torch.set_num_threads(thread_count(threads or None))
    collection = _checked(open_collection(data), skip_bad, report)
    trainer = Trainer(config, collection, RunOptions(folder, **options))
    figures = trainer.run(report.console)
    report.say(f"done: checkpoint, log, sheets and curves are in {folder}")
    report.json({"recipe": recipe, "out": folder, "steps": config.steps, "figures": figures})


def _train_mobile(
    system: str,
    overrides: dict[str, Any],
    where: tuple[Path, Path, Path | None],
    mixed: bool,
    threads: int,
    origin: dict[str, Any],
    report: Reporter,
) -> None:
    """Analyse the faces, unless that was done before, and train by the system's plan.

    Args:
        system: name of the system.
        overrides: values that replace those of its plan.
        where: the faces, the run's folder, and the run that this one starts from.
        mixed: convolve in bfloat16.
        threads: CPU threads; 0: PyTorch's default.
        origin: licence and training data, if given.
        report: receives messages.
    """
    from dataclasses import replace

    import torch

    from makeup_training.systems.learners import LEARNERS
    from makeup_training.systems.rows import COUNT
    from makeup_training.systems.train import RunOptions, train

    if threads:
        torch.set_num_threads(threads)
    data, out, start = where
    learner = LEARNERS[system]
    faces = out.parent / learner.folder
    if not (faces / COUNT).is_file():
        learner.build_faces(data, faces, report.say)
    plan = replace(PLANS[system], **overrides)
    report.say(
        f"{system}: width {plan.width}, size {plan.size}, {plan.steps} steps; losses are in "
        f"{out / 'log.jsonl'}"
    )
    weights = train(system, plan, RunOptions(faces, out, start, mixed, origin))
    report.say(f"done: makeup export {system} --weights {weights} --half-weights -o BUNDLE")
    report.json({"recipe": f"{system}-mobile", "out": out, "steps": plan.steps, "weights": weights})


def _checked(collection: Any, skip_bad: bool, report: Reporter) -> Any:
    """The collection without bad faces, which are listed; else an error at the first one."""
    from makeup_training.data.portraits import usable

    parts = {name: list(getattr(collection, name)) for name in collection.__dataclass_fields__}
    kept, problems = {}, []
    with Progress(console=report.progress, transient=True) as progress:
        task = progress.add_task("reading faces", total=sum(map(len, parts.values())))
        for name, files in parts.items():
            kept[name], bad = usable(
                files, skip_bad=skip_bad, advance=lambda: progress.advance(task)
            )
            problems += bad
    if problems:
        report.say("\n  ".join([f"left out {len(problems)} faces:", *map(str, problems)]))
    counts = Counter({name: len(files) for name, files in kept.items()})
    report.say(", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n))
    return type(collection)(**kept)


def main() -> None:
    """Run the command; a `MakeupError` prints its message and exits with status 1."""
    terminal.run(app)


if __name__ == "__main__":
    main()
