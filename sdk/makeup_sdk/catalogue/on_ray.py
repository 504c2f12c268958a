"""Workers on Ray: Ray Data with a pool of actors, each with an engine. Needs the extra `ray`.

Only names go through Ray, no pictures. An actor reads each photo from its address and writes
results and records to the output, which every node must reach. This keeps the driver and Ray's
object store small. If an actor or node is lost, Ray gives its block to another actor, which skips
the recorded photos; only the unfinished work is repeated.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from time import monotonic, sleep
from typing import Any

from makeup_kernels import BackendUnavailableError, MakeupError
from makeup_sdk.catalogue.job import Job, PhotoRef
from makeup_sdk.catalogue.worker import Outcome, PhotoWorker, keep_memory

_BLOCK, _PAIRS = 16, 64
"""Minimum number of photos and of pairs per block, the unit that an actor gets."""
_RUNNING_IN, _PAUSE = 10.0, 0.4
"""Seconds of a run after which Ray Data's scheduling loop pauses between steps, and the pause."""
_TRIES = 3
_OBJECT_STORE = 128 << 20
"""Size in bytes, if the run starts Ray itself."""


class Tries:
    """An actor that counts the unfinished attempts of each block and photo."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}

    def begin(self, photo: str) -> int:
        """Count an attempt; returns the number of attempts."""
        self._begun[photo] = self._begun.get(photo, 0) + 1
        return self._begun[photo]

    def end(self, photo: str) -> None:
        """Reset the count of a finished photo."""
        self._begun.pop(photo, None)


class RayWorker:
    """An actor with an engine; it processes one block of photos after the other.

    Args:
        job: reference to the job (`Job.to_json`) in Ray's object store.
        tries: handle of the `Tries` actor.
    """

    def __init__(self, job: Any, tries: Any) -> None:
        import ray

        keep_memory()
        self._get, self._tries = ray.get, tries
        self._work = PhotoWorker(Job.from_json(ray.get(job)))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Process a block given by names, addresses and versions; returns the outcomes."""
        columns = batch["name"], batch["address"], batch["version"]
        photos = [PhotoRef(*map(str, row)) for row in zip(*columns, strict=True)]
        block = f"block of {photos[0].name}"
        again = self._get(self._tries.begin.remote(block)) > 1
        outcomes = [self._watched(photo) if again else self._one(photo) for photo in photos]
        self._tries.end.remote(block)
        return {
            "photo": [outcome.photo for outcome in outcomes],
            "new": [outcome.new for outcome in outcomes],
            "trouble": [outcome.trouble or "" for outcome in outcomes],
        }

    def _watched(self, photo: PhotoRef) -> Outcome:
        """Process a photo of a block in which a worker died, on an unknown photo."""
        if self._get(self._tries.begin.remote(photo.name)) >= _TRIES:
            return Outcome(photo.name, 0, f"{_TRIES} workers died on this photo")
        outcome = self._one(photo)
        self._tries.end.remote(photo.name)
        return outcome

    def _one(self, photo: PhotoRef) -> Outcome:
        try:
            return self._work(photo)
        except Exception as error:  # otherwise Ray fails the whole block
            return Outcome(photo.name, 0, f"{type(error).__name__}: {error}")


class Slower:
    """Makes a step of Ray Data's scheduling loop rarer, an `ExecutionCallback` of Ray Data.

    The loop polls ten times a second, which costs several percent of a CPU for as long as the run
    lasts. Actors have a second block waiting, so they never wait for a step.
    """

    def __init__(self) -> None:
        self._start = monotonic()

    def before_execution_starts(self, executor: Any) -> None:
        """Do nothing."""

    def on_execution_step(self, executor: Any) -> None:
        """Pause, except at the start of a run."""
        if monotonic() - self._start > _RUNNING_IN:
            sleep(_PAUSE)

    def after_execution_succeeds(self, executor: Any) -> None:
        """Do nothing."""

    def after_execution_fails(self, executor: Any, error: Exception) -> None:
        """Do nothing."""


def run_on_ray(
    job: Job, photos: list[PhotoRef], *, address: str, workers: int
) -> Iterator[Outcome]:
    """Yield the outcome of each photo as soon as it is known.

    Args:
        job: the job; each actor reserves `threads` CPUs.
        photos: all photos of the run.
        address: address of the cluster: "auto" (this machine's cluster), "local" (starts Ray for
            this run), or any address of `ray.init`.
        workers: number of actors; 0: as many as the CPUs allow at the start.

    Raises:
        BackendUnavailableError: Ray is not installed.
        MakeupError: no cluster at the address, too few CPUs, or the cluster went down.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise BackendUnavailableError(
            f"--ray needs Ray Data ({error}); run: pip install '.[ray]'"
        ) from None
    os.environ.setdefault("RAY_DATA_USAGE_DISABLED", "1")  # its collector is one more process
    started = not ray.is_initialized()
    if started:
        _connect(ray, address)
    try:
        fitting = sum(
            int(node["Resources"].get("CPU", 0)) // job.threads
            for node in ray.nodes()
            if node["Alive"]
        )
        if fitting < 1:
            raise MakeupError(
                f"ray: no node has {job.threads} CPUs; give fewer --threads, or add nodes"
            )
        tries = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote()
        block = max(_BLOCK, _PAIRS // len(job.looks))
        blocks = min(len(photos), max(-(-len(photos) // block), 4 * (workers or fitting)))
        names = ray.data.from_items([asdict(photo) for photo in photos], override_num_blocks=blocks)
        outcomes = names.map_batches(
            RayWorker,
            batch_size=None,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=workers or fitting),
            fn_constructor_args=(ray.put(job.to_json()), tries),
            num_cpus=job.threads,
        )
        _set_up(outcomes.context)
        for row in outcomes.iter_rows():
            yield Outcome(str(row["photo"]), int(row["new"]), str(row["trouble"]) or None)
    except ray.exceptions.RayError as error:
        raise MakeupError(
            f"ray: the run has ended early ({error}); start it again, and it goes on"
        ) from error
    finally:
        if started:
            ray.shutdown()


def _set_up(context: Any) -> None:
    """Switch off what costs time for as long as a run lasts; options differ between versions."""
    options = {
        "enable_progress_bars": False,  # ours is shown; the dashboard has its own
        "memory_usage_poll_interval_s": None,
        "execution_no_progress_timeout_s": -1,  # a block of very many looks may take longer
        "custom_execution_callback_classes": [Slower],
    }
    for name, value in options.items():
        if hasattr(context, name):
            setattr(context, name, value)


def _connect(ray: Any, address: str) -> None:
    logging.getLogger("ray.data").setLevel(logging.WARNING)  # our progress bar is shown
    own = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    try:
        more = own if address == "local" else {}
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING, **more)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise MakeupError(
            f"ray: no cluster at {address!r} ({error}); start one with `ray start --head`, or use "
            "--ray local"
        ) from None
