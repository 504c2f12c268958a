"""Worker processes on this machine; each processes one photo at a time.

If a worker dies, a new one replaces it and its photo is retried. After three deaths on one photo
the run skips it. Workers exit when their parent process is gone.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from makeup_kernels import MakeupError
from makeup_sdk.catalogue.job import Job, PhotoRef
from makeup_sdk.catalogue.worker import Outcome, PhotoWorker, keep_memory

_TRIES = 3
_COMMAND = (sys.executable, "-c", "from makeup_sdk.catalogue.pool import work; work()")


@dataclass
class _Process:
    """A worker process and its current photo."""

    process: "subprocess.Popen[str]"
    photo: PhotoRef | None = None

    @property
    def replies(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def tell(self, line: str) -> None:
        """Send a line; if the worker is dead, the end of its replies shows it."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()


class ProcessPool:
    """Runs a job in processes.

        with ProcessPool(job, workers=2) as pool:
            for outcome in pool.run(photos):
                ...

    Args:
        job: the job to run.
        workers: number of processes.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self._folder = TemporaryDirectory(prefix="makeup-catalogue-")
        self._job = Path(self._folder.name, "job.json")
        self._job.write_text(job.to_json(), encoding="ascii")
        self._selector = selectors.DefaultSelector()
        self._processes: list[_Process] = []
        self._wanted = workers

    def __enter__(self) -> "ProcessPool":
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._processes:
            each.process.kill()
        for each in self._processes:
            each.process.wait()
            each.replies.close()
        self._selector.close()
        self._folder.cleanup()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [each.process.pid for each in self._processes]

    @property
    def at_work(self) -> dict[int, str]:
        """The current photos of the workers, by process id."""
        return {each.process.pid: each.photo.name for each in self._processes if each.photo}

    def run(self, photos: Iterable[PhotoRef]) -> Iterator[Outcome]:
        """Yield the outcome of each photo as soon as it is known.

        Raises:
            MakeupError: workers die during start-up.
        """
        todo = deque(photos)
        tries: dict[str, int] = {}
        early = 0
        for _ in range(min(self._wanted, len(todo))):
            self._start()
        while todo or any(each.photo for each in self._processes):
            for key, _ in self._selector.select():
                each: _Process = key.data
                line = each.replies.readline()
                photo = each.photo
                if line.endswith("\n"):  # a worker may die while it replies
                    reply, each.photo, early = json.loads(line), None, 0
                    if photo is not None:
                        yield Outcome(**reply)
                    self._give(each, todo)
                    continue
                self._bury(each)
                if photo is None:
                    early += 1
                    if early >= _TRIES:
                        raise MakeupError(
                            "catalogue: the workers end before they begin (see above); try "
                            "--workers 0, which works in this process"
                        )
                else:
                    tries[photo.name] = tries.get(photo.name, 0) + 1
                    if tries[photo.name] < _TRIES:
                        todo.appendleft(photo)
                    else:
                        code = each.process.returncode
                        yield Outcome(
                            photo.name, 0, f"{_TRIES} workers died on this photo (status {code})"
                        )
                if todo:
                    self._start()

    def _give(self, each: _Process, todo: "deque[PhotoRef]") -> None:
        if todo:
            each.photo = todo.popleft()
            each.tell(json.dumps(asdict(each.photo)))

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        each = _Process(process)
        self._processes.append(each)
        self._selector.register(each.replies, selectors.EVENT_READ, each)
        each.tell(str(self._job))

    def _bury(self, each: _Process) -> None:
        self._selector.unregister(each.replies)
        self._processes.remove(each)
        each.process.kill()
        each.process.wait()
        each.replies.close()


def work() -> None:
    """Run as a worker: the first line of stdin is the job file's path, the others are photos."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides when to end
    with os.fdopen(os.dup(1), "w") as replies:
        keep_memory()
        os.dup2(2, 1)  # keeps prints of libraries out of the replies
        job = Path(sys.stdin.readline().rstrip("\n")).read_text(encoding="ascii")
        worker = PhotoWorker(Job.from_json(job))
        print("{}", file=replies, flush=True)
        for line in sys.stdin:
            outcome = worker(PhotoRef(**json.loads(line)))
            print(json.dumps(asdict(outcome)), file=replies, flush=True)
