"""One engine for many threads; engines in forked and in spawned worker processes."""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

import makeup_sdk
from makeup_sdk import Look, MakeupEngine, read_image
from makeup_sdk.cosmetics import Lipstick
from makeup_sdk.models.facts import MODELS
from makeup_sdk.models.registry import DEFAULT_MODEL

DEMO = Path(makeup_sdk.__file__).parent / "assets" / "demo"
CALLERS = 8


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Three people, small, as they are and moved: faces differ from call to call."""
    frames = []
    for i, name in enumerate(("light.jpg", "medium.jpg", "dark.jpg")):
        frame = cv2.resize(read_image(DEMO / name), (320, 320), interpolation=cv2.INTER_AREA)
        frames += [frame, np.ascontiguousarray(frame[i * 4 :, ::-1])]
    return frames


def in_threads(work: Callable[[int], list[np.ndarray]]) -> list[list[np.ndarray]]:
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(work, range(CALLERS)))


@pytest.mark.parametrize("model", MODELS)
def test_eight_threads_get_the_frames_of_one(model, frames):
    look = DEMO / "red-classic.jpg"
    if model == "products":
        look = Look.from_products([Lipstick("#a3182b")])
    engine = MakeupEngine(look, model=model, threads=2)
    serial = [engine.process(frame) for frame in frames]
    assert any((painted != frame).any() for painted, frame in zip(serial, frames, strict=True))

    def work(start: int) -> list[np.ndarray]:
        order = np.roll(np.arange(len(frames)), start)
        painted = {i: engine.process(frames[i]) for i in order}
        return [painted[i] for i in range(len(frames))]

    for results in in_threads(work):
        for got, expected in zip(results, serial, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_eight_threads_mix_looks():
    look, other = (Look.from_photo(DEMO / name) for name in ("red-classic.jpg", "teal-smoky.jpg"))

    def work(share: int) -> dict[str, np.ndarray]:
        mixed = Look.mix({look: 1 + share % 2, other: 1})
        return Look.from_bytes(mixed.to_bytes(), "x").makeup.to_arrays()

    with ThreadPoolExecutor(CALLERS) as pool:
        results = list(pool.map(work, range(CALLERS)))
    for i, arrays in enumerate(results):
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, results[i % 2][name])


_WORKERS = """
import json, multiprocessing, sys, zlib
import cv2
from makeup_sdk import Look, MakeupEngine, read_image

def paint(engine, path):
    frame = cv2.resize(read_image(path), (320, 320), interpolation=cv2.INTER_AREA)
    return zlib.crc32(engine.process(frame).tobytes())

def inherited(path):
    return paint(engine, path)

def own(look, threads, path):
    return paint(MakeupEngine(look, threads=threads), path)

if __name__ == "__main__":
    way, look, *paths = sys.argv[1:]
    context = multiprocessing.get_context("spawn" if way == "spawn" else "fork")
    threads = 2 if way == "spawn" else 1
    engine = MakeupEngine(look, threads=threads)
    sums = [paint(engine, path) for path in paths]
    with context.Pool(2) as pool:
        if way == "fork, inherited":
            got = pool.map_async(inherited, paths).get(60)
        else:
            got = pool.starmap_async(own, [(look, threads, path) for path in paths]).get(60)
    print(json.dumps({"here": sums, "workers": got}))
"""


@pytest.mark.parametrize("way", ["fork, inherited", "fork, own", "spawn"])
def test_worker_processes(way, frames, tmp_path):
    """Spawned workers with as many threads as one likes; forked ones where all has one thread.

    GCC's OpenMP run time and ONNX Runtime keep their pools of threads, which a fork does not copy:
    the first call in the child would wait for them for ever. So an app that forks after it painted
    uses `spawn`, or `threads=1` (`MAKEUP_THREADS=1`) for all it does before.
    """
    program, look = tmp_path / "program.py", tmp_path / "red.look"
    program.write_text(_WORKERS)
    Look.from_photo(DEMO / "red-classic.jpg").save(look)
    paths = [str(DEMO / name) for name in ("light.jpg", "dark.jpg")]
    done = subprocess.run(
        [sys.executable, str(program), way, str(look), *paths],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["workers"] == result["here"]
    engine = MakeupEngine(look, model=DEFAULT_MODEL, threads=1)
    frame = cv2.resize(read_image(paths[0]), (320, 320), interpolation=cv2.INTER_AREA)
    assert result["here"][0] == zlib.crc32(engine.process(frame).tobytes())
