"""Apply colour maps in CUDA C++: all faces of a frame in one launch."""

from typing import Any

from makeup_kernels.cuda.arrays import on_device
from makeup_kernels.cuda.driver import on_gpu
from makeup_kernels.cuda.paint import paint


def apply_color_map(
    frame: Any, changes: Any, matrices: Any, *, out: Any = None, stream: Any = None
) -> Any:
    """`makeup_kernels.apply_color_map` of several faces, in their order.

    Accepts any array with `__cuda_array_interface__`; NumPy arrays are copied to the GPU.

    Args:
        frame: uint8 (H, W, 3), rows may be strided.
        changes: float32 (N, 6, h, w), h, w ≥ 2, finite; not checked here.
        matrices: float64 (N, 2, 3), frame to map, on the host or the GPU.
        out: uint8 (H, W, 3) on the GPU, rows may be strided, `frame` for in place; None allocates.
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Returns:
        uint8 (H, W, 3) on the GPU: `out`, or a new PyCUDA array. The work may still run.

    Raises:
        InvalidInputError: wrong dtype, shape or strides, or a matrix that is not invertible.
        BackendUnavailableError: CUDA cannot run here; `makeup_kernels.cuda.available` says why.
    """
    with on_gpu(stream) as gpu:
        maps = on_device(gpu, "changes", changes, "float32", ("N", 6, "h", "w"))
        return paint(gpu, "apply_color_map", frame, matrices, (maps,), out)
