import os

import pytest

from makeup_kernels import cores
from makeup_kernels.cores import cpu_quota, usable_cores

CASES = {
    "no groups": (None, {}, None),
    "version 2, in a container": ("0::/", {"cpu.max": "250000 100000"}, 2.5),
    "version 2, no limit": ("0::/", {"cpu.max": "max 100000"}, None),
    "version 2, the parent is the tighter": (
        "0::/user.slice/app.scope",
        {"user.slice/cpu.max": "50000 100000", "user.slice/app.scope/cpu.max": "400000 100000"},
        0.5,
    ),
    "version 2, beside version 1": ("1:pids:/\n0::/", {"unified/cpu.max": "300000 100000"}, 3),
    "version 1, in a container": (
        "4:memory:/docker/ab12\n3:cpu,cpuacct:/docker/ab12\n",
        {"cpu,cpuacct/cpu.cfs_quota_us": "150000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        1.5,
    ),
    "version 1, on the host": (
        "1:cpu:/limited",
        {
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
            "cpu/limited/cpu.cfs_quota_us": "400000",
            "cpu/limited/cpu.cfs_period_us": "50000",
        },
        8,
    ),
    "version 1, no limit": (
        "1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None,
    ),
    "another group's quota": ("0::/mine", {"theirs/cpu.max": "100000 100000"}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_quota_of_control_groups(case, tmp_path):
    membership, files, expected = CASES[case]
    if membership is not None:
        (tmp_path / "membership").write_text(membership)
    for name, content in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    assert cpu_quota(tmp_path / "membership", tmp_path / "groups") == expected


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"),
    [(8, None, 8), (8, 2.5, 3), (2, 2.5, 2), (8, 0.2, 1), (1, None, 1)],
)
def test_usable_cores(affinity, quota, expected, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(cores, "_quota", lambda: quota)
    assert usable_cores() == expected


def test_usable_cores_without_affinity(monkeypatch):
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(cores, "_quota", lambda: None)
    assert usable_cores() == 6
