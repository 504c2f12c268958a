"""Compare two reports: how much faster or slower, and whether the difference is significant."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.report import Measurement, Report, Samples, samples_of

RESAMPLES = 2000
CONFIDENCE = 0.95
WHOLE_FRAME = "end to end"
"""`Change.what` of the whole frame; other changes have the name of their stage."""

_SEED = 0
_MACHINE_FACTS = ("cpu", "board", "gpu", "cores", "isa", "threads", "compiler")
_SETTINGS = ("model", "backend", "device", "frames", "warmup")


@dataclass(frozen=True)
class Change:
    """How one median changed from report A to report B.

    Attributes:
        what: `WHOLE_FRAME`, or the name of a stage.
        before: median in A, milliseconds.
        after: median in B.
        low, high: 95 % confidence interval of `after / before`.
    """

    what: str
    before: float
    after: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """Median of B over median of A; below 1, B is faster."""
        return self.after / self.before

    @property
    def verdict(self) -> str:
        """ "faster" or "slower" if the whole interval agrees, else "unclear"."""
        if self.high < 1:
            return "faster"
        return "slower" if self.low > 1 else "unclear"


@dataclass(frozen=True)
class Comparison:
    """Report B compared with report A.

    Attributes:
        changes: for each common scenario, end to end first, then stage by stage.
        unmatched: scenarios in only one of them.
        differences: differing facts of machine and settings, as sentences.
        cold_start: medians of A and B in milliseconds, None if one has none.
        memory: peaks of A and B in MiB, None if one has none.
    """

    changes: tuple[tuple[Scenario, tuple[Change, ...]], ...]
    unmatched: tuple[Scenario, ...]
    differences: tuple[str, ...]
    cold_start: tuple[float, float] | None
    memory: tuple[float, float] | None

    def entry(self) -> dict[str, Any]:
        """The comparison as JSON holds it."""
        return {
            "changes": [
                asdict(scenario) | asdict(change) | {"verdict": change.verdict}
                for scenario, changes in self.changes
                for change in changes
            ],
            "unmatched": [asdict(scenario) for scenario in self.unmatched],
            "differences": self.differences,
            "cold_start": self.cold_start,
            "memory": self.memory,
        }


def compare_reports(before: Report, after: Report) -> Comparison:
    """Compare the common scenarios of two reports.

    Raises:
        InvalidInputError: they have no scenario in common.
    """
    old = {result.scenario: result for result in before.results}
    new = {result.scenario: result for result in after.results}
    shared = [scenario for scenario in old if scenario in new]
    if not shared:
        raise InvalidInputError(
            "the reports have no scenario in common: "
            f"{', '.join(s.label for s in old)} against {', '.join(s.label for s in new)}; "
            "measure both with the same --size and --faces"
        )
    starts = [[start.total for start in report.cold_starts] for report in (before, after)]
    peaks = before.memory, after.memory
    return Comparison(
        tuple((scenario, _changes(old[scenario], new[scenario])) for scenario in shared),
        tuple(s for s in (*old, *new) if (s in old) != (s in new)),
        tuple(_differences(before, after)),
        (median(starts[0]), median(starts[1])) if all(starts) else None,
        (peaks[0].peak, peaks[1].peak) if peaks[0] and peaks[1] else None,
    )


def interval(before: Samples, after: Samples) -> tuple[float, float]:
    """95 % confidence interval of the ratio of the medians, after over before.

    Percentile interval over 2000 bootstrap resamples from a fixed seed, so the same files give the
    same interval. Disturbances affect successive frames together, so it resamples circular blocks
    of √n samples (circular block bootstrap, Politis and Romano, 1992).
    """
    rng = np.random.default_rng(_SEED)
    ratios = _medians(after, rng) / _medians(before, rng)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(ratios, (tail, 100 - tail))
    return float(low), float(high)


def _medians(samples: Samples, rng: np.random.Generator) -> NDArray[np.float64]:
    """Medians of the resamples (RESAMPLES,)."""
    values = np.asarray(samples.values)
    count = len(values)
    length = max(1, round(count**0.5))
    starts = rng.integers(0, count, (RESAMPLES, -(-count // length), 1))
    drawn = ((starts + np.arange(length)) % count).reshape(RESAMPLES, -1)[:, :count]
    return np.asarray(np.median(values[drawn], axis=1), np.float64)


def _changes(before: Measurement, after: Measurement) -> tuple[Change, ...]:
    pairs = {WHOLE_FRAME: (samples_of(before.total), samples_of(after.total))}
    pairs |= {
        name: (samples_of(before.stages[name]), samples_of(after.stages[name]))
        for name in before.stages
        if name in after.stages
    }
    return tuple(
        Change(what, old.p50, new.p50, *interval(old, new))
        for what, (old, new) in pairs.items()
        if old.p50 > 0 and min(old.values) > 0
    )


def _differences(before: Report, after: Report) -> list[str]:
    """Facts that differ between the two reports and may explain a change."""
    pairs = [(before.machine.get(name), after.machine.get(name), name) for name in _MACHINE_FACTS]
    pairs += [(before.settings.get(name), after.settings.get(name), name) for name in _SETTINGS]
    old, new = (report.machine.get("versions") for report in (before, after))
    if isinstance(old, dict) and isinstance(new, dict):
        pairs += [(old.get(name), new.get(name), name) for name in sorted({*old, *new})]
    return [f"{name}: {a} in A, {b} in B" for a, b, name in pairs if a != b]
