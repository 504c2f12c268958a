"""Whole runs: pictures and report, and kills that do not change them."""

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from makeup_kernels.files import sha256
from makeup_sdk import InvalidInputError, Look, MakeupEngine, MakeupError, read_image
from makeup_sdk.catalogue import (
    REPORT_SCHEMA,
    CatalogueOptions,
    CatalogueProgress,
    estimate_catalogue,
    pool,
    run_catalogue,
)
from makeup_sdk.catalogue.pool import ProcessPool
from makeup_sdk.catalogue.report import TIMES
from makeup_sdk.catalogue.run import prepare
from makeup_sdk.catalogue.storage import Place
from makeup_sdk.catalogue.worker import PhotoWorker
from makeup_sdk.cosmetics import Lipstick
from makeup_sdk.shades import read_catalogue

from .conftest import pictures_of, report_of

HERE = CatalogueOptions(format="png", workers=0, threads=1)
NAMES = ["bad.jpg", "deep/light.jpg", "light.jpg", "medium.jpg", "wall.png"]


def run(inputs: Path, output: Path | str, options: CatalogueOptions = HERE) -> dict[str, int]:
    photos, looks = str(inputs / "photos"), str(inputs / "shades.csv")
    return dict(run_catalogue(photos, looks, str(output), options).counts)


@pytest.fixture(scope="module")
def undisturbed(catalogue_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    run(catalogue_inputs, output)
    return output


def test_report(catalogue_inputs: Path, undisturbed: Path) -> None:
    table = parquet.read_table(undisturbed / "report.parquet")
    assert table.schema.equals(REPORT_SCHEMA)
    rows = table.to_pylist()
    assert [(row["photo"], row["look"]) for row in rows] == [
        (photo, look) for photo in NAMES for look in ("plum", "red")
    ]
    statuses = ["bad_photo", "made", "made", "made", "no_face"]
    assert [row["status"] for row in rows] == [status for status in statuses for _ in range(2)]
    for row in rows:
        photo = (catalogue_inputs / "photos" / row["photo"]).read_bytes()
        assert row["photo_sha256"] == sha256(photo)
        assert row["milliseconds"] >= 0
        assert (row["picture"] is not None) == (row["status"] == "made")
        assert (row["message"] is not None) == (row["status"] == "bad_photo")
        if row["picture"]:
            assert row["picture"] == f"pictures/{row['photo']}/{row['look']}.png"
            assert row["picture_sha256"] == sha256((undisturbed / row["picture"]).read_bytes())
            assert (row["faces"], row["painted"], row["face_statuses"]) == (1, 1, "ok")
            assert (row["width"], row["height"]) == (256, 256)
    assert rows[0]["message"].startswith("bad.jpg: ")
    assert len(pictures_of(undisturbed)) == 6


def test_pictures_are_the_engines(catalogue_inputs: Path, undisturbed: Path) -> None:
    for shade in read_catalogue(catalogue_inputs / "shades.csv"):
        engine = MakeupEngine(Look.from_products([shade.product]), threads=1)
        for name in ("light.jpg", "medium.jpg"):
            expected = engine.process(read_image(catalogue_inputs / "photos" / name))
            made = read_image(undisturbed / "pictures" / name / f"{shade.sku}.png")
            np.testing.assert_array_equal(made, expected)


def test_worker_processes_end_with_the_same(
    catalogue_inputs: Path, undisturbed: Path, tmp_path: Path
) -> None:
    run(catalogue_inputs, tmp_path, CatalogueOptions(format="png", workers=2))
    assert report_of(tmp_path).equals(report_of(undisturbed))
    assert pictures_of(tmp_path) == pictures_of(undisturbed)


def test_addresses_of_fsspec(catalogue_inputs: Path, undisturbed: Path) -> None:
    output = "memory://catalogue-of-a-test"
    run(catalogue_inputs, output)
    place = Place(output)
    assert place.read("report.parquet") is not None
    with place.fs.open(place.below("report.parquet")) as file:
        times = list(TIMES)
        assert parquet.read_table(file).drop_columns(times).equals(report_of(undisturbed))
    for name, data in pictures_of(undisturbed).items():
        assert place.read(name) == data
    again = run_catalogue(
        f"{output}/pictures/*/red.png", "soft-glam", "memory://second-of-a-test", HERE
    )
    assert again.counts["made"] == 2


def test_a_second_start_makes_nothing(
    catalogue_inputs: Path, tmp_path: Path, undisturbed: Path
) -> None:
    run(catalogue_inputs, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "pictures").rglob("*.png")}
    seen: list[CatalogueProgress] = []
    photos, looks = str(catalogue_inputs / "photos"), str(catalogue_inputs / "shades.csv")
    summary = run_catalogue(photos, looks, str(tmp_path), HERE, progress=seen.append)
    assert summary.new == 0
    assert seen[-1].done == summary.photos == len(NAMES)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert report_of(tmp_path).equals(report_of(undisturbed))


