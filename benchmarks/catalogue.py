"""Cost of a catalogue compared with a plain loop; with more looks, workers and Ray.

    python benchmarks/catalogue.py                 # writes results/catalogue.json, about 15 minutes
    python benchmarks/catalogue.py --photos 8 --rounds 1         # a quick look

Photos of 1280x720 with one face each and some noise, one thread per worker, JPEG output. Ours and
the plain loop alternate: in one process, and with as many loops in their own processes as there are
workers, since two busy threads of one core cost each other CPU time. Workers and Ray are measured
as the cost that each further image adds: a run of three times as many photos minus a run, which
excludes start-up. Milliseconds are CPU time of this process or of the whole process tree (including
Ray's processes), which a busy machine affects less than wall time; images per second are wall time.

A Ray cluster uses CPU for every second that it exists, with or without work. This is measured on
the idle cluster before each run and stated in milliseconds per second; `cpu_ms` is without it,
`cpu_ms_with_cluster` with it. One machine can show Ray's overhead per image, not its speed-up.
"""

import argparse
import json
import logging
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import Any

import cv2
import numpy as np

from makeup_sdk import Look, MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.scene import scene
from makeup_sdk.catalogue import CatalogueOptions, run_catalogue
from makeup_sdk.catalogue.job import Job
from makeup_sdk.catalogue.pool import ProcessPool
from makeup_sdk.catalogue.run import prepare
from makeup_sdk.catalogue.storage import Place
from makeup_sdk.catalogue.worker import PhotoWorker
from makeup_sdk.images import read_photo, write_image, write_photo
from makeup_sdk.looks.shipped import SHIPPED_LOOKS

RESULTS = Path(__file__).parent / "results"
HERE = CatalogueOptions(workers=0, threads=1)
_MANY, _MORE = 12, 36
"""Photos of a short and a long run, for each different photo."""
_IDLE_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


def write_inputs(folder: Path, photos: int) -> None:
    """`once/`, `twice/` with twice the photos, `many/` and `more/` with copies; tables of looks."""
    random = np.random.default_rng(0)
    frames = scene(Scenario("image", 1280, 720, 1))
    for name, count in (("once", photos), ("twice", 2 * photos)):
        (folder / name).mkdir()
        for number in range(count):
            noise = random.normal(0, 6, frames[0].shape).astype(np.float32)
            noisy = np.clip(frames[number % len(frames)] + noise, 0, 255).astype(np.uint8)
            write_image(folder / name / f"{number:04}.jpg", noisy)
    for name, times in (("many", _MANY), ("more", _MORE)):
        (folder / name).mkdir()
        for number in range(times * photos):
            same = folder / "once" / f"{number % photos:04}.jpg"
            os.link(same, folder / name / f"{number:04}.jpg")
    colors = [f"#{0x600010 + 0x070301 * k:06x}" for k in range(20)]
    rows = "".join(f"{k:02},lipstick,{color}\n" for k, color in enumerate(colors))
    (folder / "lipsticks.csv").write_text("sku,product,hex\n" + rows)
    (folder / "lipstick.csv").write_text("sku,product,hex\n00,lipstick,#b3123a\n")
    demo = Path(__import__("makeup_sdk").__file__).parent / "assets" / "demo" / "red-classic.jpg"
    for number in range(20):
        (folder / "references").mkdir(exist_ok=True)
        shutil.copy(demo, folder / "references" / f"{number:02}.jpg")
    full = [SHIPPED_LOOKS[k % len(SHIPPED_LOOKS)] for k in range(20)]
    lines = "".join(f"{name},{k:02}\n" for k, name in enumerate(full))
    (folder / "full.csv").write_text("look,name\n" + lines)


def beside_a_loop(folder: Path, rounds: int) -> dict[str, float]:
    """CPU and wall milliseconds an image: a plain loop, and the catalogue's worker."""
    looks = folder / "lipstick.csv"
    job, photos = prepare(str(folder / "once"), str(looks), Place(str(folder / "loop")), HERE)
    engine = MakeupEngine(Look.from_bytes(job.looks[0].data, "look"), threads=1)
    (folder / "plain").mkdir()
    cv2.setNumThreads(1)

    def loop() -> None:
        for photo in photos:
            picture = read_photo(photo.address)
            made = engine.process(picture.image)
            write_photo(folder / "plain" / photo.name, picture.wearing(made))

    worker = PhotoWorker(job)

    def ours() -> None:
        for photo in photos:
            worker(photo)

    times: dict[str, list[tuple[float, float]]] = {"loop": [], "catalogue": []}
    for turn in range(rounds + 1):
        for name, function in (("loop", loop), ("catalogue", ours)):
            shutil.rmtree(folder / "loop", ignore_errors=True)
            cpu, wall = process_time(), perf_counter()
            function()
            spent = process_time() - cpu, perf_counter() - wall
            if turn:  # the first warms up
                times[name].append((spent[0] * 1e3 / len(photos), spent[1] * 1e3 / len(photos)))
    found = {}
    for name, rows in times.items():
        found[f"{name}_cpu_ms"] = median(cpu for cpu, _ in rows)
        found[f"{name}_wall_ms"] = median(wall for _, wall in rows)
    for kind in ("cpu", "wall"):
        ratios = [
            ours_[k] / loop_[k]
            for k in [("cpu", "wall").index(kind)]
            for loop_, ours_ in zip(times["loop"], times["catalogue"], strict=True)
        ]
        found[f"overhead_{kind}"] = median(ratios) - 1
    for made in sorted((folder / "loop" / "pictures").glob("*/00.jpg")):
        if made.read_bytes() != (folder / "plain" / made.parent.name).read_bytes():
            raise SystemExit(f"{made} is not the loop's picture")
    return found


