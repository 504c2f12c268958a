"""Count the CPU kernels' instructions on fixed inputs with callgrind, free of timing noise.

    python benchmarks/instructions/count.py            # count and compare with the recorded counts
    python benchmarks/instructions/count.py --update   # record the counts

The kernels are built separately from the package, for the baseline instruction set, without
threads, so that the counts depend only on the code and the compiler. results/instructions.json has
the counts per compiler. More than 5 % above the record is an error, and so is more than 5 % below:
record a gain, or it would hide the next loss.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "results" / "instructions.json"
TOLERANCE = 0.05

_KERNELS = ROOT / "kernels" / "makeup_kernels"
_SOURCES = (
    ROOT / "benchmarks" / "instructions" / "harness.cpp",
    ROOT / "kernels" / "src" / "isa.cpp",
    *sorted(_KERNELS.glob("*/cpu*.cpp")),
)
_FLAGS = ("-std=c++17", "-O3", "-DNDEBUG", "-ffp-contract=fast", "-DMAKEUP_ISA=baseline")


def missing_tools() -> list[str]:
    """Programs that counting needs and that are not installed."""
    return [tool for tool in ("c++", "valgrind") if shutil.which(tool) is None]


def compiler_name() -> str:
    """The compiler, its major version and the processor family: what counts depend on."""
    answer = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=True)
    first = answer.stdout.splitlines()[0]
    version = re.search(r"(\d+)\.\d+", first)
    family = "clang" if "clang" in first else "gcc"
    machine = subprocess.run(["c++", "-dumpmachine"], capture_output=True, text=True, check=True)
    return f"{family} {version[1] if version else '?'} {machine.stdout.split('-')[0]}"


def count() -> dict[str, int]:
    """Build the harness and count each of its cases."""
    with tempfile.TemporaryDirectory() as folder:
        harness = Path(folder) / "harness"
        includes = [f"-I{ROOT / 'kernels' / 'src'}", f"-I{_KERNELS}"]
        subprocess.run(["c++", *_FLAGS, *includes, *map(str, _SOURCES), "-o", harness], check=True)
        listing = subprocess.run([harness], capture_output=True, text=True, check=True)
        return {case: _count_case(harness, case) for case in listing.stdout.splitlines()}


def _count_case(harness: Path, case: str) -> int:
    out = harness.with_suffix(".callgrind")
    command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=counted"]
    subprocess.run(
        [*command, f"--callgrind-out-file={out}", harness, case], capture_output=True, check=True
    )
    totals = re.search(r"^totals: (\d+)$", out.read_text(), re.MULTILINE)
    if totals is None or int(totals[1]) == 0:
        raise RuntimeError(f"{case}: callgrind counted nothing; is `counted` inlined?")
    return int(totals[1])


def recorded(compiler: str) -> dict[str, int] | None:
    """The recorded counts of a compiler; None if it has none."""
    if not RECORD.is_file():
        return None
    found: dict[str, int] | None = json.loads(RECORD.read_text())["counts"].get(compiler)
    return found


def check(counts: Mapping[str, int], record: Mapping[str, int]) -> list[str]:
    """Problems of counts compared with a record; empty if none."""
    problems = [
        f"{case}: counted, but not recorded; record it with --update"
        for case in counts
        if case not in record
    ]
    for case, expected in record.items():
        if case not in counts:
            problems.append(f"{case}: recorded, but no longer counted; record anew with --update")
            continue
        change = counts[case] / expected - 1
        if abs(change) > TOLERANCE:
            advice = "find out why" if change > 0 else "record the gain with --update"
            problems.append(
                f"{case}: {counts[case]:,} instructions, {change:+.1%} against {expected:,} "
                f"(tolerance {TOLERANCE:.0%}); {advice}"
            )
    return problems


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="record what was counted")
    options = parser.parse_args()
    if missing_tools():
        sys.exit(f"needs {' and '.join(missing_tools())}: apt-get install g++ valgrind")
    compiler, counts = compiler_name(), count()
    print(compiler)
    for case, instructions in counts.items():
        print(f"{instructions:14,}  {case}")
    if options.update:
        data = json.loads(RECORD.read_text()) if RECORD.is_file() else {"counts": {}}
        data["tolerance"] = TOLERANCE
        data["counts"][compiler] = counts
        RECORD.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
        return
    record = recorded(compiler)
    if record is None:
        sys.exit(f"no counts are recorded for {compiler}; record them with --update")
    problems = check(counts, record)
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
