"""End to end: `MakeupEngine.process`, one face in a frame, per frame size and number of faces.

The time of each stage is in the JSON (`extra_info`), as the median over the same calls.
"""

from importlib import resources
from statistics import median

import cv2
import numpy as np
import pytest

from makeup_sdk import Look, MakeupEngine, read_image

DEMO = resources.files("makeup_sdk") / "assets" / "demo"


def frame_with_faces(width, height, faces):
    """Demo faces side by side on a plain frame, each two thirds of the frame's height."""
    frame = np.full((height, width, 3), 118, np.uint8)
    side = min(height * 4 // 5, width // faces)
    for number in range(faces):
        face = read_image(str(DEMO / ("light.jpg", "medium.jpg", "dark.jpg")[number % 3]))
        left = number * (width // faces) + (width // faces - side) // 2
        top = (height - side) // 2
        frame[top : top + side, left : left + side] = cv2.resize(
            face, (side, side), interpolation=cv2.INTER_AREA
        )
    return frame


@pytest.fixture(scope="module")
def engine():
    return MakeupEngine(str(DEMO / "red-classic.jpg"))


@pytest.mark.benchmark(group="process, classic")
@pytest.mark.parametrize(
    ("width", "height", "faces"),
    [(1280, 720, 1), (1920, 1080, 1), (3840, 2160, 1), (1280, 720, 2), (1280, 720, 3)],
)
def test_process(benchmark, measure, threads, engine, width, height, faces):
    frame = frame_with_faces(width, height, faces)
    found = engine.process_detailed(frame)
    assert sum(face.painted for face in found.faces) == faces
    runs = []
    measure(lambda: runs.append(engine.process_detailed(frame).timings), rounds=40)
    for stage in runs[0]:
        benchmark.extra_info[f"{stage}_ms"] = round(median(run[stage] for run in runs), 3)


@pytest.mark.benchmark(group="encode a look, classic")
def test_encode_look(measure, threads):
    photo = read_image(str(DEMO / "red-classic.jpg"))
    measure(lambda: Look.from_photo(photo), rounds=10)
