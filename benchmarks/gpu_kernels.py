"""Measure the GPU kernels against torch on this machine's GPU.

    python benchmarks/gpu_kernels.py --out benchmarks/results/gpu_kernels

writes `gpu_kernels.json` and `gpu_kernels.md`. Every run of a case does the same work on arrays
already on the GPU; results are compared first. "device" is the GPU time of one call from a CUDA
graph (CUDA events, median of the replays); "call" is the time of a call from Python, including
launches. Runs are compared by "device" if all runs of a case have it, else by "call".

The roofline estimate is the time for the bytes or the multiply-adds alone, at the rates of a plain
copy and a plain matrix product, measured in the same session. The table marks runs that could not
be measured.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from makeup_kernels.dispatch import DEVICE_BACKENDS, unavailable

NOT_MEASURED = "not measured"
_WARM_UP, _REPLAYS, _COPY_BYTES, _PRODUCT = 10, 200, 1 << 28, 4096


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="path of the results, no suffix")
    parser.add_argument("--only", help="cases whose name holds this")
    options = parser.parse_args(arguments)
    reasons = {name: unavailable(name) for name in DEVICE_BACKENDS}
    backends = tuple(name for name, reason in reasons.items() if reason is None)
    try:
        import torch
    except ImportError:
        torch = None
    if torch is None or not torch.cuda.is_available() or not backends:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)
        print(f"gpu_kernels: nothing to measure without a CUDA GPU ({why})", file=sys.stderr)
        return 1
    from gpu_cases import cases

    machine = describe_machine(torch)
    rates = measure_rates(torch)
    results = []
    for build in cases("cuda", backends):
        case = build()
        if options.only and options.only not in case.name:
            continue
        results.append(measure_case(torch, case, rates))
        print(case.name, results[-1]["runs"], flush=True)
        torch.cuda.empty_cache()
    machine["clocks after"] = query_gpu("clocks.sm,clocks.mem")
    report = {
        "machine": machine,
        "rates": rates,
        "unavailable": {name: reason for name, reason in reasons.items() if reason},
        "cases": results,
    }
    options.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    options.out.with_suffix(".md").write_text(markdown(report))
    return 0


def describe_machine(torch: Any) -> dict[str, Any]:
    """GPU, driver, clocks as found, versions."""
    import triton

    name, driver, power, sm, memory = query_gpu(
        "name,driver_version,power.limit,clocks.max.sm,clocks.max.mem"
    )
    return {
        "gpu": name,
        "driver": driver,
        "power limit": power,
        "clocks at most": [sm, memory],
        "clocks before": query_gpu("clocks.sm,clocks.mem"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": triton.__version__,
        "python": platform.python_version(),
    }


def query_gpu(fields: str) -> list[str]:
    """Fields of nvidia-smi for the first GPU; "unknown" where it is missing."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ["unknown"] * len(fields.split(","))
    return [part.strip() for part in done.stdout.strip().split(",")]


