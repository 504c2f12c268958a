"""Reduce a measurement to the published values: medians and quantiles, no raw samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

STATISTICS = ("min", "q1", "median", "q3")
"""Kept statistics of pytest-benchmark; p95 is computed from the samples."""

_DECIMALS = 9
"""Decimals of seconds: microseconds with three decimals."""


def published_suite(data: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of pytest-benchmark, reduced to the published values.

    Args:
        data: from pytest-benchmark, times in seconds.
    """
    commit = data["commit_info"]
    return {
        "machine_info": data["machine_info"],
        "commit_info": {name: commit[name] for name in ("id", "time", "dirty") if name in commit},
        "benchmarks": [
            {
                "group": bench["group"],
                "name": bench["name"],
                "extra_info": bench["extra_info"],
                "stats": _statistics(bench["stats"]),
            }
            for bench in data["benchmarks"]
        ],
    }


def _statistics(stats: Mapping[str, Any]) -> dict[str, float]:
    found = {name: stats[name] for name in STATISTICS}
    found["p95"] = float(np.percentile(stats["data"], 95)) if "data" in stats else stats["p95"]
    rounded = {name: round(value, _DECIMALS) for name, value in found.items()}
    return {**rounded, "rounds": stats["rounds"]}
