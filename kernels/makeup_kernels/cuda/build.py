"""Compile the CUDA kernels, without a GPU: `python -m makeup_kernels.cuda.build`.

Needs nvcc of CUDA 12.8 or later (13 for sm_110). Writes one fatbin per operation with code for each
target, and a manifest; `--report` writes each kernel's registers and memory use.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from makeup_kernels.cores import usable_cores
from makeup_kernels.cuda.code import OPERATIONS, PACKAGE, compiled_folder, write_manifest
from makeup_kernels.errors import BackendUnavailableError, MakeupError
from makeup_kernels.files import make_folder, write_atomically

TARGETS = ("sm_87", "sm_89", "sm_90", "sm_100", "sm_110", "sm_120", "compute_80")
"""Orin, Ada, Hopper, Blackwell (data centre), Thor, Blackwell (desktop), and PTX for all others."""

FLAGS = ("-std=c++17", "-O3", "-Xptxas", "-v,-warn-spills,-warn-lmem-usage")

_ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class KernelFacts:
    """Resources of one kernel on one target.

    Attributes:
        operation: the folder it comes from.
        kernel: its name.
        target: "sm_90", ...
        registers: per thread.
        shared_bytes: shared memory per block.
        stack_bytes: local memory per thread.
        spill_store_bytes: registers spilled to local memory, per thread.
        spill_load_bytes: spilled bytes read back, per thread.
    """

    operation: str
    kernel: str
    target: str
    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int


class KernelBuildError(MakeupError):
    """nvcc rejects a source or a target."""


def find_nvcc(path: str | None = None) -> str:
    """Path of nvcc: the one given, else CUDA_HOME's, PATH's, or the default location.

    Raises:
        BackendUnavailableError: not found.
    """
    home = os.environ.get("CUDA_HOME")
    for candidate in (path, home and f"{home}/bin/nvcc", "nvcc", "/usr/local/cuda/bin/nvcc"):
        found = shutil.which(candidate) if candidate else None
        if found:
            return found
    raise BackendUnavailableError(
        f"{path or 'nvcc'}: not found; install the CUDA toolkit (13 for all targets), or say where "
        "it is with --nvcc or CUDA_HOME"
    )


def compile_operation(
    operation: str, targets: Sequence[str], out: Path, nvcc: str
) -> list[KernelFacts]:
    """Compile one operation to a fatbin.

    Args:
        operation: one of `OPERATIONS`.
        targets: "sm_NN" for code, "compute_NN" for PTX.
        out: the file to write.
        nvcc: the compiler.

    Returns:
        the facts of each kernel on each "sm_NN" target.

    Raises:
        KernelBuildError: nvcc failed; the message is the compiler's.
    """
    source = PACKAGE / operation / "cuda.cu"
    if not source.is_file():
        raise KernelBuildError(
            f"{source}: missing; the sources come with the sdist and the repository"
        )
    codes = []
    for target in targets:
        number = target.partition("_")[2]
        codes += ["-gencode", f"arch=compute_{number},code={target}"]
    command = [nvcc, "-fatbin", *FLAGS, f"-I{PACKAGE}", *codes, "-o", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KernelBuildError(f"{operation}: {done.stderr.strip() or 'nvcc failed'}")
    return parse_facts(operation, done.stdout + done.stderr)


def parse_facts(operation: str, log: str) -> list[KernelFacts]:
    """Read the assembler's report (`-Xptxas -v`)."""
    facts, kernel, target, stack = [], "", "", (0, 0, 0)
    for line in log.splitlines():
        if entry := _ENTRY.search(line):
            kernel, target = entry[1], entry[2]
        elif frame := _STACK.search(line):
            stack = (int(frame[1]), int(frame[2]), int(frame[3]))
        elif used := _USED.search(line):
            shared = _SHARED.search(line)
            facts.append(
                KernelFacts(
                    operation, kernel, target, int(used[1]), int(shared[1]) if shared else 0, *stack
                )
            )
    return sorted(facts, key=lambda fact: (fact.kernel, int(fact.target.partition("_")[2])))


def build(
    targets: Sequence[str] = TARGETS, out: Path | None = None, nvcc: str | None = None
) -> list[KernelFacts]:
    """Compile every operation and write the manifest, replacing older files.

    Args:
        targets: "sm_NN" and "compute_NN".
        out: the folder; None: `compiled_folder()`.
        nvcc: the compiler; None: `find_nvcc`.

    Returns:
        the facts of every kernel and target.

    Raises:
        BackendUnavailableError: nvcc is missing.
        KernelBuildError: nvcc rejects a source or a target.
        OutputError: the folder cannot be written.
    """
    compiler = find_nvcc(nvcc)
    folder = out or compiled_folder()
    make_folder(folder)
    with tempfile.TemporaryDirectory() as place:
        files = {name: Path(place) / f"{name}.fatbin" for name in OPERATIONS}
        with ThreadPoolExecutor(usable_cores()) as pool:
            compiled = pool.map(
                lambda name: compile_operation(name, targets, files[name], compiler), OPERATIONS
            )
            facts = [fact for found in compiled for fact in found]
        for path in files.values():
            write_atomically(folder / path.name, path.read_bytes())
    write_manifest(folder, tuple(targets), compiler_version(compiler))
    return facts


def compiler_version(nvcc: str) -> str:
    """nvcc's version, as in "13.0.88"."""
    done = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\bV(\d+(?:\.\d+)+)", done.stdout)
    return version[1] if version else "unknown"


def write_report(path: Path, facts: Sequence[KernelFacts], nvcc: str) -> None:
    """Write the facts as JSON: tool, flags, one entry per kernel and target."""
    report = {
        "compiler": f"nvcc {compiler_version(nvcc)}",
        "flags": " ".join(FLAGS),
        "kernels": [asdict(fact) for fact in facts],
    }
    write_atomically(path, (json.dumps(report, indent=1) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m makeup_kernels.cuda.build", description="Compile the CUDA kernels."
    )
    parser.add_argument(
        "--targets", default="all", help=f"'all' ({','.join(TARGETS)}), or some by comma"
    )
    parser.add_argument("--out", type=Path, help="folder to write to; default: the package's own")
    parser.add_argument("--report", type=Path, help="JSON file for registers, memory and spills")
    parser.add_argument("--nvcc", help="the compiler")
    asked = parser.parse_args(arguments)
    targets = TARGETS if asked.targets == "all" else tuple(asked.targets.split(","))
    try:
        facts = build(targets, asked.out, asked.nvcc)
        if asked.report:
            write_report(asked.report, facts, find_nvcc(asked.nvcc))
    except MakeupError as error:
        print(error, file=sys.stderr)
        return 1
    spilled = sorted({fact.kernel for fact in facts if fact.spill_store_bytes})
    print(
        f"{len({fact.kernel for fact in facts})} kernels for {', '.join(targets)} in "
        f"{asked.out or compiled_folder()}; spilling: {', '.join(spilled) or 'none'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
