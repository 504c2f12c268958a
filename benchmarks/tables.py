"""The tables of results/README.md, from the files beside it: `python benchmarks/tables.py`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from makeup_sdk.bench.machine import is_busy
from makeup_sdk.bench.report import Report, load_report

RESULTS = Path(__file__).parent / "results"

SUITES = (
    ("process.json", "Whole frames, and reading a look"),
    ("kernels.json", "Kernels"),
    ("analysis.json", "Face analysis"),
    ("sessions.json", "Networks of the published systems"),
    ("one_graph.json", "One graph for everything"),
)
"""Result files of pytest-benchmark, and their titles."""

PEERS = ("torch", "opencv", "scikit_image", "kornia", "numpy", "ncnn", "one_graph")
"""Substrings in the names of peers' benchmarks; the others of a group are our own variants."""

OTHERS = (
    ("faces.md", "accuracy and speed of face analysis"),
    ("quality.md", "what makeup leaves alone: texture, landmarks, stillness"),
    ("training/README.md", "training runs of the published systems"),
    ("gpu_kernels.md", "GPU kernels"),
)

_BENCH = """`makeup bench --desktop`; *image* finds the faces of every frame anew, *stream* follows
them. Model only: making the makeup, without finding the face and putting it back. AVX2: the same
processor with every library held to AVX2, ONNX Runtime in a copy whose AVX-512 is switched off.
"""

ISA_NAMES = {"baseline": "baseline", "avx2": "AVX2", "avx512": "AVX-512"}
"""Display names of instruction sets, the narrowest first."""

_PARALLEL = """One picture of 1280x720 with one face again and again, in a Python thread for each
engine. Threads above the cores are brought down to them.
"""

_CATALOGUE = """`makeup catalogue`: JPEG photos of 1280x720 with one face, read, made up, written.
CPU time is that of all processes, Ray's own among them; on a busy machine only it compares.
"""

_LOOKS = {
    "lipsticks": "lipsticks",
    "references": "reference photos",
    "full": "shipped looks, 5 to 8 products each",
}

_INSTRUCTIONS = """One call on one thread, baseline instruction set, counted by callgrind: the same
on a busy machine. A test holds the kernels to within {} of them.
"""

_HEAD = """# Benchmark results

Made by `python benchmarks/run.py --all --data FACES`, not by hand; `makeup bench` measures your own
machine. All in one table ran in one process, one after the other, on the same inputs, and medians
are compared: above 1 the rival takes longer than we do, below 1 **we lose**. `fastest` is the best
single run: where it lies far below the median, other programs were disturbing the machine.
"""


@dataclass(frozen=True)
class Line:
    """One benchmark: its group and name, seconds, and its ratio to the group's first own one.

    `ratio` is 1 for that one, and None if the group has none or the work differs.
    """

    group: str
    name: str
    median: float
    fastest: float
    ratio: float | None
    is_peer: bool


def readable(name: str) -> str:
    """`test_torch[published]` to "torch (published)"."""
    match = re.fullmatch(r"test_([^\[]+)(?:\[(.*)\])?", name)
    if match is None:
        return name
    words = match[1].replace("_", " ")
    return f"{words} ({match[2].replace('_', ' ').strip('()')})" if match[2] else words


def lines_of(data: Mapping[str, Any]) -> Iterator[Line]:
    """The benchmarks of a pytest-benchmark file, group by group in their order."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for bench in data["benchmarks"]:
        groups.setdefault(bench["group"] or bench["name"], []).append(bench)
    for group, benches in groups.items():
        ours = next((b for b in benches if b["extra_info"].get("ours")), None)
        for bench in benches:
            seconds = bench["stats"]["median"]
            products = bench["extra_info"].get("multiply_adds")
            rate = f", {products / seconds / 1e9:.3g} GMAC/s" if products else ""
            same_work = "matmul_rate" not in bench["name"]
            yield Line(
                group,
                readable(bench["name"]) + rate,
                seconds,
                bench["stats"]["min"],
                seconds / ours["stats"]["median"] if ours and same_work else None,
                any(peer in bench["name"] for peer in PEERS) and same_work,
            )


def machine_line(machine: Mapping[str, Any]) -> str:
    """The machine of a file's measurements."""
    versions = ", ".join(
        f"{name} {version}"
        for name, version in machine["versions"].items()
        if name not in ("python", "makeup-sdk")
    )
    busy = " Other programs were running." if is_busy(machine) else ""
    return (
        f"*{machine['cpu']}, {machine['threads']} threads of {machine['cores']} cores, "
        f"{machine['isa']}; {versions}.{busy}*\n"
    )