def measure_rates(torch: Any) -> dict[str, float]:
    """This GPU's rates of a plain copy (bytes/s) and of matrix products (multiply-adds/s)."""
    source = torch.empty(_COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = median(time_graph(torch, lambda: target.copy_(source)))
    rates = {"bytes": 2 * _COPY_BYTES / copy}
    torch.backends.cuda.matmul.allow_tf32 = True
    for name, dtype in (("fp16", torch.float16), ("tf32", torch.float32)):
        a, b = torch.randn(2, _PRODUCT, _PRODUCT, device="cuda").to(dtype)
        out = torch.empty_like(a)
        times = time_graph(torch, partial(torch.mm, a, b, out=out))
        rates[name] = _PRODUCT**3 / median(times)
    torch.backends.cuda.matmul.allow_tf32 = False
    return rates


def measure_case(torch: Any, case: Any, rates: dict[str, float]) -> dict[str, Any]:
    """Compare the results of a case's runs, then time each."""
    runs = {**case.ours, **case.peers}
    if case.tolerance is not None:
        outputs = [torch.as_tensor(run(), device="cuda").double() for run in runs.values()]
        for name, output in zip(runs, outputs, strict=True):
            worst = float((output - outputs[0]).abs().max())
            if worst > case.tolerance:
                raise SystemExit(f"{case.name}: {name} differs from {next(iter(runs))} by {worst}")
    rate = rates["fp16" if case.half else "tf32"]
    bound = max(case.bytes / rates["bytes"], case.multiply_adds / rate)
    return {
        "name": case.name,
        "bytes": case.bytes,
        "multiply_adds": case.multiply_adds,
        "bound_us": bound * 1e6,
        "aims": dict(case.aims),
        "ours": list(case.ours),
        "runs": {name: time_run(torch, run, graph=name != "cuda") for name, run in runs.items()},
    }


def time_run(torch: Any, run: Callable[[], Any], *, graph: bool) -> dict[str, Any]:
    """Microseconds of a run: on the device out of a CUDA graph, and called from Python.

    PyCUDA's launches cannot be captured by torch: no `graph` for them.
    """
    device = _try_graph(torch, run) if graph else None
    return {"device": _summary(device), "call": _summary(time_calls(torch, run))}


def _try_graph(torch: Any, run: Callable[[], Any]) -> list[float] | None:
    """Times of graph replays; None if the work cannot be captured, e.g. if it synchronises."""
    try:
        return time_graph(torch, run)
    except RuntimeError:
        torch.cuda.synchronize()
        return None


def time_graph(torch: Any, run: Callable[[], Any]) -> list[float]:
    """Seconds of each replay of a CUDA graph of one call."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            run()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        run()
    return _time(torch, graph.replay)


def time_calls(torch: Any, run: Callable[[], Any]) -> list[float]:
    """Seconds of each call, from an idle device to an idle device."""
    for _ in range(_WARM_UP):
        run()
    return _time(torch, run)


def _time(torch: Any, run: Callable[[], Any]) -> list[float]:
    times = []
    for _ in range(_REPLAYS):
        torch.cuda.synchronize()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return times


def _summary(times: list[float] | None) -> dict[str, float] | str:
    if times is None:
        return NOT_MEASURED
    cuts = quantiles(times, n=100)
    return {f"p{cut}": cuts[cut - 1] * 1e6 for cut in (50, 95, 99)}


def markdown(report: dict[str, Any]) -> str:
    """The report as a table; times in microseconds."""
    machine = report["machine"]
    lines = [
        "# GPU kernels",
        "",
        (
            f"{machine['gpu']}, driver {machine['driver']}, clocks {machine['clocks before']} "
            f"before and {machine['clocks after']} after (at most {machine['clocks at most']}), "
            f"torch {machine['torch']}, CUDA {machine['cuda']}, Triton {machine['triton']}."
        ),
        "",
        *(
            f"The {name} backend: {NOT_MEASURED}, {why}."
            for name, why in report["unavailable"].items()
        ),
        "",
        (
            "| case | run | device p50 µs | device p95 µs | call p50 µs | roofline estimate µs | "
            "share of it | peer / ours | aim |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in report["cases"]:
        lines += _rows(case)
    return "\n".join(lines) + "\n"


def _rows(case: dict[str, Any]) -> list[str]:
    all_on_device = all(run["device"] != NOT_MEASURED for run in case["runs"].values())
    compared = "device" if all_on_device else "call"
    best = min(case["runs"][name][compared]["p50"] for name in case["ours"])
    rows = []
    for name, run in case["runs"].items():
        ours = name in case["ours"]
        time = run[compared]["p50"]
        device = run["device"]
        figures = (
            [NOT_MEASURED] * 2
            if isinstance(device, str)
            else [f"{device[p]:.1f}" for p in ("p50", "p95")]
        )
        aim = [
            f"{value:g} {'µs' if key == 'µs' else '×'}"
            for key, value in case["aims"].items()
            if (ours and key == "µs") or (not ours and name.startswith(key))
        ]
        rows.append(
            " | ".join(
                [
                    f"| {case['name']}",
                    name,
                    *figures,
                    f"{run['call']['p50']:.1f}",
                    f"{case['bound_us']:.1f}" if ours else "",
                    f"{case['bound_us'] / time:.0%}" if ours else "",
                    "" if ours else f"{time / best:.1f}×",
                    ", ".join(aim) + " |",
                ]
            )
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
