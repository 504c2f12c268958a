"""`makeup build` and `makeup engines`: TensorRT plans of a bundle, and the cache they live in."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from makeup_engines import default_cache
from makeup_engines.cache import read_entry
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
        typer.Option(
            help="What to build for: tensorrt. With --server also onnxruntime, the default there."
        ),
    ] = None,
    target: Annotated[str, typer.Option(help=f"local, {', '.join(TARGETS)}.")] = "local",
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Most faces per call; default 1, with --server 8."),
    ] = None,
    workspace: Annotated[
        int | None, typer.Option(min=16, help="Scratch memory in MiB; default: the target's.")
    ] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(help="File that keeps TensorRT's timings between builds.")
    ] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds for each graph; default: the target's.")
    ] = None,
    device: Annotated[int, typer.Option(min=0, help="Number of the GPU.")] = 0,
    cache: CacheFolder = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    server: Annotated[
        str | None, typer.Option(help="Write a model repository for a server: triton.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="With --server: the repository.")
    ] = None,
    instances: Annotated[
        int, typer.Option(min=1, help="With --server: engines, each a process.")
    ] = 1,
    threads: Annotated[
        int, typer.Option(min=1, help="With --server: CPU threads of each engine.")
    ] = 1,
    kind: Annotated[str, typer.Option(help="With --server: networks on cpu or gpu.")] = "cpu",
) -> None:
    """Build the TensorRT engines of a bundle; what is built already stays as it is.

    With --server triton: write a model repository for Triton Inference Server instead.

    makeup build psgan

    makeup build psgan.bundle --target orin --plan
    """
    if server is not None:
        networks = backend, kind, batch or 8
        _write_repository(server, model, output, networks, instances, threads)
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
    console = Console()
    if plan:
        _show_plan(console, request)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        tasks = {name: bar.add_task(name, total=1.0) for name in request.bundle.manifest.graphs}

        def show(graph: str, phase: str, share: float) -> None:
            bar.update(tasks[graph], description=f"{graph}: {phase}", completed=share)

        results = build(request, show)
        for name in results:
            bar.update(tasks[name], description=name, completed=1.0)
    for name, (entry, new) in results.items():
        done = "built" if new else "already built"
        console.print(f"{name}: {done}, {entry.size / 1e6:.1f} MB, {entry.path}", markup=False)
    _build_kernels(console, request)


def _write_repository(
    server: str,
    model: str,
    output: Path | None,
    networks: tuple[str | None, str, int],
    instances: int,
    threads: int,
) -> None:
    """See `build_command`; `networks`: their backend, kind and batch."""
    if server != "triton":
        raise InvalidInputError(f"--server {server}: unknown; expected triton")
    if output is None:
        raise InvalidInputError("--server triton: give the repository to write: -o REPOSITORY")
    backend, kind, batch = networks
    options = RepositoryOptions(backend or "onnxruntime", kind, instances, threads, batch)
    names = write_repository(model, output, options)
    console = Console()
    console.print(f"wrote {output}: {', '.join(names)}", markup=False, soft_wrap=True)
    console.print(
        f"serve it: tritonserver --model-repository {output}", markup=False, soft_wrap=True
    )


def _build_kernels(console: Console, request: BuildRequest) -> None:
    """Compile our CUDA kernels for the GPU; plans run without them, so that it may fail."""
    try:
        entry, new = build_kernels(plan_cache(request.cache), local_platform(request.device))
    except MakeupError as error:
        console.print(f"CUDA kernels: not built: {error}", markup=False)
        return
    done = "built" if new else "already built"
    console.print(f"CUDA kernels: {done}, {entry.size / 1e6:.1f} MB, {entry.path}", markup=False)


def _show_plan(console: Console, request: BuildRequest) -> None:
    machine = None
    try:
        machine = local_platform(request.device)
    except MakeupError as error:
        console.print(f"not on this machine: {error}", markup=False)
    target, options = request.target, asdict(request.options)
    console.print(f"target: {target.name}, {target.title}", markup=False)
    console.print(f"options: {options}, time-out {request.timeout_s} s a graph", markup=False)
    console.print(f"timing cache: {request.timings}", markup=False)
    table = Table("graph", "SHA-256", "for", "cache entry", "to do", show_edge=False)
    for step in plan_steps(request, machine):
        table.add_row(step.graph, str(step.facts["graph"])[:12], _purpose(step), *_to_do(step))
    console.print(table)


def _purpose(step: Step) -> str:
    known = [step.facts.get(key) for key in ("gpu", "compute", "tensorrt")]
    return ", ".join(str(value) for value in known if value)


def _to_do(step: Step) -> tuple[str, str]:
    if step.entry is None:
        return "known where it is built", "build"
    return step.entry.name, "nothing, it is built" if step.built else "build"


@app.command("list")
def list_(cache: CacheFolder = None) -> None:
    """List what was built."""
    table = Table("engine", "for", "TensorRT", "batch", "MB", "here", show_edge=False)
    try:
        machine = local_platform()
    except MakeupError:
        machine = None
    count = 0
    for entry in plan_cache(cache).entries():
        facts, count = entry.facts, count + 1
        here = "no GPU" if machine is None else "; ".join(misfits(facts, machine)) or "fits"
        table.add_row(
            entry.note or entry.path.name,
            f"{facts.get('gpu')} ({facts.get('compute')})",
            str(facts.get("tensorrt")),
            str((facts.get("profile") or {}).get("batch")),
            f"{entry.size / 1e6:.1f}",
            here,
        )
    console = Console()
    if count:
        console.print(table)
    else:
        console.print(f"no engines in {cache or default_cache()}; `makeup build BUNDLE` makes them")


@app.command()
def verify(cache: CacheFolder = None) -> None:
    """Check every file of the cache against its SHA-256; exits with status 1 if one differs."""
    console, damaged, count = Console(), 0, 0
    for path in plan_cache(cache).paths():
        count += 1
        try:
            read_entry(path).verify()
        except MakeupError as error:
            damaged += 1
            console.print(f"damaged: {error}", style="red", markup=False, soft_wrap=True)
    console.print(f"{count - damaged} of {count} engines are whole", markup=False)
    if damaged:
        raise typer.Exit(1)


@app.command()
def clean(cache: CacheFolder = None) -> None:
    """Remove everything that was built, and what broken builds left."""
    gone = plan_cache(cache).clean()
    Console().print(f"removed {len(gone)} entries", markup=False)