def suite_section(title: str, data: Mapping[str, Any]) -> list[str]:
    """One pytest-benchmark file as tables."""
    parts = [f"## {title}\n", machine_line(data["machine_info"])]
    group = None
    for line in lines_of(data):
        if line.group != group:
            group = line.group
            parts += [
                f"\n**{group}**\n\n| | median, ms | fastest, ms | against ours |\n|---|--:|--:|--:|"
            ]
        times = f"{_milliseconds(line.median)} | {_milliseconds(line.fastest)}"
        parts.append(f"| {line.name} | {times} | {_against(line)} |")
    return [*parts, ""]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:,.0f}"


def _against(line: Line) -> str:
    if line.ratio is None:
        return ""
    shown = f"{line.ratio:.2f}" if line.ratio < 10 else f"{line.ratio:.0f}"
    return f"**{shown}**" if line.is_peer and line.ratio < 1 else shown


def losses(lines: list[Line]) -> list[str]:
    """Every peer that is faster than ours."""
    found = [line for line in lines if line.is_peer and line.ratio is not None and line.ratio < 1]
    parts = ["## Where we lose\n"]
    parts += [
        f"- {line.group}: {line.name} takes {line.ratio:.2f} of our time"
        for line in found
        if line.ratio is not None
    ]
    return [*parts, "" if found else "Nowhere, in the comparisons above.\n"]


