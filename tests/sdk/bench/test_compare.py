"""Comparisons: ratios of known samples, and the coverage of the intervals."""

from collections.abc import Callable

import numpy as np
import pytest

from makeup_sdk import InvalidInputError
from makeup_sdk.bench import Report, Samples, Scenario, compare_reports
from makeup_sdk.bench.compare import interval


def drawn(seed: int, scale: float = 1.0, count: int = 200) -> tuple[float, ...]:
    """Latencies with the long tail that latencies have; their true median is 10 · scale."""
    rng = np.random.default_rng(seed)
    return tuple((10 * scale * np.exp(0.1 * rng.standard_normal(count))).tolist())


def test_a_report_against_itself(make_report: Callable[..., Report]) -> None:
    report = make_report(drawn(0))
    comparison = compare_reports(report, report)
    [(_, changes)] = comparison.changes
    assert [change.what for change in changes] == ["end to end", "analyze", "generate"]
    for change in changes:
        assert change.ratio == 1
        assert change.low < 1 < change.high
        assert change.verdict == "unclear"
    assert (comparison.unmatched, comparison.differences) == ((), ())
    assert comparison.cold_start == (525, 525)
    assert comparison.memory == (150, 150)


@pytest.mark.parametrize(("scale", "verdict"), [(0.9, "faster"), (1.1, "slower")])
def test_a_clear_change(make_report: Callable[..., Report], scale: float, verdict: str) -> None:
    comparison = compare_reports(make_report(drawn(1)), make_report(drawn(2, scale)))
    change = comparison.changes[0][1][0]
    assert change.verdict == verdict
    assert change.low < change.ratio < change.high
    assert change.ratio == pytest.approx(scale, abs=0.05)


def test_constant_times_leave_no_doubt() -> None:
    low, high = interval(Samples((2.0,) * 50), Samples((3.0,) * 50))
    assert (low, high) == (1.5, 1.5)


def test_the_interval_is_the_same_every_time() -> None:
    before, after = Samples(drawn(3)), Samples(drawn(4))
    assert interval(before, after) == interval(before, after)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """True ratio 1.05 in 100 draws: 95 % expected; 88 is three standard deviations below."""
    inside = 0
    for seed in range(100):
        before, after = drawn(1000 + seed, count=120), drawn(5000 + seed, 1.05, count=120)
        low, high = interval(Samples(before), Samples(after))
        inside += low <= 1.05 <= high
    assert inside >= 88


def test_disturbances_that_last_widen_the_interval() -> None:
    """The same values, once in runs of fast and slow frames, once shuffled."""
    rng = np.random.default_rng(0)
    runs = np.repeat(rng.uniform(8, 12, 20), 10)
    shuffled = rng.permutation(runs)
    in_runs = interval(Samples(tuple(runs)), Samples(tuple(runs)))
    mixed = interval(Samples(tuple(shuffled)), Samples(tuple(shuffled)))
    assert in_runs[1] - in_runs[0] > 1.5 * (mixed[1] - mixed[0])


def test_what_explains_a_change_is_named(make_report: Callable[..., Report]) -> None:
    other = {
        "cpu": "Another",
        "cores": 4,
        "threads": 1,
        "isa": "avx2",
        "versions": {"makeup-sdk": "0.1.0", "numpy": "2.1.0"},
    }
    found = compare_reports(make_report(drawn(0)), make_report(drawn(0), machine=other))
    assert found.differences == (
        "cpu: A Processor in A, Another in B",
        "threads: 2 in A, 1 in B",
        "numpy: 2.0.0 in A, 2.1.0 in B",
    )


def test_nothing_in_common(make_report: Callable[..., Report]) -> None:
    other = make_report(drawn(0), scenario=Scenario("image", 640, 480, 2))
    with pytest.raises(InvalidInputError, match="no scenario in common: stream 1280x720, 1 face"):
        compare_reports(make_report(drawn(0)), other)


def test_stages_that_take_no_time_are_left_out(make_report: Callable[..., Report]) -> None:
    report = make_report([0.0, 0.0])
    assert compare_reports(report, report).changes[0][1] == ()
