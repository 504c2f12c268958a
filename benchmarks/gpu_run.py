"""Everything that needs a GPU, in one command: build, tests, memory checks, times.

    python benchmarks/gpu_run.py --out DIR [--minutes 10]
    python benchmarks/gpu_run.py --out DIR --dry-run    # lists the steps, runs what runs on a CPU

For a machine with an NVIDIA GPU, nvcc, PyTorch, Triton, ONNX Runtime, pytest, scikit-build-core and
pybind11, without network. Builds the package if it is not installed, and the CUDA kernels for the
GPU. Without PyCUDA, the kernels run through the CUDA driver API (`driver_api/`). The most valuable
steps run first; each has a time limit, and a failing step does not stop the next. `gpu_run.json`,
`gpu_run.md` (a table) and `gpu_run.log` (the steps' output) are rewritten after every step, so that
an interrupted run keeps its results.

Exits with 1 if a step failed or ran out of time.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
STAND_IN = Path(__file__).resolve().parent / "driver_api"
PACKAGES = (
    "torch", "triton", "cupy-cuda13x", "cupy-cuda12x", "onnxruntime", "onnxruntime-gpu", "pycuda",
    "tensorrt", "numpy", "opencv-python-headless",
)  # fmt: skip
DRY_TARGET = "sm_90"
"""Target of the CUDA kernels if there is no GPU."""

CHECKED = (
    "test_attentive_morph.py::test_prepared_reference_serves_several_sources[gpu]",
    "test_attentive_morph_backward.py::test_gradients_are_those_of_autograd[gpu-20-3-2-1-float32]",
    "test_frame_operations.py::test_crops_and_inputs[gpu-33-bgr]",
    "test_frame_operations.py::test_composite_of_faces_in_their_order[gpu]",
    "test_frame_operations.py::test_color_maps_of_faces_in_their_order[gpu-2]",
    "test_region_operations.py::test_maps_of_noise[gpu-70-35-float32]",
    "test_region_operations.py::test_histograms_are_matched_bit_for_bit[gpu-2-regions1]",
)
"""Tests for memcheck and racecheck: one per operation, under tests/kernels/cuda."""


@dataclass(frozen=True)
class Machine:
    """The GPU, tools and packages of this machine.

    Attributes:
        gpu: name, driver and compute capability of the first GPU; None: there is none.
        nvcc: the compiler, or None.
        sanitizer: `compute-sanitizer`, or None.
        versions: versions of the relevant installed packages.
        cuda_through: interface that launches the CUDA kernels.
        system: platform and Python.
    """

    gpu: dict[str, str] | None
    nvcc: str | None
    sanitizer: str | None
    versions: dict[str, str]
    cuda_through: str
    system: str


@dataclass(frozen=True)
class Step:
    """One step of the run.

    Attributes:
        name: name in the table.
        command: command to run.
        share: maximum fraction of the total time.
        needs: requirements: "gpu", "nvcc", "sanitizer".
        dry: command for a machine without a GPU; None: skip.
        figures: reads the results for the JSON.
        told: summarises the figures in one line, for the table.
    """

    name: str
    command: Sequence[str]
    share: float
    needs: Sequence[str] = ("gpu",)
    dry: Sequence[str] | None = None
    figures: Callable[[str], dict[str, Any]] = field(default=lambda output: {})
    told: Callable[[dict[str, Any]], str] = field(default=lambda figures: "")


@dataclass(frozen=True)
class Outcome:
    """Outcome of a step.

    Attributes:
        step: its name.
        state: "passed", "failed", "out of time", "not run", or "rehearsed" in a dry run.
        seconds: duration.
        told: summary, or why it was not run.
        figures: its results.
    """

    step: str
    state: str
    seconds: float
    told: str
    figures: dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=10, help="for all steps together")
    parser.add_argument("--dry-run", action="store_true", help="what can be done without a GPU")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    if machine.gpu is None and not options.dry_run:
        print(
            "gpu_run: nvidia-smi finds no GPU here; see the steps with --dry-run", file=sys.stderr
        )
        return 1
    log = options.out / "gpu_run.log"
    log.write_text("")
    start, outcomes = monotonic(), list[Outcome]()
    with tempfile.TemporaryDirectory(prefix="gpu_run-") as work:
        environment = child_environment(Path(work), machine)
        for step in steps(Path(work), machine):
            left = options.minutes * 60 - (monotonic() - start)
            limit = min(step.share * options.minutes * 60, left)
            outcome = perform(step, machine, environment, log, limit, dry=options.dry_run)
            outcomes.append(outcome)
            print(f"{outcome.step}: {outcome.state}, {outcome.seconds:.0f} s. {outcome.told}")
            sys.stdout.flush()
            write_report(options.out, machine, outcomes, dry=options.dry_run)
    return int(any(o.state in ("failed", "out of time") for o in outcomes))


def describe_machine() -> Machine:
    """Look for a GPU, the CUDA tools and packages."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return Machine(
        query_gpu(),
        shutil.which("nvcc") or shutil.which(f"{home}/bin/nvcc"),
        shutil.which("compute-sanitizer") or shutil.which(f"{home}/bin/compute-sanitizer"),
        versions,
        "PyCUDA" if importlib.util.find_spec("pycuda") else "the CUDA driver API (no PyCUDA here)",
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )


