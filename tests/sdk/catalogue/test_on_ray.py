"""A catalogue on Ray: two CPUs, few photos, killed actors."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from makeup_sdk import MakeupError
from makeup_sdk.catalogue import CatalogueOptions, CatalogueProgress, on_ray, run_catalogue
from makeup_sdk.catalogue.on_ray import (
    RayWorker,
    Slower,
    Tries,
    _connect,
    _set_up,
    run_on_ray,
)
from makeup_sdk.catalogue.run import prepare
from makeup_sdk.catalogue.storage import Place

from .conftest import pictures_of, report_of

ray: Any = pytest.importorskip("ray", reason="needs the ray extra")
ray_cluster = pytest.importorskip("ray.cluster_utils", reason="needs the ray extra")
pytest.importorskip("ray.data", reason="needs the ray extra")

OPTIONS = CatalogueOptions(format="png", workers=2, threads=1)
_STORE = 80 << 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node for the driver and one with the CPUs for actors; a third comes and goes."""
    made = ray_cluster.Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 2,
            "object_store_memory": _STORE,
            "include_dashboard": False,
        },
    )
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def undisturbed(catalogue_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    options = CatalogueOptions(format="png", workers=0, threads=1)
    photos, looks = str(many(catalogue_inputs)), str(catalogue_inputs / "shades.csv")
    run_catalogue(photos, looks, str(output), options)
    return output


def many(inputs: Path) -> Path:
    """A folder with twelve more photos."""
    folder = inputs / "many"
    if not folder.exists():
        folder.mkdir()
        for number in range(12):
            name = ("light.jpg", "medium.jpg")[number % 2]
            (folder / f"{number:02}.jpg").write_bytes((inputs / "photos" / name).read_bytes())
        (folder / "bad.jpg").write_bytes(b"\xff\xd8 no more")
    return folder


def actors() -> list[int]:
    """Process ids of our actors: of descendants of this process, so of nobody else's."""
    parents, ours = {}, []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:  # it has just ended
            continue
        if command.startswith(b"ray::") and b"RayWorker" in command:
            ours.append(int(entry.name))
    return [pid for pid in ours if descends(pid, parents)]


def descends(pid: int, parents: dict[int, int]) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = parents.get(pid, 0)
    return False


@pytest.mark.usefixtures("cluster")
def test_the_report_is_that_of_one_process(
    catalogue_inputs: Path, tmp_path: Path, undisturbed: Path
) -> None:
    photos, looks = str(many(catalogue_inputs)), str(catalogue_inputs / "shades.csv")
    seen: list[CatalogueProgress] = []
    summary = run_catalogue(photos, looks, str(tmp_path), OPTIONS, ray="auto", progress=seen.append)
    assert (summary.new, seen[-1].done, summary.counts["bad_photo"]) == (26, 13, 2)
    assert report_of(tmp_path).equals(report_of(undisturbed))
    assert pictures_of(tmp_path) == pictures_of(undisturbed)
    again = run_catalogue(photos, looks, str(tmp_path), OPTIONS, ray="auto")
    assert again.new == 0


@pytest.mark.usefixtures("cluster")
def test_actors_killed_in_the_middle(
    catalogue_inputs: Path, tmp_path: Path, undisturbed: Path
) -> None:
    photos, looks = str(many(catalogue_inputs)), str(catalogue_inputs / "shades.csv")
    killed: list[int] = []

    def kill(state: CatalogueProgress) -> None:
        if len(killed) < 2:
            for pid in actors()[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    summary = run_catalogue(photos, looks, str(tmp_path), OPTIONS, ray="auto", progress=kill)
    assert len(killed) == 2
    assert summary.counts["failed"] == 0
    assert report_of(tmp_path).equals(report_of(undisturbed))
    assert pictures_of(tmp_path) == pictures_of(undisturbed)


def test_a_node_killed_in_the_middle(
    cluster: Any, catalogue_inputs: Path, tmp_path: Path, undisturbed: Path
) -> None:
    photos, looks = str(many(catalogue_inputs)), str(catalogue_inputs / "shades.csv")
    node = cluster.add_node(num_cpus=2, object_store_memory=_STORE)
    cluster.wait_for_nodes()
    gone: list[Any] = []

    def kill(state: CatalogueProgress) -> None:
        if not gone:
            gone.append(node)
            cluster.remove_node(node, allow_graceful=False)

    options = CatalogueOptions(format="png", workers=4, threads=1)
    summary = run_catalogue(photos, looks, str(tmp_path), options, ray="auto", progress=kill)
    assert gone == [node]
    assert summary.counts["failed"] == 0
    assert report_of(tmp_path).equals(report_of(undisturbed))
    assert pictures_of(tmp_path) == pictures_of(undisturbed)


@pytest.mark.usefixtures("cluster")
def test_more_threads_than_a_node_has(catalogue_inputs: Path, tmp_path: Path) -> None:
    arguments = str(many(catalogue_inputs)), str(catalogue_inputs / "shades.csv")
    options = CatalogueOptions(threads=64)
    job, found = prepare(*arguments, Place(str(tmp_path)), options)
    with pytest.raises(MakeupError, match="ray: no node has 64 CPUs; give fewer --threads"):
        list(run_on_ray(job, found, address="auto", workers=1))


@pytest.mark.usefixtures("cluster")
def test_a_photo_that_kills_its_workers_costs_no_other(
    catalogue_inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, looks = str(many(catalogue_inputs)), str(catalogue_inputs / "shades.csv")

    class Fatal(RayWorker):
        def _one(self, photo: Any) -> Any:
            self._work = self._die if photo.name == "05.jpg" else self._real
            return super()._one(photo)

        def __init__(self, job: Any, tries: Any) -> None:
            super().__init__(job, tries)
            self._real = self._work

        def _die(self, photo: Any) -> Any:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("makeup_sdk.catalogue.on_ray.RayWorker", Fatal)
    summary = run_catalogue(photos, looks, str(tmp_path), OPTIONS, ray="auto")
    assert summary.counts == {"made": 22, "bare": 0, "no_face": 0, "bad_photo": 2, "failed": 2}
    failed = [row for row in report_of(tmp_path).to_pylist() if row["status"] == "failed"]
    assert {(row["photo"], row["message"]) for row in failed} == {
        ("05.jpg", "3 workers died on this photo")
    }


def test_tries() -> None:
    tries = Tries()
    assert [tries.begin("a"), tries.begin("a"), tries.begin("b")] == [1, 2, 1]
    tries.end("a")
    assert (tries.begin("a"), tries.begin("b")) == (1, 2)


def test_what_is_switched_off() -> None:
    context = ray.data.DataContext.get_current().copy()
    _set_up(context)
    assert not context.enable_progress_bars
    assert context.memory_usage_poll_interval_s is None
    assert context.execution_no_progress_timeout_s == -1
    assert Slower in context.execution_callback_classes


def test_steps_pause_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = [100.0], []
    monkeypatch.setattr(on_ray, "monotonic", lambda: now[0])
    monkeypatch.setattr(on_ray, "sleep", pauses.append)
    slower = Slower()
    slower.on_execution_step(None)
    assert pauses == []
    now[0] += 11
    slower.on_execution_step(None)
    assert pauses == [0.4]


def test_no_cluster() -> None:
    class Nothing:
        @staticmethod
        def init(*_: Any, **__: Any) -> None:
            raise ConnectionError("nobody there")

    with pytest.raises(MakeupError, match=r"ray: no cluster at 'auto' \(nobody there\); start one"):
        _connect(Nothing, "auto")


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MakeupError, match=r"pip install '\.\[ray\]'"):
        list(run_on_ray(None, [], address="local", workers=1))  # type: ignore[arg-type]
