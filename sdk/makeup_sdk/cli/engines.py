"""`makeup build` and `makeup engines`: build TensorRT plans, and manage their cache."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from makeup_engines import default_cache
from makeup_engines.cache import CacheEntry, read_entry
from makeup_engines.tensorrt.build import BuildRequest, Step, build, plan_steps
from makeup_engines.tensorrt.kernels import build_kernels
from makeup_engines.tensorrt.plans import (
    BuildOptions,
    local_platform,
    misfits,
    plan_cache,
)
from makeup_engines.tensorrt.targets import TARGETS, target_of
from makeup_kernels import InvalidInputError, MakeupError
from makeup_kernels.terminal import JsonOption, NamesOption, QuietOption, Reporter
from makeup_sdk.models.registry import bundle_of
from makeup_sdk.serving.repository import RepositoryOptions, write_repository

app = typer.Typer(help="List, verify and clean built engines.", no_args_is_help=True)

CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Folder of the cache; default: MAKEUP_CACHE.")
]


def build_command(
    model: Annotated[str, typer.Argument(help="Shipped model, or a bundle: a folder or a .zip.")],
    backend: Annotated[
        str | None,
        typer.Option(help="tensorrt (default). With --server: tensorrt or onnxruntime (default)."),
    ] = None,
    target: Annotated[str, typer.Option(help=f"local, {', '.join(TARGETS)}.")] = "local",
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Maximum faces per call; default 1, with --server 8."),
    ] = None,
    workspace: Annotated[
        int | None, typer.Option(min=16, help="Scratch memory in MiB; default: the target's.")
    ] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(help="File of TensorRT's timings, reused by later builds.")
    ] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds for each graph; default: the target's.")
    ] = None,
    device: Annotated[int, typer.Option(min=0, help="Index of the GPU.")] = 0,
    cache: CacheFolder = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print the steps.")] = False,
    server: Annotated[
        str | None, typer.Option(help="Write a model repository for a server: triton.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="With --server: folder of the repository.")
    ] = None,
    instances: Annotated[
        int, typer.Option(min=1, help="With --server: number of engine processes.")
    ] = 1,
    threads: Annotated[int, typer.Option(min=1, help="With --server: CPU threads per engine.")] = 1,
    kind: Annotated[str, typer.Option(help="With --server: run networks on cpu or gpu.")] = "cpu",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build the TensorRT engines of a bundle; existing engines are kept.

    With --server triton: write a model repository for Triton Inference Server instead.

    makeup build psgan

    makeup build psgan.bundle --target orin --plan
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    if server is not None:
        networks = backend, kind, batch or 8
        _write_repository(server, model, output, networks, instances, threads, reporter)
        return
    backend = backend or "tensorrt"
    if backend != "tensorrt":
        raise InvalidInputError(
            f"--backend {backend}: there is nothing to build, as only tensorrt is built ahead of "
            f"time; use the model as it is: --model {model}"
        )
    chosen = target_of(target)
    bundle = bundle_of(model)
    if bundle is None:
        raise InvalidInputError(
            f"{model}: has no networks of its own, so there is nothing to build; use it as it is: "
            f"--model {model}"
        )
    request = BuildRequest(
        bundle,
        chosen,
        BuildOptions(batch or 1, workspace or chosen.workspace_mib),
        timing_cache,
        cache,
        timeout or chosen.timeout_s,
        device,
    )
    if plan:
        _show_plan(reporter, request)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=reporter.progress) as bar:
        tasks = {name: bar.add_task(name, total=1.0) for name in request.bundle.manifest.graphs}

        def show(graph: str, phase: str, share: float) -> None:
            bar.update(tasks[graph], description=f"{graph}: {phase}", completed=share)

        results = build(request, show)
        for name in results:
            bar.update(tasks[name], description=name, completed=1.0)
    for name, (entry, new) in results.items():
        _say_built(reporter, name, entry, new)
    kernels = _build_kernels(reporter, request)
    reporter.json(
        {
            "engines": {
                name: {"path": entry.path, "bytes": entry.size, "new": new}
                for name, (entry, new) in results.items()
            },
            "kernels": kernels,
        }
    )


def _write_repository(
    server: str,
    model: str,
    output: Path | None,
    networks: tuple[str | None, str, int],
    instances: int,
    threads: int,
    reporter: Reporter,
) -> None:
    """See `build_command`; `networks` holds backend, kind and batch."""
    if server != "triton":
        raise InvalidInputError(f"--server {server}: unknown; expected triton")
    if output is None:
        raise InvalidInputError("--server triton: give the repository to write: -o REPOSITORY")
    backend, kind, batch = networks
    options = RepositoryOptions(backend or "onnxruntime", kind, instances, threads, batch)
    names = write_repository(model, output, options)
    reporter.say(f"wrote {output}: {', '.join(names)}")
    reporter.say(f"serve it: tritonserver --model-repository {output}")
    reporter.json({"repository": output, "models": names})


def _say_built(reporter: Reporter, name: str, entry: CacheEntry, new: bool) -> None:
    done = "built" if new else "already built"
    reporter.say(f"{name}: {done}, {entry.size / 1e6:.1f} MB, {entry.path}")


def _build_kernels(reporter: Reporter, request: BuildRequest) -> Path | None:
    """Compile the SDK's CUDA kernels; a failure is only reported, as plans do not need them."""
    try:
        entry, new = build_kernels(plan_cache(request.cache), local_platform(request.device))
    except MakeupError as error:
        reporter.say(f"CUDA kernels: not built: {error}")
        return None
    _say_built(reporter, "CUDA kernels", entry, new)
    return entry.path


