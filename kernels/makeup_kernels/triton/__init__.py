"""Shared code of the Triton kernels: availability, transfer of arrays, launching.

They run on a CUDA GPU, or on the CPU under TRITON_INTERPRET=1 (for tests). The kernels are in the
operations' folders (`triton.py`).
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KernelForm",
    "adopt",
    "available",
    "device",
    "interpreted",
    "launch",
    "matrices_on",
    "recorded_launches",
    "recording",
    "to_device",
    "to_host",
]


@dataclass(frozen=True)
class KernelForm:
    """One launch, as the ahead-of-time compiler needs it.

    Attributes:
        kernel: the `triton.jit` function.
        arguments: its values by parameter name, including meta tensors.
        constants: the values of its constexpr parameters.
        options: num_warps, num_stages.
    """

    kernel: Any
    arguments: Mapping[str, Any]
    constants: Mapping[str, Any]
    options: Mapping[str, int]


_recorded: list[KernelForm] | None = None


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter: TRITON_INTERPRET=1 when triton was imported."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "y", "yes")


def available() -> str | None:
    """The reason why the Triton kernels cannot run here, with the remedy; None if they can."""
    for name in ("torch", "triton"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed; pip install {name}"
    if interpreted():
        return None
    import torch

    if not torch.cuda.is_available():
        return (
            f"torch {torch.__version__} finds no CUDA GPU; run on a machine with one and a torch "
            "built for CUDA, or use the CPU"
        )
    return None


def device() -> Any:
    """The kernels' torch device: the current CUDA device, or the CPU in the interpreter."""
    import torch

    return (
        torch.device("cpu") if interpreted() else torch.device("cuda", torch.cuda.current_device())
    )


def to_device(array: NDArray[Any]) -> Any:
    """Copy a NumPy array to a torch tensor on the kernels' device."""
    import torch

    return torch.from_numpy(np.array(array, order="C")).to(device())


def to_host(array: Any) -> NDArray[Any]:
    """Copy a torch tensor to a NumPy array."""
    host: NDArray[Any] = array.detach().cpu().numpy()
    return host


def adopt(array: Any) -> Any:
    """A torch tensor over the memory of an array with `__cuda_array_interface__`; no copy."""
    import torch

    return array if isinstance(array, torch.Tensor) else torch.as_tensor(array, device=device())


def matrices_on(device: Any, matrices: Any) -> Any:
    """float64 (N, 6) on a device, from matrices (N, 2, 3) in NumPy or on that device."""
    import torch

    if isinstance(matrices, np.ndarray):
        matrices = torch.from_numpy(np.array(matrices, np.float64, order="C"))
    return matrices.to(device, torch.float64, non_blocking=True).reshape(-1, 6).contiguous()


def launch(
    kernel: Any,
    grid: tuple[int, ...],
    arguments: Mapping[str, Any],
    constants: Mapping[str, Any],
    *,
    num_warps: int = 4,
    num_stages: int = 2,
) -> None:
    """Run a kernel over a grid; inside `recorded_launches`, only record it."""
    if _recorded is not None:
        options = {"num_warps": num_warps, "num_stages": num_stages}
        _recorded.append(KernelForm(kernel, arguments, constants, options))
        return
    kernel[grid](
        **arguments,
        **constants,
        num_warps=num_warps,
        num_stages=num_stages,
        enable_fp_fusion=True,
    )


@contextmanager
def recorded_launches() -> Iterator[list[KernelForm]]:
    """Record launches instead of running them, to compile a call's kernels ahead of time."""
    global _recorded  # noqa: PLW0603 - set only inside the block
    _recorded = []
    try:
        yield _recorded
    finally:
        _recorded = None


def recording() -> bool:
    """Whether launches are only recorded."""
    return _recorded is not None