def bench_section(reports: Mapping[str, Report]) -> list[str]:
    """The reports of `makeup bench` side by side, by instruction set, the narrowest first."""
    parts = ["## From frame to frame\n", _BENCH]
    parts += [machine_line(report.machine) for report in reports.values()]
    columns = []
    for isa in reports:
        picture = f"Milliseconds per frame by stage, and their distribution, {ISA_NAMES[isa]}"
        parts.append(f"![{picture}](bench-{isa}.svg)\n")
        columns += [f"{ISA_NAMES[isa]} {name}" for name in ("p50", "p95", "p99", "model only")]
    parts += [f"| milliseconds | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    rows: dict[str, dict[str, list[str]]] = {}
    for isa, report in reports.items():
        for result in report.results:
            total, model = result.total, result.model_only
            times = [total.p50, total.p95, total.p99, *([model.p50] if model else [])]
            shown = [f"{time:.1f}" for time in times]
            rows.setdefault(result.scenario.label, {})[isa] = shown + [""] * (4 - len(shown))
    for label, found in rows.items():
        cells = [cell for isa in reports for cell in found.get(isa, [""] * 4)]
        parts.append(f"| {label} | {' | '.join(cells)} |")
    parts.append("")
    parts += filter(None, map(_start_and_memory, reports.values()))
    return [*parts, ""]


def _start_and_memory(report: Report) -> str:
    parts = []
    if report.cold_starts:
        whole = median(start.total for start in report.cold_starts)
        imports = median(start.imports for start in report.cold_starts)
        engine = median(start.engine for start in report.cold_starts)
        look = median(start.look for start in report.cold_starts)
        parts.append(
            f"{ISA_NAMES[report.machine['isa']]}: a fresh process has its first frame after "
            f"{whole:.0f} ms: import {imports:.0f}, engine {engine:.0f}, reading the look "
            f"{look:.0f}."
        )
    if report.memory:
        parts.append(
            f"It holds {report.memory.ready:.0f} MiB with a look on, {report.memory.peak:.0f} MiB "
            "at most."
        )
    return "\n".join(parts)


def parallel_section(data: Mapping[str, Any]) -> list[str]:
    """Frames of several engines at once, by engines and threads."""
    parts = [
        "## Several engines at once\n",
        _PARALLEL,
        machine_line(data["machine"]),
        "| engines | threads each | frames/s in all | p50, ms | p95, ms |",
        "|--:|--:|--:|--:|--:|",
    ]
    cores = data["usable_cores"]
    for point in data["points"]:
        asked = point["threads"]
        threads = str(asked) if asked <= cores else f"{asked}, brought down to {cores}"
        rate, p50, p95 = (point[key] for key in ("frames_per_second", "p50", "p95"))
        parts.append(f"| {point['engines']} | {threads} | {rate:.1f} | {p50:.1f} | {p95:.1f} |")
    return [*parts, ""]


def catalogue_section(data: Mapping[str, Any]) -> list[str]:
    """Cost of a catalogue compared with a plain loop, with more looks, and on Ray."""
    loop, looks = data["beside_a_loop"], data["looks"]
    more, rate = 100 * loop["overhead_cpu"], 1e3 / loop["catalogue_wall_ms"]
    ours = f"the same by the catalogue, in one process: {more:+.0f} % CPU"
    parts = [
        "## Catalogues\n",
        _CATALOGUE,
        machine_line(data["machine"]),
        "| one look a photo | CPU ms an image | images/s |",
        "|---|--:|--:|",
        f"| a plain loop | {loop['loop_cpu_ms']:.1f} | {1e3 / loop['loop_wall_ms']:.1f} |",
        f"| {ours} | {loop['catalogue_cpu_ms']:.1f} | {rate:.1f} |",
    ]
    rows = {f"{count} processes": row for count, row in data.get("processes", {}).items()}
    on_ray = data.get("on_ray", {})
    rows |= {f"Ray: {name}": row for name, row in on_ray.items() if "workers" in name}
    for name, row in rows.items():
        beside = ""
        if "overhead_cpu" in row:
            beside = f": {100 * row['overhead_cpu']:+.0f} % CPU beside as many plain loops"
        parts.append(f"| {name}{beside} | {row['cpu_ms']:.1f} | {row['images_per_second']:.1f} |")
    parts += [
        "",
        "| CPU ms a photo, in one process | 1 look | 4 | 20 | 20 looks cost |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, row in looks.items():
        costs = " | ".join(f"{row[count]:.0f}" for count in ("1", "4", "20"))
        parts.append(f"| {_LOOKS.get(name, name)} | {costs} | {row['ratio_20']:.1f}× one |")
    held = data["memory"]
    early, late = (f"{held[key]:.0f}" for key in ("early_mib", "late_mib"))
    count = held["photos"]
    parts += [
        "",
        f"A worker holds {early} MiB after a quarter of {count} photos, {late} after all.",
    ]
    kinds = {"workers": "worker processes", "actors": "Ray's actors", "nodes": "Ray's nodes"}
    for kind, name in kinds.items():
        kills = data["kills"].get(kind)
        if kills:
            parts.append(
                f"{kills['kills']} kills of {name} in the middle of their work: "
                f"{kills['rows_that_differ']} rows of the reports differ from an undisturbed run's."
            )
    return [*parts, ""]


def scaling_section(data: Mapping[str, Any]) -> list[str]:
    """The curves with their fits."""
    parts = [
        "## How cost grows\n",
        machine_line(data["machine"]),
        "![How cost grows with threads, faces, pixels and cells](scaling.svg)\n",
        "| | milliseconds | line |",
        "|---|---|---|",
    ]
    for curve in data["curves"].values():
        points = zip(curve["labels"], curve["ms"], strict=True)
        shown = ", ".join(f"{label}: {ms:.3g}" for label, ms in points)
        parts.append(f"| {curve['title']} | {shown} | {_fit(curve)} |")
    grids = [curve for name, curve in data["curves"].items() if name.startswith("grid")]
    growing, fixed = (curve["fit"]["exponent_of_grid_cells"] for curve in grids)
    parts.append(
        "\nCost of `attentive_morph` follows the pairs of cells that lie in the same region, not "
        f"the grid: one line fits both series (R² {grids[0]['fit']['r2']:.3f}). On grids of 32² to "
        "128² cells time grows with the grid's cells to the power of "
        f"{fixed:.2f} with the same face cells in them, and of {growing:.2f} with a face that "
        "grows with the grid; dense attention has 2 in either case.\n"
    )
    return parts


def _fit(curve: Mapping[str, Any]) -> str:
    fit = curve["fit"]
    if not fit:
        return f"{curve['ms'][0] / curve['ms'][-1]:.2f} x from {curve['labels'][0]} to " + str(
            curve["labels"][-1]
        )
    return f"{fit['constant']:.3g} + {fit['slope']:.3g} per {curve['unit']}, R² {fit['r2']:.3f}"


def instructions_section(data: Mapping[str, Any]) -> list[str]:
    """The recorded instruction counts."""
    compilers = list(data["counts"])
    cases = sorted({case for counts in data["counts"].values() for case in counts})
    parts = [
        "## Instructions\n",
        _INSTRUCTIONS.format(f"{data['tolerance']:.0%}"),
        f"| | {' | '.join(compilers)} |",
        "|---|" + "--:|" * len(compilers),
    ]
    for case in cases:
        counts = [data["counts"][compiler].get(case) for compiler in compilers]
        parts.append(f"| {case} | {' | '.join(f'{n:,}' if n else '' for n in counts)} |")
    return [*parts, ""]


def write_readme(results: Path = RESULTS) -> Path:
    """Make README.md from the files that are there."""
    parts = [_HEAD]
    benches = {isa: results / f"bench-{isa}.json" for isa in ISA_NAMES}
    reports = {isa: load_report(path) for isa, path in benches.items() if path.is_file()}
    if reports:
        parts += bench_section(reports)
    lines: list[Line] = []
    for file, title in SUITES:
        if (results / file).is_file():
            data = json.loads((results / file).read_text())
            parts += suite_section(title, data)
            lines += lines_of(data)
    parts += losses(lines)
    for file, section in (
        ("parallel.json", parallel_section),
        ("catalogue.json", catalogue_section),
        ("scaling.json", scaling_section),
        ("instructions.json", instructions_section),
    ):
        if (results / file).is_file():
            parts += section(json.loads((results / file).read_text()))
    others = [f"- [{what}]({file})" for file, what in OTHERS if (results / file).is_file()]
    if others:
        parts += ["## Elsewhere\n", *others]
    path = results / "README.md"
    path.write_text("\n".join(parts).rstrip() + "\n")
    return path


if __name__ == "__main__":
    print(write_readme())