def query_gpu() -> dict[str, str] | None:
    """Name, driver, compute capability and memory of the first GPU."""
    fields = ("name", "driver_version", "compute_cap", "memory.total")
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    values = [part.strip() for part in done.stdout.strip().split(",")]
    return dict(zip(fields, values, strict=True)) if len(values) == len(fields) else None


def child_environment(work: Path, machine: Machine) -> dict[str, str]:
    """Environment of the steps: our build and kernels first, and what stands in for PyCUDA."""
    paths = [str(work / "site")]
    if machine.cuda_through != "PyCUDA":
        paths.append(str(STAND_IN))
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "MAKEUP_CUDA_KERNELS": str(work / "kernels"),
        "PYTHONUNBUFFERED": "1",
    }


def steps(work: Path, machine: Machine) -> list[Step]:
    """The steps, most valuable first."""
    python = sys.executable
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    target = DRY_TARGET
    if machine.gpu:
        target = f"sm_{machine.gpu['compute_cap'].replace('.', '')}"
    results = str(work / "tests.xml")
    times, bench = work / "gpu_kernels.json", work / "bench.json"
    measure = [python, "benchmarks/gpu_kernels.py", "--out", str(work / "gpu_kernels")]
    app = [python, "-c", "from makeup_sdk.cli import main; main()", "bench", "-o", str(bench)]
    build = [python, "-m", "makeup_kernels.cuda.build", "--targets", target]
    build += ["--out", str(work / "kernels"), "--report", str(work / "facts.json")]
    found: list[Step] = []
    if not importlib.util.find_spec("makeup_sdk"):
        pip = [python, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
        pip += ["--no-build-isolation", "--target", str(work / "site"), str(ROOT)]
        found.append(Step("build the package", pip, 0.3, (), pip))
    found += [
        Step(
            f"compile the CUDA kernels for {target}", build, 0.3, ("nvcc",), build,
            lambda _: json.loads((work / "facts.json").read_text()), told_of_build,
        ),
        Step(
            "tests of the GPU kernels", [*tests, f"--junitxml={results}", "tests/kernels/gpu"], 0.4,
            ("gpu",), [*tests, "--collect-only", "tests/kernels/gpu"],
            lambda _: read_tests(work / "tests.xml"), told_of_tests,
        ),
        Step(
            "makeup bench on the GPU", [*app, "--device", "cuda", "--frames", "200"], 0.2, ("gpu",),
            [*app, "--frames", "3", "--warmup", "1", "--cold-starts", "1", "--path", "image"],
            lambda _: json.loads(bench.read_text()), told_of_bench,
        ),
        Step(
            "times of the GPU kernels", measure, 0.3, ("gpu",), [*measure[:2], "--help"],
            lambda _: json.loads(times.read_text()) if times.exists() else {}, told_of_times,
        ),
    ]  # fmt: skip
    checked = [*tests, *(f"tests/kernels/cuda/{name}" for name in CHECKED)]
    for tool in ("memcheck", "racecheck"):
        sanitizer = [machine.sanitizer or "compute-sanitizer", "--tool", tool]
        command = [*sanitizer, "--error-exitcode", "99", *checked]
        needs, dry = ("gpu", "sanitizer"), [*checked, "--collect-only"]
        found.append(Step(tool, command, 0.25, needs, dry, read_sanitizer, told_of_sanitizer))
    return found


def perform(
    step: Step,
    machine: Machine,
    environment: dict[str, str],
    log: Path,
    limit: float,
    *,
    dry: bool,
) -> Outcome:
    """Run a step, or its part that runs without a GPU.

    Args:
        step: the step.
        machine: this machine.
        environment: environment of its process.
        log: file for its output.
        limit: time limit in seconds.
        dry: whether to run without a GPU.
    """
    rehearsal = dry and "gpu" in step.needs
    missing = [name for name in step.needs if getattr(machine, name) is None]
    if rehearsal:
        missing = ["gpu"] if step.dry is None else []
    if missing:
        return Outcome(step.name, "not run", 0, f"not found here: {', '.join(missing)}", {})
    if limit < 1:
        return Outcome(step.name, "out of time", 0, "no time was left for it", {})
    command = step.dry if rehearsal and step.dry else step.command
    start = monotonic()
    status, output = run(command, environment, limit)
    seconds = monotonic() - start
    with log.open("a") as file:
        file.write(f"== {step.name}: {' '.join(command)}\n{output}\n")
    if status is None:
        return Outcome(step.name, "out of time", seconds, f"stopped after {limit:.0f} s", {})
    if rehearsal:
        told, figures, readable = "what needs no GPU of it: see the log", {}, True
    else:
        told, figures, readable = results(step, output)
    if status:
        last = output.strip().splitlines()[-1:] or ["nothing was printed"]
        told = f"{told}; exit status {status}: {last[0][:200]}".lstrip("; ")
    passed = "rehearsed" if rehearsal else "passed"
    state = passed if readable and not status else "failed"
    return Outcome(step.name, state, seconds, told, figures)


def results(step: Step, output: str) -> tuple[str, dict[str, Any], bool]:
    """A step's results in a line and as figures, and whether they could be read."""
    try:
        figures = step.figures(output)
        return step.told(figures), figures, True
    except (OSError, ValueError, KeyError, TypeError, ElementTree.ParseError) as error:
        return f"no results to read ({error})", {}, False


def run(
    command: Sequence[str], environment: dict[str, str], limit: float
) -> tuple[int | None, str]:
    """Exit status (None: stopped at the limit) and output of a command and its children."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, output
    return process.returncode, output


def read_tests(path: Path) -> dict[str, Any]:
    """Counts and the names of failures, from pytest's XML."""
    suite = ElementTree.parse(path).getroot().find("testsuite")
    if suite is None:
        raise ValueError(f"{path.name} has no test suite")
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    return {**counts, "failed": failed}


def read_sanitizer(output: str) -> dict[str, Any]:
    """The sanitizer's summary and its first errors."""
    lines = [line.lstrip("= ").strip() for line in output.splitlines() if line.startswith("=====")]
    summary = [line for line in lines if "SUMMARY" in line]
    errors = [line for line in lines if line.startswith(("Invalid", "Error", "Potential", "Race"))]
    ran = re.search(r"(\d+) passed", output)
    if not summary or not ran:
        raise ValueError("the sanitizer gave no summary, or no test ran")
    return {"tests": int(ran[1]), "summary": summary[-1], "errors": errors[:10]}


def told_of_build(figures: dict[str, Any]) -> str:
    kernels = figures["kernels"]
    spills = sum(kernel["spill_store_bytes"] > 0 for kernel in kernels)
    return f"{figures['compiler']}, {len(kernels)} kernels, {spills} with spills"


def told_of_tests(figures: dict[str, Any]) -> str:
    bad = figures["failures"] + figures["errors"]
    passed = figures["tests"] - bad - figures["skipped"]
    text = f"{passed} passed, {bad} failed, {figures['skipped']} skipped"
    return text + "".join(f"; {name}" for name in figures["failed"][:5])


def told_of_bench(figures: dict[str, Any]) -> str:
    lines = figures["results"]
    return "; ".join(
        f"{line['path']} {line['width']}×{line['height']}: p50 {line['end_to_end']['p50']:.1f} ms"
        for line in lines
    )


def told_of_times(figures: dict[str, Any]) -> str:
    parts = []
    for case in figures["cases"]:
        ours = [case["runs"][name]["call"]["p50"] for name in case["ours"]]
        parts.append(f"{case['name']}: {min(ours):.0f} µs a call")
    return "; ".join(parts)


def told_of_sanitizer(figures: dict[str, Any]) -> str:
    return "; ".join([f"{figures['tests']} tests", figures["summary"], *figures["errors"][:3]])


def write_report(out: Path, machine: Machine, outcomes: Sequence[Outcome], *, dry: bool) -> None:
    """Write `gpu_run.json` and `gpu_run.md`."""
    report = {
        "dry_run": dry,
        "machine": asdict(machine),
        "steps": [asdict(outcome) for outcome in outcomes],
    }
    (out / "gpu_run.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    gpu = machine.gpu
    where = "no GPU" if gpu is None else f"{gpu['name']}, driver {gpu['driver_version']}"
    lines = [
        "# GPU run" + (" (dry: nothing ran on a GPU)" if dry else ""),
        "",
        f"{where}; {machine.system}. CUDA kernels through {machine.cuda_through}. "
        + ", ".join(f"{name} {number}" for name, number in machine.versions.items())
        + ".",
        "",
        "| step | state | s | |",
        "|---|---|---|---|",
    ]
    for outcome in outcomes:
        told = outcome.told.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {outcome.step} | {outcome.state} | {outcome.seconds:.0f} | {told} |")
    (out / "gpu_run.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
