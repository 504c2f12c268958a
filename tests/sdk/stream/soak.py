"""Soak test: many frames through a stream. Exits with status 1 if something leaks or is lost.

    python tests/sdk/stream/soak.py --minutes 60
    python tests/sdk/stream/soak.py --frames 10000

Resident memory must grow by less than 5 MB after the warm-up, no thread or descriptor may be left,
and no frame may be lost. Reads Linux's /proc. `test_soak.py` runs the short form.
"""

import argparse
import gc
import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scenes import Actor, film

from makeup_sdk import MakeupEngine
from makeup_sdk.stream import StreamOptions, VideoFileSink

_LIMIT_MB = 5.0


def resident_mb() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def clip() -> list[NDArray[np.uint8]]:
    """Two seconds that loop: one face sways, another leaves and returns."""
    actors = [
        Actor("light.jpg", lambda t: (180 + 40 * np.sin(np.pi * t), 180)),
        Actor("dark.jpg", lambda t: (480 + 300 * np.sin(np.pi * t) ** 2, 180)),
    ]
    return list(film(actors, 60, noise=2))


class Repeated:
    """Frames over and over, until so many were taken or the time is over; counts them."""

    def __init__(self, frames: list[NDArray[np.uint8]], count: float, seconds: float) -> None:
        self.frames, self.count, self.end = frames, count, time.monotonic() + seconds
        self.taken = 0

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        while self.taken < self.count and time.monotonic() < self.end:
            self.taken += 1
            yield self.frames[(self.taken - 1) % len(self.frames)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--frames", type=int, default=10_000)
    length.add_argument("--minutes", type=float, help="run so long instead of so many frames")
    parser.add_argument("--warm-up", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args(arguments)
    look = resources.files("makeup_sdk") / "assets" / "demo" / "red-classic.jpg"
    engine = MakeupEngine(str(look), threads=options.threads)
    frames = clip()
    # starts the pools of OpenCV and the run time
    for _ in engine.stream(Repeated(frames, 30, math.inf)):
        pass
    threads, files = threading.active_count(), descriptors()
    if options.minutes is None:
        source = Repeated(frames, options.frames, math.inf)
    else:
        source = Repeated(frames, math.inf, options.minutes * 60)
    after_warm_up = math.nan
    indices = []
    with tempfile.TemporaryDirectory() as folder:
        sink = VideoFileSink(Path(folder) / "out.avi")
        stream = engine.stream(source, sink, options=StreamOptions(policy="all"))
        for result in stream:
            indices.append(result.index)
            if result.index == options.warm_up:
                gc.collect()
                after_warm_up = resident_mb()
            if result.index % 1000 == 0:
                print(f"{result.index:6d} frames  {resident_mb():7.1f} MB resident", flush=True)
        gc.collect()
        growth = resident_mb() - after_warm_up
    statistics = stream.statistics
    lost = source.taken - statistics.frames
    in_order = indices == list(range(source.taken))
    threads, files = threading.active_count() - threads, descriptors() - files
    print(
        f"{statistics.frames} frames at {statistics.fps:.1f} fps: resident memory grew by "
        f"{growth:.2f} MB after {options.warm_up} frames, {lost} frames lost, "
        f"{'in' if in_order else 'OUT OF'} order, {threads} threads and {files} descriptors left"
    )
    flat = growth < _LIMIT_MB  # false for a run that ends within the warm-up
    if not flat or lost or not in_order or threads > 0 or files > 0:
        sys.exit(1)


if __name__ == "__main__":
    main()
