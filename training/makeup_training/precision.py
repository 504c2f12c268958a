"""Choose between training in bfloat16 and in float32."""

import logging
from pathlib import Path

import torch

from makeup_kernels.errors import InvalidInputError

PRECISIONS = ("auto", "float32", "bfloat16")
"""Values of `precision`."""

CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of /proc/cpuinfo for bfloat16 products: two of x86-64, and AArch64's."""

CPU_FACTOR = 40
"""Slowdown of bfloat16 against float32 on a CPU without it, measured on PSGAN's convolutions."""

_log = logging.getLogger(__name__)


def mixed_precision(precision: str, device: torch.device) -> bool:
    """Whether to train in bfloat16 (autocast) on this device.

    `bfloat16` on a device without hardware support is used, with a warning.

    Args:
        precision: `float32`, `bfloat16`, or `auto`: bfloat16 if the device supports it.
        device: a CPU or an NVIDIA GPU.

    Raises:
        InvalidInputError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise InvalidInputError(f"precision {precision!r}: expected {', '.join(PRECISIONS)}")
    if precision == "float32":
        return False
    hardware = has_bfloat16(device)
    if precision == "bfloat16" and not hardware:
        slow = f"about {CPU_FACTOR} times" if device.type == "cpu" else "several times"
        _log.warning(
            "precision bfloat16: this %s has no bfloat16 in hardware; expect a step to take %s as "
            "long as in float32. Use --precision auto or float32.",
            "CPU" if device.type == "cpu" else "GPU",
            slow,
        )
    return hardware or precision == "bfloat16"


def has_bfloat16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the device multiplies bfloat16 in hardware.

    Args:
        device: a CPU or an NVIDIA GPU.
        cpuinfo: Linux's description of the CPU; without this file the answer is no.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        described = cpuinfo.read_text()
    except OSError:
        return False
    for line in described.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not CPU_FLAGS.isdisjoint(flags.split())
    return False
