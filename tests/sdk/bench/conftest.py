"""Reports with made-up numbers, whose results are known."""

from collections.abc import Callable, Sequence

import pytest

from makeup_sdk.bench import ColdStart, Measurement, Memory, Report, Samples, Scenario

SCENARIO = Scenario("stream", 1280, 720, 1)
MACHINE = {
    "cpu": "A Processor",
    "cores": 4,
    "threads": 2,
    "isa": "avx2",
    "busy_cores": 0.1,
    "versions": {"makeup-sdk": "0.1.0", "numpy": "2.0.0"},
}


@pytest.fixture
def make_report() -> Callable[..., Report]:
    """A report of one scenario from its samples; the stages take 25 and 75 % of each frame."""

    def make(
        totals: Sequence[float], scenario: Scenario = SCENARIO, machine: dict | None = None
    ) -> Report:
        stages = {
            name: Samples(tuple(share * value for value in totals))
            for name, share in (("analyze", 0.25), ("generate", 0.75))
        }
        return Report(
            "2026-01-02T03:04:05Z",
            {"model": "mobile", "backend": "auto", "frames": len(totals)},
            machine or MACHINE,
            (Measurement(scenario, Samples(tuple(totals)), stages),),
            (ColdStart(20, 300, 100, 50, 30), ColdStart(30, 310, 110, 60, 40)),
            Memory(70, 120, 150),
        )

    return make
