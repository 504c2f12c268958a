"""The result of a measurement, and the JSON that keeps it.

Schema `makeup-bench/1`:

    {
      "schema": "makeup-bench/1",
      "created": "2026-11-20T12:00:00Z",
      "settings": {"model": "mobile", "backend": "auto", "device": "cpu", "frames": 200, ...},
      "machine": {"cpu": "...", "cores": 2, "threads": 2, "busy_cores": 0.1, "versions": {...}},
      "results": [
        {
          "path": "stream", "width": 1280, "height": 720, "faces": 1,
          "end_to_end": {"p50": 16.1, "p95": 18.0, "p99": 19.2, "mean": 16.3, "samples": [...]},
          "model_only": {"p50": 8.9, ...},
          "stages": {"detect": {"p50": 0.1, ..., "samples": [...]}, ...}
        }
      ],
      "cold_start": [{"interpreter": 30, "imports": 250, "engine": 90, "look": 60, "frame": 30}],
      "memory": {"imported": 70, "ready": 120, "peak": 180}
    }

Times in milliseconds, memory in MiB, samples in the order in which they were taken. `model_only` is
the stage `generate`: making the makeup, without finding the face and without putting the result
into the frame. `cold_start` and `memory` are null where they were not measured. Published reports
leave the samples out (`Report.without_samples`); only with them can two reports be compared.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from makeup_kernels import InvalidInputError
from makeup_kernels.files import write_atomically
from makeup_sdk.bench.options import PATHS, Scenario

SCHEMA = "makeup-bench/1"
MODEL_STAGE = "generate"

_MAX_FILE_BYTES = 64 << 20


@dataclass(frozen=True)
class Quantiles:
    """Percentiles and mean of one quantity in milliseconds, without the samples."""

    p50: float
    p95: float
    p99: float
    mean: float

    def summary(self) -> dict[str, float]:
        """Percentiles and mean, rounded to microseconds."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Samples:
    """Milliseconds of one quantity, one sample per frame, in order."""

    values: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """The value that `share` per cent of the samples do not exceed, interpolated."""
        return float(np.percentile(self.values, share))

    @property
    def p50(self) -> float:
        """Median."""
        return self.percentile(50)

    @property
    def p95(self) -> float:
        """95th percentile."""
        return self.percentile(95)

    @property
    def p99(self) -> float:
        """99th percentile."""
        return self.percentile(99)

    def quantiles(self) -> Quantiles:
        """Percentiles and mean, without the samples."""
        return Quantiles(self.p50, self.p95, self.p99, float(np.mean(self.values)))

    def summary(self) -> dict[str, float]:
        """Percentiles and mean, rounded to microseconds."""
        return self.quantiles().summary()


Times: TypeAlias = Samples | Quantiles


def samples_of(times: Times) -> Samples:
    """The samples.

    Raises:
        InvalidInputError: the report was saved without them.
    """
    if isinstance(times, Samples):
        return times
    raise InvalidInputError(
        "the report holds no samples; measure again with `makeup bench -o FILE`, which keeps them"
    )


@dataclass(frozen=True)
class Measurement:
    """Times of one scenario.

    Attributes:
        scenario: what was measured.
        total: whole frames, by the clock.
        stages: by name: detect, analyze, generate, composite.
    """

    scenario: Scenario
    total: Times
    stages: Mapping[str, Times]

    @property
    def model_only(self) -> Times | None:
        """Times of the stage that generates the makeup; None if there is no such stage."""
        return self.stages.get(MODEL_STAGE)


@dataclass(frozen=True)
class ColdStart:
    """Milliseconds of one fresh process, from its start to the first frame with makeup."""

    interpreter: float
    imports: float
    engine: float
    look: float
    frame: float

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return self.interpreter + self.imports + self.engine + self.look + self.frame


@dataclass(frozen=True)
class Memory:
    """Resident memory of a fresh process in MiB: after imports, with a look set, and peak."""

    imported: float
    ready: float
    peak: float


