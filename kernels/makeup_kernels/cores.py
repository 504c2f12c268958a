"""How many CPU cores this process may use."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that this process may use, by its CPU affinity and its container's quota.

    The processor may have more: `taskset` and `docker run --cpuset-cpus` select cores;
    `docker run --cpus` and Kubernetes limits grant CPU time. A fraction of a core counts as one.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


@cache
def _quota() -> float | None:
    """CPU quota of this process's control groups, in cores; None: no limit."""
    return cpu_quota(_MEMBERSHIP, _GROUPS)


def cpu_quota(membership: Path, groups: Path) -> float | None:
    """The smallest CPU quota of a process's control group and its parents, in cores.

    Args:
        membership: the file in which Linux lists a process's groups (versions 1 and 2).
        groups: mount point of the groups' file systems.

    Returns:
        None if no group has a quota, or there are no groups.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts = [groups, groups / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [groups / controllers, groups / "cpu"]
        else:
            continue
        for mount in mounts:
            # a container may find its group at the mount point, under the host's path, or both
            own = mount / path.lstrip("/")
            for folder in (own, *own.parents):
                quotas += _quotas_in(folder)
                if folder == mount:
                    break
    return min(quotas, default=None)


def _quotas_in(folder: Path) -> Iterator[float]:
    """One group's own quota, if any; `cpu.max` is cgroup version 2."""
    with suppress(OSError, ValueError):  # no such file, or "max"
        quota, period = (folder / "cpu.max").read_text().split()
        yield int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota = (folder / "cpu.cfs_quota_us").read_text()
        period = (folder / "cpu.cfs_period_us").read_text()
        if int(quota) > 0:  # -1: no limit
            yield int(quota) / int(period)