def _show_plan(reporter: Reporter, request: BuildRequest) -> None:
    machine = None
    try:
        machine = local_platform(request.device)
    except MakeupError as error:
        reporter.say(f"not on this machine: {error}")
    target, options = request.target, asdict(request.options)
    reporter.say(f"target: {target.name}, {target.title}")
    reporter.say(f"options: {options}, time-out {request.timeout_s} s a graph")
    reporter.say(f"timing cache: {request.timings}")
    table = Table("graph", "SHA-256", "for", "cache entry", "to do", show_edge=False)
    steps = plan_steps(request, machine)
    for step in steps:
        table.add_row(step.graph, str(step.facts["graph"])[:12], _purpose(step), *_to_do(step))
    reporter.table(table)
    reporter.json(
        {
            "target": target.name,
            "options": options,
            "timeout_s": request.timeout_s,
            "timing_cache": request.timings,
            "graphs": [
                {"graph": step.graph, "sha256": step.facts["graph"], "entry": step.entry}
                | {"built": step.built}
                for step in steps
            ],
        }
    )


def _purpose(step: Step) -> str:
    known = [step.facts.get(key) for key in ("gpu", "compute", "tensorrt")]
    return ", ".join(str(value) for value in known if value)


def _to_do(step: Step) -> tuple[str, str]:
    if step.entry is None:
        return "known where it is built", "build"
    return step.entry.name, "nothing, it is built" if step.built else "build"


@app.command("list")
def list_(
    cache: CacheFolder = None, quiet: NamesOption = False, as_json: JsonOption = False
) -> None:
    """List the built engines.

    makeup engines list

    makeup engines list --cache /srv/engines --json
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    table = Table("engine", "for", "TensorRT", "batch", "MB", "here", show_edge=False)
    try:
        machine = local_platform()
    except MakeupError:
        machine = None
    listed = []
    for entry in plan_cache(cache).entries():
        facts = entry.facts
        here = "no GPU" if machine is None else "; ".join(misfits(facts, machine)) or "fits"
        batch = (facts.get("profile") or {}).get("batch")
        table.add_row(
            entry.note or entry.path.name,
            f"{facts.get('gpu')} ({facts.get('compute')})",
            str(facts.get("tensorrt")),
            str(batch),
            f"{entry.size / 1e6:.1f}",
            here,
        )
        known = {name: facts.get(name) for name in ("gpu", "compute", "tensorrt")}
        told = {"engine": entry.note, "path": entry.path, "bytes": entry.size, "here": here}
        listed.append(told | known | {"batch": batch})
    if listed:
        reporter.table(table)
    else:
        reporter.say(f"no engines in {cache or default_cache()}; `makeup build BUNDLE` makes them")
    reporter.names(str(entry["path"]) for entry in listed)
    reporter.json(listed)


@app.command()
def verify(
    cache: CacheFolder = None, quiet: QuietOption = False, as_json: JsonOption = False
) -> None:
    """Check every file of the cache against its SHA-256; exits with status 1 if one differs.

    makeup engines verify

    makeup engines verify --quiet
    """
    reporter, damaged, count = Reporter(quiet=quiet, as_json=as_json), [], 0
    for path in plan_cache(cache).paths():
        count += 1
        try:
            read_entry(path).verify()
        except MakeupError as error:
            damaged.append(str(error))
            reporter.failure(f"damaged: {error}")
    reporter.say(f"{count - len(damaged)} of {count} engines are whole")
    reporter.json({"engines": count, "damaged": damaged})
    if damaged:
        raise typer.Exit(1)


@app.command()
def clean(
    cache: CacheFolder = None, quiet: QuietOption = False, as_json: JsonOption = False
) -> None:
    """Remove all built engines, and the remains of broken builds.

    makeup engines clean

    makeup engines clean --cache /srv/engines
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    gone = plan_cache(cache).clean()
    reporter.say(f"removed {len(gone)} entries")
    reporter.json({"removed": gone})
