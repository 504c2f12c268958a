"""End to end: `MakeupEngine.process`, one face in a frame, per frame size and number of faces.

The time of each stage is in the JSON (`extra_info`), as the median over the same calls.
"""

from statistics import median

import pytest

from makeup_sdk import Look, MakeupEngine
from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.scene import REFERENCE, demo_picture, scene
from makeup_sdk.models.registry import DEFAULT_MODEL


@pytest.fixture(scope="module", params=(DEFAULT_MODEL,))
def engine(request):
    return MakeupEngine(demo_picture(REFERENCE), model=request.param)


SCENARIOS = [
    Scenario("image", 1280, 720, 1),
    Scenario("image", 1920, 1080, 1),
    Scenario("image", 3840, 2160, 1),
    Scenario("image", 1280, 720, 2),
    Scenario("image", 1280, 720, 3),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.label)
def test_process(benchmark, measure, threads, engine, scenario):
    benchmark.group = f"process, {engine.model.name}"
    frame = scene(scenario)[0]
    found = engine.process_detailed(frame)
    assert sum(face.painted for face in found.faces) == scenario.faces
    runs = []
    measure(lambda: runs.append(engine.process_detailed(frame).timings), rounds=40)
    for stage in runs[0]:
        benchmark.extra_info[f"{stage}_ms"] = round(median(run[stage] for run in runs), 3)


def test_encode_look(benchmark, measure, threads, engine):
    benchmark.group = f"encode a look, {engine.model.name}"
    photo = demo_picture(REFERENCE)
    measure(lambda: Look.from_photo(photo, model=engine.model), rounds=10)
