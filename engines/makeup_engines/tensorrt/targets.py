"""The GPUs that plans are built for."""

from dataclasses import dataclass
from typing import Any

from makeup_kernels.errors import BackendUnavailableError

MIB = 1 << 20


@dataclass(frozen=True)
class Target:
    """A kind of GPU.

    Attributes:
        name: value of `--target`.
        title: readable name.
        compute: compute capabilities of this target.
        machine: CPU architecture of its host.
        workspace_mib: default limit of TensorRT's scratch memory; a Jetson's GPU shares the system
            memory.
        timeout_s: default time limit of one graph's build, in seconds.
    """

    name: str
    title: str
    compute: tuple[str, ...]
    machine: str
    workspace_mib: int
    timeout_s: int


TARGETS = {
    target.name: target
    for target in (
        Target("orin-nano", "Jetson Orin Nano", ("8.7",), "aarch64", 512, 3600),
        Target("orin-nx", "Jetson Orin NX", ("8.7",), "aarch64", 1024, 3600),
        Target("orin", "Jetson AGX Orin", ("8.7",), "aarch64", 2048, 3600),
        Target("thor", "Jetson Thor", ("11.0", "10.1"), "aarch64", 4096, 3600),
        Target("ada", "Ada (RTX 40, L4, L40)", ("8.9",), "x86_64", 4096, 1800),
        Target("hopper", "Hopper (H100, H200)", ("9.0",), "x86_64", 8192, 1800),
        Target(
            "blackwell", "Blackwell (B200, RTX 50)", ("10.0", "10.3", "12.0"), "x86_64", 8192, 1800
        ),
    )
}

LOCAL = Target("local", "the GPU of this machine", (), "", 2048, 1800)


def target_of(name: str) -> Target:
    """The target with this name, or `LOCAL`.

    Raises:
        BackendUnavailableError: an unknown name.
    """
    if name == LOCAL.name:
        return LOCAL
    if name not in TARGETS:
        raise BackendUnavailableError(
            f"target {name!r} is unknown; expected one of local, {', '.join(TARGETS)}"
        )
    return TARGETS[name]


def check_target(target: Target, platform: "dict[str, Any]") -> None:
    """Check that this machine is the target: plans are built where they run.

    Raises:
        BackendUnavailableError: this machine's GPU is not the target.
    """
    if target.compute and platform["compute"] not in target.compute:
        raise BackendUnavailableError(
            f"target {target.name} is {target.title} (compute {' or '.join(target.compute)}), this "
            f"GPU is {platform['gpu']} (compute {platform['compute']}); plans are built on the "
            f"device they run on: copy the bundle there and run `makeup build` on it"
        )