def with_looks(folder: Path, rounds: int) -> dict[str, Any]:
    """CPU milliseconds of a photo with 1, 4 and 20 looks of a kind, and ratios to one."""
    found: dict[str, Any] = {}
    for kind in ("lipsticks.csv", "references", "full.csv"):
        place = Place(str(folder / "looks"))
        job, photos = prepare(str(folder / "once"), str(folder / kind), place, HERE)
        times: dict[int, list[float]] = {1: [], 4: [], 20: []}
        workers = {k: PhotoWorker(first_looks(job, k)) for k in times}
        for turn in range(rounds + 1):
            for count, worker in workers.items():
                shutil.rmtree(folder / "looks", ignore_errors=True)
                cpu = process_time()
                for photo in photos[:8]:
                    worker(photo)
                if turn:
                    times[count].append((process_time() - cpu) * 1e3 / len(photos[:8]))
        name = kind.partition(".")[0]
        found[name] = {str(count): median(values) for count, values in times.items()}
        found[name]["ratio_20"] = median(b / a for a, b in zip(times[1], times[20], strict=True))
    return found


def first_looks(job: Job, count: int) -> Job:
    """The same job with fewer looks."""
    return Job(job.output, job.settings, job.looks[:count], job.threads)


class TreeCpu:
    """CPU seconds of a process and all that were ever seen below it, the dead as last seen.

    Args:
        root: the process; those below this one are not counted.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._seen: dict[tuple[int, int], float] = {}

    def __call__(self) -> float:
        """Look, and return the sum since it was made."""
        facts = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:  # it has just ended
                    continue
                cpu = sum(map(int, fields[11:13])) / _TICKS
                facts[int(entry.name)] = int(fields[1]), (int(entry.name), int(fields[19])), cpu
        ours, grown = {self._root}, True
        while grown:
            more = {pid for pid, (parent, _, _) in facts.items() if parent in ours} - ours
            ours, grown = ours | more, bool(more)
        self._seen |= {facts[pid][1]: facts[pid][2] for pid in ours if pid in facts}
        return sum(self._seen.values())


def watch(root: str) -> None:
    """Be the process of a `Meter`: look five times a second, tell the sum for each line."""
    tree = TreeCpu(int(root))
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        seconds = tree()
        if ready:
            if not sys.stdin.readline():
                return
            print(seconds, flush=True)


class Meter:
    """Reads the CPU seconds of this process and all below it, from another process."""

    def __enter__(self) -> "Meter":
        code = "import sys, catalogue; catalogue.watch(sys.argv[1])"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(os.getpid())],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def __call__(self) -> float:
        """The sum since the start."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def further_images(folder: Path, workers: int, ray: str | None) -> dict[str, float]:
    """What each further image costs: a long run minus a short one, and the idle cluster beside."""
    options = CatalogueOptions(workers=workers, threads=1)
    runs = []
    with Meter() as meter:
        meter()
        start, cpu = perf_counter(), meter()
        if ray is not None:
            sleep(_IDLE_SECONDS)
        idle = (meter() - cpu) / (perf_counter() - start) if ray is not None else 0.0
        for name in ("many", "more"):
            output = fresh(folder / "further")
            arguments = str(folder / name), str(folder / "lipstick.csv"), str(output), options
            start, cpu = perf_counter(), meter()
            summary = run_catalogue(*arguments, ray=ray)
            runs.append((summary.pairs, meter() - cpu, perf_counter() - start))
            if summary.counts["made"] != summary.pairs:
                raise SystemExit(f"not all pictures were made: {summary.counts}")
    images, cpu, wall = (more - many for many, more in zip(*runs, strict=True))
    return {
        "cpu_ms": (cpu - idle * wall) * 1e3 / images,
        "cpu_ms_with_cluster": cpu * 1e3 / images,
        "idle_cluster_ms_per_second": idle * 1e3,
        "images_per_second": images / wall,
    }


