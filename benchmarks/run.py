"""Regenerate every published number, table and plot.

    python benchmarks/run.py                      # without pictures, about 15 minutes
    python benchmarks/run.py --all --data FACES   # and the quality of faces and makeup on pictures
    python benchmarks/run.py --only kernels scaling

Results go to benchmarks/results/: a JSON file per step, plots, and README.md with the tables. A
file is replaced only if its step succeeds; failed steps are listed at the end. Do not use the
machine meanwhile. The overfit checks of the recipes take hours and have their own commands, in
results/training/README.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tables import RESULTS, write_readme

from makeup_kernels.dispatch import cpu_isa
from makeup_sdk.bench.report import load_report

HERE = Path(__file__).parent
Command = list[str]


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: for `--only`.
        command: returns the command, from the output folder and the faces folder.
        needs_faces: whether it is skipped without `--data`.
        script: script of the command; the step is skipped if it is missing.
        tool: tool of the command; the step is skipped if it is not installed.
    """

    name: str
    command: Callable[[Path, Path | None], Command]
    needs_faces: bool = False
    script: str = ""
    tool: str = ""


def suite(json_name: str, *files: str) -> Callable[[Path, Path | None], Command]:
    """A step of pytest-benchmark that writes one JSON file."""

    def command(out: Path, faces: Path | None) -> Command:
        paths = [str(HERE / file) for file in files]
        options = ["-q", "--benchmark-only", f"--benchmark-json={out / json_name}"]
        return [sys.executable, "-m", "pytest", *paths, *options]

    return command


def bench(out: Path, faces: Path | None) -> Command:
    """`makeup bench --desktop`; results are stored per instruction set."""
    name = f"bench-{cpu_isa()}"
    code = "from makeup_sdk.cli import main; main()"
    files = ["-o", str(out / f"{name}.json"), "--plot", str(out / f"{name}.svg")]
    return [sys.executable, "-c", code, "bench", "--desktop", *files]


def script(name: str, *options: str) -> Command:
    """A script beside this file."""
    return [sys.executable, str(HERE / name), *options]


def module(name: str, *options: str) -> Command:
    """A command of the packages."""
    return [sys.executable, "-m", name, *options]


SUITES = {
    "analysis": "test_face_analysis.py",
    "process": "test_process.py",
    "sessions": "test_sessions.py",
    "one_graph": "test_fused_graph.py",
}
"""Suites with their own result file; the others belong to the kernels."""

STEPS = (
    Step(
        "kernels",
        suite(
            "kernels.json",
            *sorted({path.name for path in HERE.glob("test_*.py")} - set(SUITES.values())),
        ),
    ),
    *(Step(name, suite(f"{name}.json", file)) for name, file in SUITES.items()),
    Step("bench", bench),
    Step("parallel", lambda out, faces: script("parallel.py", "--output", str(out))),
    Step(
        "catalogue",
        lambda out, faces: script("catalogue.py", "--output", str(out)),
        script="catalogue.py",
    ),
    Step("scaling", lambda out, faces: script("scaling.py", "--output", str(out))),
    Step("instructions", lambda out, faces: script("instructions/count.py", "--update")),
    Step("faces", lambda out, faces: script("faces.py", "--data", str(faces)), needs_faces=True),
    Step(
        "arrival",
        lambda out, faces: script("arrival.py", "--data", str(faces), "--out", str(out)),
        needs_faces=True,
    ),
    Step(
        "quality",
        lambda out, faces: script("quality.py", "--data", str(faces), "--out", str(out)),
        needs_faces=True,
        script="quality.py",
    ),
    Step(
        "aot_triton",
        lambda out, faces: module("makeup_kernels.aot", "--report", str(out / "aot_triton.json")),
    ),
    Step(
        "aot_cuda",
        lambda out, faces: module(
            "makeup_kernels.cuda.build",
            *("--out", str(out / "cubins"), "--report", str(out / "aot_cuda.json")),
        ),
        tool="nvcc",
    ),
    Step(
        "gpu",
        lambda out, faces: script("gpu_kernels.py", "--out", str(out / "gpu_kernels")),
        tool="nvidia-smi",
        script="gpu_kernels.py",
    ),
)


def reason_to_skip(step: Step, faces: Path | None) -> str:
    """Why a step cannot run here; empty if it can."""
    if step.script and not (HERE / step.script).is_file():
        return f"there is no {step.script}"
    if step.needs_faces and faces is None:
        return "it needs --all --data FACES"
    if step.tool and shutil.which(step.tool) is None:
        return f"it needs {step.tool}"
    return ""


def run_step(step: Step, faces: Path | None) -> bool:
    """Run a step in a temporary folder, and move its files to the results if it succeeds."""
    environment = dict(os.environ)
    if faces is not None:
        environment["MAKEUP_FACES"] = str(faces)
    with tempfile.TemporaryDirectory() as folder:
        command = step.command(Path(folder), faces)
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            return False
        for written in Path(folder).iterdir():
            if written.match("bench-*.json"):
                load_report(written).without_samples().save(RESULTS / written.name)
            elif written.is_file():
                shutil.copyfile(written, RESULTS / written.name)
    return True


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="faces and quality too; needs --data")
    parser.add_argument("--data", type=Path, help="the faces folder")
    parser.add_argument(
        "--only", nargs="+", choices=[step.name for step in STEPS], help="these steps alone"
    )
    options = parser.parse_args()
    if options.all and options.data is None:
        parser.error("--all needs --data, the faces folder")
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data {options.data}: no such folder")
    names = options.only or [s.name for s in STEPS if options.all or not s.needs_faces]
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for step in STEPS:
        if step.name not in names:
            continue
        skip = reason_to_skip(step, options.data)
        if skip:
            print(f"== {step.name}: left out, {skip}", flush=True)
            continue
        print(f"== {step.name}", flush=True)
        start = time.monotonic()
        good = run_step(step, options.data)
        if not good:
            failed.append(step.name)
        word = "done" if good else "FAILED"
        print(f"== {step.name}: {word} in {time.monotonic() - start:.0f} s", flush=True)
    print(f"== wrote {write_readme()}", flush=True)
    if failed:
        sys.exit(f"failed, results left as they were: {', '.join(failed)}")


if __name__ == "__main__":
    main()
