"""Print reports and comparisons as tables."""

from statistics import median

from rich.console import Console
from rich.table import Table

from makeup_sdk.bench.compare import WHOLE_FRAME, Change, Comparison
from makeup_sdk.bench.machine import is_busy
from makeup_sdk.bench.report import Report, Times

_STYLES = {"faster": "green", "slower": "red"}


def show_report(console: Console, report: Report) -> None:
    """Print latencies, stages, cold start, memory and the machine."""
    latency = Table(title="milliseconds per frame", title_justify="left", show_edge=False)
    latency.add_column("", no_wrap=True)
    for name in ("p50", "p95", "p99", "frames/s", "model only p50", "p95"):
        latency.add_column(name, justify="right")
    names = list(dict.fromkeys(name for result in report.results for name in result.stages))
    stages = Table(title="stages, p50 / p95", title_justify="left", show_edge=False)
    stages.add_column("", no_wrap=True)
    for name in names:
        stages.add_column(name, justify="right")
    for result in report.results:
        label, total, model = result.scenario.label, result.total, result.model_only
        latency.add_row(
            label,
            *(f"{value:.1f}" for value in (total.p50, total.p95, total.p99, 1e3 / total.p50)),
            *((f"{model.p50:.1f}", f"{model.p95:.1f}") if model else ("", "")),
        )
        stages.add_row(label, *(_pair(result.stages.get(name)) for name in names))
    for table in (latency, stages):
        console.print(table)
        console.print()
    for line in _lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if is_busy(report.machine):
        console.print(
            "other programs kept "
            f"{report.machine['busy_cores']} cores busy: expect better figures on a quiet machine",
            style="yellow",
        )


def _pair(times: Times | None) -> str:
    return f"{times.p50:.1f} / {times.p95:.1f}" if times else ""


def _lines(report: Report) -> list[str]:
    lines = []
    starts = report.cold_starts
    if starts:
        parts = {
            "interpreter": [start.interpreter for start in starts],
            "import": [start.imports for start in starts],
            "engine": [start.engine for start in starts],
            "look": [start.look for start in starts],
            "first frame": [start.frame for start in starts],
        }
        whole = median(start.total for start in starts)
        shown = ", ".join(f"{name} {median(times):.0f}" for name, times in parts.items())
        lines.append(f"cold start: {whole:.0f} ms ({shown}; medians of {len(starts)})")
    if report.memory:
        held = report.memory
        lines.append(
            f"memory: {held.peak:.0f} MiB at most, {held.ready:.0f} with a look on, "
            f"{held.imported:.0f} after import"
        )
    return [*lines, describe_machine(report)]


def describe_machine(report: Report) -> str:
    """One line with model, processor, threads and versions."""
    machine, settings = report.machine, report.settings
    versions = machine.get("versions") or {}
    facts = [
        f"model {settings.get('model')}",
        str(machine.get("board") or machine.get("cpu")),
        f"{machine.get('threads')} of {machine.get('cores')} cores",
        str(machine.get("isa")),
        *([str(machine["gpu"])] if machine.get("gpu") else []),
        *(f"{name} {versions[name]}" for name in ("makeup-sdk", "onnxruntime") if name in versions),
    ]
    return ", ".join(facts)


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Print how B differs from A, with confidence intervals."""
    table = Table(
        title="B against A, medians in milliseconds", title_justify="left", show_edge=False
    )
    table.add_column("", no_wrap=True)
    for name in ("A", "B", "B / A", "95 % interval"):
        table.add_column(name, justify="right")
    table.add_column("")
    for scenario, changes in comparison.changes:
        for change in changes:
            whole = change.what == WHOLE_FRAME
            table.add_row(scenario.label if whole else f"  {change.what}", *_cells(change))
    console.print(table)
    for name, unit, pair in (
        ("cold start", "ms", comparison.cold_start),
        ("memory", "MiB", comparison.memory),
    ):
        if pair:
            ratio = pair[1] / pair[0]
            console.print(f"{name}: {pair[0]:.0f} {unit} in A, {pair[1]:.0f} in B, {ratio:.2f} x")
    for scenario in comparison.unmatched:
        console.print(f"only in one of them: {scenario.label}", markup=False)
    for difference in comparison.differences:
        console.print(f"not the same: {difference}", style="yellow", markup=False, soft_wrap=True)


def _cells(change: Change) -> tuple[str, ...]:
    style = _STYLES.get(change.verdict)
    verdict = f"[{style}]{change.verdict}[/]" if style else change.verdict
    return (
        f"{change.before:.2f}",
        f"{change.after:.2f}",
        f"{change.ratio:.3f}",
        f"{change.low:.3f}–{change.high:.3f}",
        verdict,
    )
