"""Several engines at once: throughput and latency by number of threads.

    python benchmarks/parallel.py        # writes results/parallel.json

Each engine processes frames in its own Python thread, all for the same duration. Points are
measured in turn, round after round; a point is the median of its rounds. More threads than cores
are also requested: they are lowered to the cores and must not be slower.
"""

import argparse
import json
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from makeup_kernels.dispatch import usable_cores
from makeup_sdk import MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.bench.measure import wear_demo_look
from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.scene import scene

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Point:
    """Throughput and latency for a number of engines and threads.

    Attributes:
        engines: number of concurrent engines.
        threads: requested threads per engine.
        frames_per_second: total of all engines.
        p50: median milliseconds per frame.
        p95: 95th percentile of the milliseconds per frame.
    """

    engines: int
    threads: int
    frames_per_second: float
    p50: float
    p95: float


def work_together(calls: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Milliseconds of every call that each thread, one a function, made in that time.

    Args:
        calls: what each thread does again and again, at least twice.
        seconds: after which no new call starts.
    """
    start = threading.Barrier(len(calls))
    times: list[list[float]] = [[] for _ in calls]

    def work(number: int) -> None:
        start.wait()
        end = perf_counter() + seconds
        while len(times[number]) < 2 or perf_counter() < end:
            before = perf_counter()
            calls[number]()
            times[number].append((perf_counter() - before) * 1e3)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [time for each in times for time in each]


def summarise(
    engines: int, threads: int, rounds: Sequence[Sequence[float]], seconds: float
) -> Point:
    """The medians over rounds of their calls' milliseconds."""
    cuts = [quantiles(times, n=20) for times in rounds]
    return Point(
        engines,
        threads,
        median(len(times) / seconds for times in rounds),
        median(median(times) for times in rounds),
        median(cut[-1] for cut in cuts),
    )


def measure(engines: Sequence[int], threads: Sequence[int], rounds: int, seconds: float) -> list:
    """Every number of engines with every number of threads."""
    frame = scene(Scenario("image", 1280, 720, 1))[0]
    made: dict[int, list[MakeupEngine]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # more threads than cores, on purpose
        for count in threads:
            made[count] = [MakeupEngine(threads=count, max_faces=1) for _ in range(max(engines))]
            for engine in made[count]:
                wear_demo_look(engine)
                engine.process(frame)
        times: dict[tuple[int, int], list[list[float]]] = {}
        for _ in range(rounds):
            for number in engines:
                for count in threads:
                    calls = [lambda e=engine: e.process(frame) for engine in made[count][:number]]
                    times.setdefault((number, count), []).append(work_together(calls, seconds))
    return [summarise(*key, found, seconds) for key, found in times.items()]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="of every point")
    parser.add_argument("--seconds", type=float, default=3, help="of a point in a round")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    cores = usable_cores()
    engines, threads = sorted({1, cores, 2 * cores}), sorted({1, cores, 4 * cores, 200})
    points = measure(engines, threads, options.rounds, options.seconds)
    report = {
        "machine": machine_info(),
        "usable_cores": cores,
        "points": [{k: round(v, 3) for k, v in asdict(point).items()} for point in points],
    }
    (options.output / "parallel.json").write_text(json.dumps(report, indent=1) + "\n")
    for point in points:
        print(point)


if __name__ == "__main__":
    main()