def loops(folder: Path, workers: int) -> float:
    """CPU milliseconds an image of plain loops in processes that run at the same time."""
    code = "import sys, catalogue; catalogue.loop(*sys.argv[1:])"
    shares = [f"{number}/{workers}" for number in range(workers)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), share],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        for share in shares
    ]
    return sum(float(process.communicate()[0]) for process in processes) / workers


def loop(folder: str, share: str) -> None:
    """Be one of `loops`: print the CPU milliseconds an image, without the first third."""
    number, workers = map(int, share.split("/"))
    cv2.setNumThreads(1)
    place = Path(folder)
    output = place / f"loop-{number}"
    output.mkdir(exist_ok=True)
    job, photos = prepare(
        str(place / "many"), str(place / "lipstick.csv"), Place(str(output)), HERE
    )
    engine = MakeupEngine(Look.from_bytes(job.looks[0].data, "look"), threads=1)
    mine = photos[number::workers]
    start, first = 0.0, len(mine) // 3
    for k, photo in enumerate(mine):
        if k == first:
            start = process_time()
        picture = read_photo(photo.address)
        write_photo(output / photo.name, picture.wearing(engine.process(picture.image)))
    print((process_time() - start) * 1e3 / (len(mine) - first))


def beside_loops(
    folder: Path, workers: int, rounds: int, ray: str | None = None
) -> dict[str, float]:
    """The catalogue's workers, and as many plain loops before and after them."""
    rows = []
    plain = loops(folder, workers)
    for _ in range(rounds):
        before, row = plain, further_images(folder, workers, ray)
        plain = loops(folder, workers)
        loop_ms = (before + plain) / 2
        rows.append({"loop_cpu_ms": loop_ms, **row, "overhead_cpu": row["cpu_ms"] / loop_ms - 1})
    return {name: median(row[name] for row in rows) for name in rows[0]}


@contextmanager
def cluster_of(nodes: int) -> Iterator[tuple[Any, dict[str, int]]]:
    """A cluster on this machine, and the arguments of its nodes."""
    import ray.data
    from ray.cluster_utils import Cluster

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    node = {"num_cpus": 2, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        for _ in range(nodes - 1):
            cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster, node
    finally:
        ray.shutdown()
        cluster.shutdown()


def on_ray(folder: Path, rounds: int) -> dict[str, Any]:
    """The same on a cluster of this machine, of two nodes."""
    import ray

    found: dict[str, Any] = {"ray": ray.__version__}
    with cluster_of(2):
        for workers in (1, 2):
            found[f"{workers} workers, 2 nodes"] = beside_loops(folder, workers, rounds, "auto")
    return found


def fresh(path: Path) -> Path:
    """A place with nothing at it."""
    shutil.rmtree(path, ignore_errors=True)
    return path


def memory(folder: Path) -> dict[str, float]:
    """Resident MiB of a worker after 1/4 of the photos, and after all, looks of 20."""
    arguments = str(folder / "twice"), str(folder / "lipsticks.csv")
    job, photos = prepare(*arguments, Place(str(fresh(folder / "memory"))), HERE)
    sizes = []
    with ProcessPool(job, 1) as pool:
        for _ in pool.run(photos):
            status = Path(f"/proc/{pool.pids[0]}/status").read_text()
            sizes.append(int(status.partition("VmRSS:")[2].split()[0]) / 1024)
    return {"photos": len(photos), "early_mib": sizes[len(sizes) // 4], "late_mib": sizes[-1]}


def measure(photos: int, rounds: int) -> dict[str, Any]:
    """Measure everything."""
    found: dict[str, Any] = {
        "machine": machine_info(1),
        "photos": photos,
        "rounds": rounds,
        "scene": "1280x720, one face, noise, JPEG in and out, one thread a worker",
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, photos)
        found["beside_a_loop"] = note(beside_a_loop(folder, rounds))
        found["looks"] = note(with_looks(folder, rounds))
        found["memory"] = note(memory(folder))
        for workers in (1, 2):
            part = note(beside_loops(folder, workers, rounds))
            found.setdefault("processes", {})[str(workers)] = part
        try:
            found["on_ray"] = note(on_ray(folder, max(rounds - 1, 1)))
        except ImportError:
            print("Ray is left out: pip install '.[ray]'")
    return found


def note(value: Any) -> Any:
    """Print a part as soon as it is there, rounded as it is kept."""
    value = json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 3))
    print(json.dumps(value, indent=1), flush=True)
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    found = measure(options.photos, options.rounds)
    target = options.output / "catalogue.json"
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
