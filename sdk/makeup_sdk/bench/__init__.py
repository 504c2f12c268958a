"""Measure an engine on this machine: `makeup bench`, as a library.

report = run_bench(BenchOptions(sizes=((1280, 720),), faces=(1, 2)))
print(report.results[0].total.p50)
"""

from makeup_sdk.bench.compare import Change, Comparison, compare_reports
from makeup_sdk.bench.options import PRESETS, BenchOptions, Scenario
from makeup_sdk.bench.report import ColdStart, Measurement, Memory, Report, Samples, load_report
from makeup_sdk.bench.run import run_bench

__all__ = [
    "PRESETS",
    "BenchOptions",
    "Change",
    "ColdStart",
    "Comparison",
    "Measurement",
    "Memory",
    "Report",
    "Samples",
    "Scenario",
    "compare_reports",
    "load_report",
    "run_bench",
]
