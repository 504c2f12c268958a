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
    """Cores that the scheduler gives this process, within the quota of its container.

    The processor may have more: `taskset` and `docker run --cpuset-cpus` choose among them,
    `docker run --cpus` and Kubernetes limits give a share of time. A part of a core counts as one.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


@cache
def _quota() -> float | None:
    """Cores' worth of time that the control groups of this process allow; None: no limit."""
    return cpu_quota(_MEMBERSHIP, _GROUPS)


def cpu_quota(membership: Path, groups: Path) -> float | None:
    """The smallest CPU quota of a process's control group and those above it, in cores.

    Args:
        membership: the file in which Linux lists the groups of a process (versions 1 and 2).
        groups: where the groups' file systems are mounted.

    Returns:
        None where no group has a quota, or there are no groups.
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
            # a container may see its own group at the mount, under the host's path or both
            own = mount / path.lstrip("/")
            for folder in (own, *own.parents):
                quotas += _quotas_in(folder)
                if folder == mount:
                    break
    return min(quotas, default=None)


def _quotas_in(folder: Path) -> Iterator[float]:
    """The quota that one group has by itself, if any: `cpu.max` is of version 2."""
    with suppress(OSError, ValueError):  # no such file, or "max"
        quota, period = (folder / "cpu.max").read_text().split()
        yield int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota = (folder / "cpu.cfs_quota_us").read_text()
        period = (folder / "cpu.cfs_period_us").read_text()
        if int(quota) > 0:  # -1: no limit
            yield int(quota) / int(period)
