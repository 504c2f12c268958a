"""What the Triton kernels run on: a CUDA GPU, or the CPU under TRITON_INTERPRET=1 (for tests).

The kernels lie in the operations' folders (`triton.py`); here is what they share: whether they can
run, arrays up and down, and launching.
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
    """One launch: what the ahead-of-time compiler needs to know of it.

    Attributes:
        kernel: the `triton.jit` function.
        arguments: its values by parameter name, tensors without memory among them.
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
    """Why the Triton kernels cannot run here, with what mends it; None if they can."""
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
    """The torch device of the kernels: the current CUDA one, the CPU in the interpreter."""
    import torch

    return (
        torch.device("cpu") if interpreted() else torch.device("cuda", torch.cuda.current_device())
    )


def to_device(array: NDArray[Any]) -> Any:
    """A torch tensor on the kernels' device with the numbers of a NumPy array."""
    import torch

    return torch.from_numpy(np.array(array, order="C")).to(device())


def to_host(array: Any) -> NDArray[Any]:
    """A NumPy array with the numbers of a torch tensor."""
    host: NDArray[Any] = array.detach().cpu().numpy()
    return host


def adopt(array: Any) -> Any:
    """A torch tensor over the memory of an array with `__cuda_array_interface__`; no copy."""
    import torch

    return array if isinstance(array, torch.Tensor) else torch.as_tensor(array, device=device())


def matrices_on(device: Any, matrices: Any) -> Any:
    """float64 (N, 6) on a device, from matrices (N, 2, 3) of NumPy or there already."""
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
    """Run a kernel over a grid; inside `recorded_launches` only take note of it."""
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
    """Collect launches instead of running them: to compile the kernels of a call ahead of time."""
    global _recorded  # noqa: PLW0603 - set for the time of the block only
    _recorded = []
    try:
        yield _recorded
    finally:
        _recorded = None


def recording() -> bool:
    """Whether launches are only recorded."""
    return _recorded is not None