@dataclass(frozen=True)
class Report:
    """All results of `makeup bench`.

    Attributes:
        created: UTC, ISO 8601.
        settings: the options that were measured.
        machine: see `machine_info`.
        results: one measurement per scenario.
        cold_starts: one per fresh process.
        memory: None if the system does not report it.
    """

    created: str
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]
    results: tuple[Measurement, ...]
    cold_starts: tuple[ColdStart, ...] = ()
    memory: Memory | None = None

    def entry(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "settings": dict(self.settings),
            "machine": dict(self.machine),
            "results": [_measurement_entry(result) for result in self.results],
            "cold_start": [
                {name: round(value, 1) for name, value in asdict(start).items()}
                for start in self.cold_starts
            ]
            or None,
            "memory": None
            if self.memory is None
            else {name: round(value, 1) for name, value in asdict(self.memory).items()},
        }

    def to_json(self) -> str:
        """The text of a report file."""
        return json.dumps(self.entry(), indent=1)

    def without_samples(self) -> "Report":
        """The same report with percentiles and means instead of samples, for publishing."""
        results = (
            Measurement(
                result.scenario,
                samples_of(result.total).quantiles(),
                {name: samples_of(times).quantiles() for name, times in result.stages.items()},
            )
            for result in self.results
        )
        return replace(self, results=tuple(results))

    def save(self, path: str | Path) -> None:
        """Write a report file atomically."""
        write_atomically(Path(path), self.to_json().encode() + b"\n")


def load_report(path: str | Path) -> Report:
    """Read a report file.

    Raises:
        InvalidInputError: missing, no report, or of another schema.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file; make one with `makeup bench -o {path}`")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InvalidInputError(f"{path}: larger than 64 MiB; this is no report of `makeup bench`")
    try:
        data = json.loads(path.read_bytes())
        schema = _object(data)["schema"]
        if schema == SCHEMA:
            return _report(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInputError(
            f"{path}: not a report of `makeup bench`, or damaged ({str(error)[:80]}); "
            f"make it again with `makeup bench -o {path}`"
        ) from None
    raise InvalidInputError(
        f"{path}: schema {str(schema)[:40]!r}, this release reads {SCHEMA!r}; "
        "run `makeup bench -o FILE` again with this release"
    )


def _measurement_entry(result: Measurement) -> dict[str, Any]:
    entry = asdict(result.scenario)
    entry["end_to_end"] = _times_entry(result.total)
    entry["model_only"] = None if result.model_only is None else result.model_only.summary()
    entry["stages"] = {name: _times_entry(samples) for name, samples in result.stages.items()}
    return entry


def _times_entry(times: Times) -> dict[str, Any]:
    if isinstance(times, Quantiles):
        return times.summary()
    return {**times.summary(), "samples": [round(value, 3) for value in times.values]}


def _report(data: dict[str, Any]) -> Report:
    starts = [
        ColdStart(**{name: _number(value) for name, value in _object(entry).items()})
        for entry in data["cold_start"] or ()
    ]
    memory = data["memory"]
    return Report(
        str(data["created"]),
        _object(data["settings"]),
        _object(data["machine"]),
        tuple(_measurement(entry) for entry in data["results"]),
        tuple(starts),
        None
        if memory is None
        else Memory(**{name: _number(value) for name, value in _object(memory).items()}),
    )


def _measurement(entry: Any) -> Measurement:
    entry = _object(entry)
    numbers = [entry[name] for name in ("width", "height", "faces")]
    if entry["path"] not in PATHS or any(type(n) is not int or n < 1 for n in numbers):
        raise ValueError("a scenario is not one")
    stages = {str(name): _times(value) for name, value in _object(entry["stages"]).items()}
    return Measurement(Scenario(entry["path"], *numbers), _times(entry["end_to_end"]), stages)


def _times(entry: Any) -> Times:
    entry = _object(entry)
    if "samples" not in entry:
        return Quantiles(*(_number(entry[name]) for name in ("p50", "p95", "p99", "mean")))
    values = tuple(_number(value) for value in entry["samples"])
    if not values:
        raise ValueError("there are no samples")
    return Samples(values)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:20]!r} is no object")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{str(value)[:20]!r} is no duration or size")
    return float(value)
