"""Offline builds: each graph of a bundle becomes a plan in the cache, built in its own process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from makeup_engines.bundle import Bundle
from makeup_engines.cache import Cache, CacheEntry, default_cache
from makeup_engines.tensorrt.plans import (
    LOG_FILE,
    PLAN_FILE,
    BuildOptions,
    local_platform,
    plan_cache,
    plan_facts,
)
from makeup_engines.tensorrt.targets import Target, check_target
from makeup_engines.tensorrt.worker import BuildError
from makeup_kernels.files import aside, write_synced

WORKER = (sys.executable, "-m", "makeup_engines.tensorrt.worker")

Progress = Callable[[str, str, float], None]
"""Called with a graph's name, the phase of its build and the fraction of the phase done."""


@dataclass(frozen=True)
class BuildRequest:
    """A bundle to build.

    Attributes:
        bundle: the opened bundle.
        target: the GPU to build for.
        options: build options of every plan.
        timing_cache: file that keeps TensorRT's timings between builds; None: one in the cache.
        cache: folder of the cache; None: `default_cache()`.
        timeout_s: time limit of each graph, in seconds.
        device: number of the GPU.
    """

    bundle: Bundle
    target: Target
    options: BuildOptions = field(default_factory=BuildOptions)
    timing_cache: Path | None = None
    cache: Path | None = None
    timeout_s: int = 1800
    device: int = 0

    @property
    def timings(self) -> Path:
        """Path of TensorRT's timing cache."""
        return self.timing_cache or (self.cache or default_cache()) / "tensorrt-timings.bin"


@dataclass(frozen=True)
class Step:
    """One graph's build, as `--plan` shows it."""

    graph: str
    facts: Mapping[str, Any]
    entry: Path | None
    built: bool


def plan_steps(request: BuildRequest, machine: Mapping[str, Any] | None) -> list[Step]:
    """The steps of a build, without running it.

    Args:
        request: the build.
        machine: `local_platform`, or None if unknown: then there are no keys.
    """
    cache = plan_cache(request.cache)
    steps = []
    for name in request.bundle.manifest.graphs:
        known = machine or {"compute": " or ".join(request.target.compute) or "of this machine"}
        facts = _facts(request, name, known)
        entry = cache.root / cache.key(facts) if machine else None
        steps.append(Step(name, facts, entry, bool(machine and cache.find(facts))))
    return steps


def build(
    request: BuildRequest, progress: Progress, worker: Sequence[str] = WORKER
) -> dict[str, tuple[CacheEntry, bool]]:
    """Build the plans that the cache does not have yet.

    Args:
        request: the bundle and how to build it.
        progress: called at every step.
        worker: the command that builds one graph.

    Returns:
        for each graph, its entry and whether it was built now.

    Raises:
        BackendUnavailableError: TensorRT or the GPU is missing, or the GPU is not the target.
        BuildError: a build fails or times out; the message names the log.
    """
    machine = local_platform(request.device)
    check_target(request.target, machine)
    cache = plan_cache(request.cache)
    built = {}
    for name in request.bundle.manifest.graphs:
        facts = _facts(request, name, machine)
        entry = cache.find(facts)
        built[name] = (
            entry or _build_graph(request, name, facts, cache, progress, worker),
            not entry,
        )
    return built


def _facts(request: BuildRequest, name: str, machine: Mapping[str, Any]) -> dict[str, Any]:
    """The key's facts; the plan of a graph with a fixed batch does not depend on `batch`."""
    spec = request.bundle.manifest.graphs[name]
    options = request.options if spec.any_batch else replace(request.options, batch=1)
    return plan_facts(request.bundle.contents[spec.file], machine, options)


def _build_graph(
    request: BuildRequest,
    name: str,
    facts: Mapping[str, Any],
    cache: Cache,
    progress: Progress,
    worker: Sequence[str],
) -> CacheEntry:
    graph = request.bundle.contents[request.bundle.manifest.graphs[name].file]
    with tempfile.TemporaryDirectory(prefix="makeup-build-") as temporary:
        folder = Path(temporary)
        paths = {key: folder / key for key in ("graph", "plan", "timing_cache")}
        paths["graph"].write_bytes(graph)
        known = request.timings.read_bytes() if request.timings.is_file() else b""
        paths["timing_cache"].write_bytes(known)
        line = {key: str(path) for key, path in paths.items()}
        asked = {**line, **facts["profile"]}
        log = folder / LOG_FILE
        failure = _run(worker, asked, log, request.timeout_s, lambda p, s: progress(name, p, s))
        if failure or not paths["plan"].is_file():
            kept = _keep_log(cache, f"{cache.key(facts)}.log", log)
            raise BuildError(f"{name}: {failure or 'no plan was written'}; the log is {kept}")
        with aside(request.timings) as place:
            write_synced(place, paths["timing_cache"].read_bytes())
        files = {PLAN_FILE: paths["plan"].read_bytes(), LOG_FILE: log.read_bytes()}
        manifest = request.bundle.manifest
        return cache.store(facts, files, f"{manifest.model} {manifest.precision} {name}")


def _run(
    worker: Sequence[str],
    asked: Mapping[str, Any],
    log: Path,
    timeout_s: int,
    progress: Callable[[str, float], None],
) -> str:
    """Run the worker to its end; returns the error, or an empty text."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            list(worker),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _kill(process)

        timer = threading.Timer(timeout_s, expire)
        timer.start()
        failure = ""
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                process.stdin.close()
            for line in process.stdout:
                message = _message(line)
                if not message:  # printed by a library
                    os.write(errors.fileno(), line)
                failure = failure or str(message.get("error", ""))
                if "phase" in message:
                    progress(str(message["phase"]), float(message.get("share", 0)))
            status = process.wait()
        finally:
            timer.cancel()
            _kill(process)
            process.wait()
            process.stdout.close()
    if expired.is_set():
        return f"not built within {timeout_s} s; allow more with --timeout"
    if status and not failure:
        cause = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        return f"the build process died ({cause}); less --workspace may help if memory ran out"
    return failure


def _message(line: bytes) -> dict[str, Any]:
    """A worker's message; empty if a library printed the line to standard output."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the worker and its child processes."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _keep_log(cache: Cache, name: str, log: Path) -> Path:
    target = cache.root / "failed" / name
    with aside(target) as place:
        write_synced(place, log.read_bytes())
    return target