def test_more_looks_and_changed_photos_are_all_that_is_made(
    catalogue_inputs: Path, tmp_path: Path
) -> None:
    run(catalogue_inputs, tmp_path / "out")
    looks = tmp_path / "looks.csv"
    looks.write_text((catalogue_inputs / "shades.csv").read_text() + "nude,lipstick,#a06050\n")
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("light.jpg", "medium.jpg"):
        (photos / name).write_bytes((catalogue_inputs / "photos" / name).read_bytes())
    first = run_catalogue(str(photos), str(looks), str(tmp_path / "second"), HERE)
    assert first.new == 6
    (photos / "light.jpg").write_bytes((photos / "medium.jpg").read_bytes())
    os.utime(photos / "light.jpg", (1, 1))
    second = run_catalogue(str(photos), str(looks), str(tmp_path / "second"), HERE)
    assert second.new == 3
    rows = parquet.read_table(tmp_path / "second" / "report.parquet").to_pylist()
    assert rows[0]["photo_sha256"] == rows[3]["photo_sha256"]
    looks.write_text(looks.read_text().replace("#a06050", "#a06051"))
    assert run_catalogue(str(photos), str(looks), str(tmp_path / "second"), HERE).new == 2


def test_other_settings_need_another_output(catalogue_inputs: Path, tmp_path: Path) -> None:
    run(catalogue_inputs, tmp_path)
    with pytest.raises(InvalidInputError, match="made with format = 'png', this run has 'jpg'"):
        run(catalogue_inputs, tmp_path, CatalogueOptions(workers=0))


def test_size(catalogue_inputs: Path, tmp_path: Path) -> None:
    run(catalogue_inputs, tmp_path, CatalogueOptions(format="webp", size=128, workers=0))
    rows = parquet.read_table(tmp_path / "report.parquet").to_pylist()
    assert {(r["width"], r["height"]) for r in rows if r["status"] == "made"} == {(128, 128)}
    assert read_image(tmp_path / "pictures" / "light.jpg" / "red.webp").shape == (128, 128, 3)


def test_storage_that_fails_is_tried_again(
    catalogue_inputs: Path, tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Place.write

    def full(self: Place, name: str, data: bytes) -> None:
        if "medium.jpg/red" in name:
            raise OSError(28, "No space left on device")
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "write", full)
        assert run(catalogue_inputs, tmp_path)["failed"] == 2
    rows = parquet.read_table(tmp_path / "report.parquet").to_pylist()
    failed = [row for row in rows if row["status"] == "failed"]
    assert {row["photo"] for row in failed} == {"medium.jpg"}
    assert "No space left" in failed[0]["message"]
    assert run(catalogue_inputs, tmp_path)["failed"] == 0
    assert report_of(tmp_path).equals(report_of(undisturbed))


