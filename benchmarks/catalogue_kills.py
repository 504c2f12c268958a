"""Kill a catalogue's workers, Ray actors and nodes in the middle of runs, and count what differs.

    python benchmarks/catalogue_kills.py           # writes results/catalogue-kills.json

Afterwards every row of the report must be as that of an undisturbed run, times aside.
"""

import argparse
import json
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalogue import HERE, RESULTS, cluster_of, fresh, note, write_inputs
from pyarrow import parquet

from makeup_sdk.bench.machine import machine_info
from makeup_sdk.catalogue import CatalogueOptions, CatalogueProgress, run_catalogue
from makeup_sdk.catalogue.pool import ProcessPool
from makeup_sdk.catalogue.report import TIMES
from makeup_sdk.catalogue.run import prepare
from makeup_sdk.catalogue.storage import Place


def killed_nodes(folder: Path, kills: int, cluster: Any, node: dict[str, int]) -> dict[str, int]:
    """Take a node away without warning, one a run; count rows that do not come out alike."""
    differing = 0
    for number in range(kills):
        output = fresh(folder / "killed")
        here: list[Any] = [cluster.add_node(**node)]
        cluster.wait_for_nodes()

        def kill(state: CatalogueProgress, here: list[Any] = here) -> None:
            if here and 4 * state.done >= state.photos:
                cluster.remove_node(here.pop(), allow_graceful=False)

        options = CatalogueOptions(workers=4, threads=1)
        arguments = str(folder / "twice"), str(folder / "lipstick.csv"), str(output)
        run_catalogue(*arguments, options, ray="auto", progress=kill)
        if here:
            raise SystemExit("the run has ended before its node was killed")
        differing += differences(folder, output)
        print(f"{number + 1} of {kills} nodes killed, {differing} rows differ", flush=True)
    return {"kills": kills, "starts": kills, "rows_that_differ": differing}


def killed_on_ray(folder: Path, kills: int) -> dict[str, int]:
    """Kill actors in the middle; count kills and pairs that do not come out as undisturbed."""
    done = 0

    def kill(_: Any) -> None:
        nonlocal done
        for pid in ray_workers()[:1] if done < kills else []:
            os.kill(pid, signal.SIGKILL)
            done += 1

    starts = differing = 0
    while done < kills and starts < kills + 5:
        starts += 1
        output = fresh(folder / "killed")
        options = CatalogueOptions(workers=2, threads=1)
        arguments = str(folder / "twice"), str(folder / "lipstick.csv"), str(output)
        run_catalogue(*arguments, options, ray="auto", progress=kill)
        differing += differences(folder, output)
    return {"kills": done, "starts": starts, "rows_that_differ": differing}


def ray_workers() -> list[int]:
    """Process ids of our actors, below this process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                mine = b"RayWorker" in (entry / "cmdline").read_bytes()[:200] and below_us(entry)
            except OSError:
                continue
            if mine:
                found.append(int(entry.name))
    return found


def below_us(entry: Path) -> bool:
    """Whether a process of /proc descends from this one."""
    while entry.name not in ("0", "1"):
        if int(entry.name) == os.getpid():
            return True
        parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        entry = entry.parent / parent
    return False


def killed_here(folder: Path, kills: int) -> dict[str, int]:
    """Kill worker processes that hold a photo; count pairs that do not come out as undisturbed."""
    done = starts = differing = 0
    while done < kills and starts < kills + 5:
        starts += 1
        output = fresh(folder / "killed")
        options = CatalogueOptions(workers=2, threads=1)
        arguments = str(folder / "twice"), str(folder / "lipstick.csv")
        job, photos = prepare(*arguments, Place(str(output)), options)
        spared: set[str] = set()
        with ProcessPool(job, 2) as pool:
            for _ in pool.run(photos):
                held = [pid for pid, photo in pool.at_work.items() if photo not in spared]
                if held and done < kills:
                    spared.add(pool.at_work[held[0]])
                    os.kill(held[0], signal.SIGKILL)
                    done += 1
        run_catalogue(*arguments, str(output), options)
        differing += differences(folder, output)
    return {"kills": done, "starts": starts, "rows_that_differ": differing}


def differences(folder: Path, output: Path) -> int:
    """Rows of a report that differ from an undisturbed run's, times aside."""
    whole = folder / "undisturbed"
    if not whole.exists():
        arguments = str(folder / "twice"), str(folder / "lipstick.csv"), str(whole)
        run_catalogue(*arguments, HERE)
    times = list(TIMES)
    one, other = (
        parquet.read_table(place / "report.parquet").drop_columns(times).to_pylist()
        for place in (whole, output)
    )
    if len(one) != len(other):
        return max(len(one), len(other))
    return sum(a != b for a, b in zip(one, other, strict=True))


def measure(photos: int, kills: int) -> dict[str, Any]:
    """Workers here, actors and nodes on Ray."""
    found: dict[str, Any] = {"machine": machine_info(1)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, photos)
        found["workers"] = note(killed_here(folder, kills))
        with cluster_of(1) as (cluster, node):
            found["actors"] = note(killed_on_ray(folder, kills))
            found["nodes"] = note(killed_nodes(folder, kills, cluster, node))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--kills", type=int, default=10, help="Kills of each.")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    found = measure(options.photos, options.kills)
    target = options.output / "catalogue-kills.json"
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
