"""Keep encoders from giving threads real-time priority.

SVT-AV1, run as root, switches the thread that opens it and its own threads to the real-time policy
and does not switch the former back. On machines with few cores, spinning threads, such as those of
matrix products, then block everything else.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """Reset threads of this process that became real-time inside the block."""
    if not _THREADS.is_dir():  # only Linux has threads of other policies here
        yield
        return
    before = _real_time_threads()
    try:
        yield
    finally:
        for thread in _real_time_threads() - before:
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _real_time_threads() -> set[int]:
    found = set()
    for entry in _THREADS.iterdir():
        with suppress(ProcessLookupError):
            if os.sched_getscheduler(int(entry.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(entry.name))
    return found