def test_a_store_that_fails_late_is_tried_again(
    catalogue_inputs: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures for a store in the network are written while the next one is made."""
    write, output = Place.write, "memory://late-failures-of-a-test"

    def lost(self: Place, name: str, data: bytes) -> None:
        if "medium.jpg/plum" in name:  # the first of two
            raise ConnectionError("store is away")
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "write", lost)
        assert run(catalogue_inputs, output)["failed"] == 2
    assert run(catalogue_inputs, output)["failed"] == 0
    for name, data in pictures_of(undisturbed).items():
        assert Place(output).read(name) == data


def test_a_damaged_record_is_made_again(
    catalogue_inputs: Path, tmp_path: Path, undisturbed: Path
) -> None:
    run(catalogue_inputs, tmp_path)
    for path in (tmp_path / "records").rglob("*.json.gz"):
        path.write_bytes(path.read_bytes()[:-9])
    run(catalogue_inputs, tmp_path)
    assert report_of(tmp_path).equals(report_of(undisturbed))


_KILLED = """
import os, signal, sys
from pathlib import Path
import makeup_kernels.files as files
from makeup_sdk.catalogue import CatalogueOptions, run_catalogue

photos, looks, output = sys.argv[1:]
options = CatalogueOptions(format="png", workers=0, threads=1)
real_write, real_replace = files.write_synced, os.replace

def run(step, where):
    # kill ourselves at a write: in its middle, before its file appears, or after
    writes = 0
    def write(path, data):
        nonlocal writes
        writes += 1
        if writes == step and where == "middle":
            Path(path).write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        real_write(path, data)
    def replace(place, target):
        if writes == step and where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real_replace(place, target)
        if writes == step:
            os.kill(os.getpid(), signal.SIGKILL)
    files.write_synced, os.replace = write, replace
    run_catalogue(photos, looks, output, options)

for start in range(60):
    child = os.fork()
    if child == 0:
        run(1 + start % 4, ("middle", "before", "after")[start % 3])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(start, status, flush=True)
    if not os.WIFSIGNALED(status):
        break
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_at_every_write(catalogue_inputs: Path, tmp_path: Path, undisturbed: Path) -> None:
    """Killed at the first to fourth write of a start: in its middle, before or after it shows."""
    arguments = [str(catalogue_inputs / "photos"), str(catalogue_inputs / "shades.csv")]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *arguments, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[-1][1] == "0"
    assert [int(status) for _, status in lines[:-1]] == [signal.SIGKILL] * (len(lines) - 1)
    assert len(lines) > 10
    assert report_of(tmp_path).equals(report_of(undisturbed))
    assert pictures_of(tmp_path) == pictures_of(undisturbed)  # leftovers of kills are gone too


def test_workers_killed_in_the_middle(catalogue_inputs: Path, tmp_path: Path) -> None:
    """Kills of workers that hold a photo; every pair comes out as without them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    data = (catalogue_inputs / "photos" / "light.jpg").read_bytes()
    for number in range(8):
        (photos / f"{number}.jpg").write_bytes(data)
    looks, kills = str(catalogue_inputs / "shades.csv"), 0
    for turn in range(6):  # while a worker starts, the other gets on: a few kills a turn
        output = tmp_path / str(turn)
        options = CatalogueOptions(format="png", threads=1)
        job, found = prepare(str(photos), looks, Place(str(output)), options)
        spared = set()
        outcomes = []
        with ProcessPool(job, 2) as workers:
            for outcome in workers.run(found):
                outcomes.append(outcome)
                for pid, photo in workers.at_work.items():
                    if photo not in spared:
                        spared.add(photo)
                        kills += 1
                        os.kill(pid, signal.SIGKILL)
        assert sorted(outcome.photo for outcome in outcomes) == [photo.name for photo in found]
        assert [outcome for outcome in outcomes if outcome.trouble] == []
        summary = run_catalogue(str(photos), looks, str(output), HERE)
        assert (summary.new, summary.counts["made"]) == (0, 16)
        assert len({sha256(made) for made in pictures_of(output).values()}) == 2
        if kills >= 3:
            break
    assert kills >= 3


def test_a_driver_that_is_killed_takes_its_workers_along(
    catalogue_inputs: Path, tmp_path: Path
) -> None:
    code = (
        "import json, os, signal, sys\n"
        "from makeup_sdk.catalogue.pool import ProcessPool\n"
        "from makeup_sdk.catalogue.run import prepare, CatalogueOptions\n"
        "from makeup_sdk.catalogue.storage import Place\n"
        "job, found = prepare(*sys.argv[1:3], Place(sys.argv[3]), CatalogueOptions(threads=1))\n"
        "with ProcessPool(job, 2) as pool:\n"
        "    for _ in pool.run(found):\n"
        "        print(json.dumps(pool.pids), flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    arguments = [str(catalogue_inputs / "photos"), str(catalogue_inputs / "shades.csv")]
    command = [sys.executable, "-c", code, *arguments, str(tmp_path)]
    # workers hold the other end of stderr: that it ends says that they have ended
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    for pid in json.loads(done.stdout):
        assert (
            not Path(f"/proc/{pid}/cmdline").exists()
            or not Path(f"/proc/{pid}/cmdline").read_bytes()
        )


_POISON = """
import json, os, sys
sys.stdin.readline()
print("{}", flush=True)
for line in sys.stdin:
    name = json.loads(line)["name"]
    if name == "light.jpg":
        os.abort()
    print(json.dumps({"photo": name, "new": 2}), flush=True)
"""


def test_a_photo_that_kills_its_workers_costs_no_other(
    catalogue_inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_COMMAND", (sys.executable, "-c", _POISON))
    arguments = str(catalogue_inputs / "photos"), str(catalogue_inputs / "shades.csv")
    job, found = prepare(*arguments, Place(str(tmp_path)), HERE)
    with ProcessPool(job, 2) as workers:
        outcomes = {outcome.photo: outcome.trouble for outcome in workers.run(found)}
    trouble = f"3 workers died on this photo (status {-signal.SIGABRT})"
    assert outcomes == {name: trouble if name == "light.jpg" else None for name in NAMES}


_CUT = """
import json, os, sys
sys.stdin.readline()
print("{}", flush=True)
for line in sys.stdin:
    name = json.loads(line)["name"]
    reply = json.dumps({"photo": name, "new": 2})
    if name == "medium.jpg":
        print(reply[:9], end="", flush=True)
        os.abort()
    print(reply, flush=True)
"""


def test_a_worker_that_dies_within_its_reply(
    catalogue_inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_COMMAND", (sys.executable, "-c", _CUT))
    arguments = str(catalogue_inputs / "photos"), str(catalogue_inputs / "shades.csv")
    job, found = prepare(*arguments, Place(str(tmp_path)), HERE)
    with ProcessPool(job, 1) as workers:
        troubles = {outcome.photo: outcome.trouble for outcome in workers.run(found)}
    assert sorted(name for name, trouble in troubles.items() if trouble) == ["medium.jpg"]
    assert sorted(troubles) == NAMES


def test_workers_that_do_not_start(
    catalogue_inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    options = CatalogueOptions(format="png", workers=2)
    with pytest.raises(MakeupError, match="the workers end before they begin"):
        run(catalogue_inputs, tmp_path, options)


def test_memory_stays_flat(catalogue_inputs: Path, tmp_path: Path) -> None:
    """Python's and NumPy's allocations do not grow with the number of photos."""
    import tracemalloc

    photos = tmp_path / "photos"
    photos.mkdir()
    data = (catalogue_inputs / "photos" / "light.jpg").read_bytes()
    for number in range(30):
        (photos / f"{number:02}.jpg").write_bytes(data)
    output = Place(str(tmp_path / "out"))
    job, found = prepare(str(photos), str(catalogue_inputs / "shades.csv"), output, HERE)
    worker = PhotoWorker(job)
    for photo in found[:5]:
        worker(photo)
    tracemalloc.start()
    try:
        for photo in found[5:10]:
            worker(photo)
        early, _ = tracemalloc.get_traced_memory()
        for photo in found[10:]:
            worker(photo)
        late, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert late - early < 100_000  # half of one small picture, for 20 photos


def test_estimate(catalogue_inputs: Path, tmp_path: Path) -> None:
    arguments = str(catalogue_inputs / "photos"), str(catalogue_inputs / "shades.csv")
    output = tmp_path / "out"
    guess = estimate_catalogue(*arguments, str(output), HERE)
    assert not output.exists()
    assert (guess.photos, guess.looks, guess.begun, guess.sampled) == (5, 2, 0, 5)
    run(catalogue_inputs, output)
    size = sum(map(len, pictures_of(output).values()))
    assert guess.gigabytes == pytest.approx(size / 1e9)
    assert guess.hours > 0
    after = estimate_catalogue(*arguments, str(output), HERE)
    assert (after.begun, after.sampled, after.hours, after.gigabytes) == (5, 0, 0, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "gif"}, "format: 'gif' is unknown; expected one of jpg"),
        ({"size": -1}, "size: got -1, expected an integer of at least 0"),
        ({"workers": 1.5}, "workers: got 1.5, expected an integer of at least 0"),
        ({"threads": 0}, "threads: got 0, expected an integer of at least 1, or None"),
    ],
)
def test_wrong_options(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        CatalogueOptions(**values)  # type: ignore[arg-type]


def test_regions_and_strength_arrive(catalogue_inputs: Path, tmp_path: Path) -> None:
    options = CatalogueOptions(format="png", strength={"eyes": 1.0}, workers=0)
    counts = run(catalogue_inputs, tmp_path, options)  # lipsticks alone, and no lips allowed
    assert counts == {"made": 0, "bare": 6, "no_face": 2, "bad_photo": 2, "failed": 0}
    half = MakeupEngine(Look.from_products([Lipstick("#b3123a")]), strength=0.5, threads=1)
    options = CatalogueOptions(format="png", strength=0.5, workers=0)
    run(catalogue_inputs, tmp_path / "half", options)
    expected = half.process(read_image(catalogue_inputs / "photos" / "light.jpg"))
    made = read_image(tmp_path / "half" / "pictures" / "light.jpg" / "red.png")
    np.testing.assert_array_equal(made, expected)


def test_tone_is_the_engines(catalogue_inputs: Path, tmp_path: Path) -> None:
    photo, reference = catalogue_inputs / "photos" / "light.jpg", tmp_path / "reference.look"
    look = Look.from_photo(str(catalogue_inputs / "photos" / "medium.jpg"))
    look.save(reference)
    look = Look.load(reference)
    options = CatalogueOptions(format="png", workers=0, threads=1, tone=0.7)
    run_catalogue(str(photo), str(reference), str(tmp_path / "out"), options)
    expected = MakeupEngine(look, tone=0.7, threads=1).process(read_image(photo))
    made = read_image(tmp_path / "out" / "pictures" / "light.jpg" / "reference.png")
    np.testing.assert_array_equal(made, expected)
    with pytest.raises(InvalidInputError, match=r"made with tone = 0.7, this run has 0.0"):
        run_catalogue(str(photo), str(reference), str(tmp_path / "out"), HERE)


def test_tone_of_looks_that_have_none(catalogue_inputs: Path, tmp_path: Path) -> None:
    options = CatalogueOptions(workers=0, tone=0.5)
    with pytest.raises(InvalidInputError, match="tone: look 'red' has no shade of skin"):
        run(catalogue_inputs, tmp_path, options)
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an option of glibc")
def test_workers_keep_the_memory_of_freed_pictures() -> None:
    """Pictures as large as these go back to the system otherwise, thousands of pages a photo."""

    def faults(first: str) -> int:
        code = (
            f"{first}; import resource, numpy as np\n"
            "for turn in range(12):\n"
            "    if turn == 2: start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "    made = [np.full(20 << 20, 1, np.uint8) for _ in range(3)]\n"
            "    del made\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return int(done.stdout)

    worker = "from makeup_sdk.catalogue.worker import keep_memory"
    kept, by_default = faults(f"{worker}; keep_memory()"), faults(worker)
    assert kept < 1000
    assert by_default > 10_000
