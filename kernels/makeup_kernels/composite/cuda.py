"""Composite in CUDA C++: all faces of a frame in one launch."""

from typing import Any

from makeup_kernels.cuda.arrays import on_device
from makeup_kernels.cuda.driver import on_gpu
from makeup_kernels.cuda.paint import paint


def composite(
    frame: Any,
    source_crops: Any,
    result_crops: Any,
    masks: Any,
    matrices: Any,
    *,
    out: Any = None,
    stream: Any = None,
) -> Any:
    """`makeup_kernels.composite` of several faces, in their order.

    Accepts any array with `__cuda_array_interface__`; NumPy arrays are copied to the GPU.

    Args:
        frame: uint8 (H, W, 3), rows may be strided.
        source_crops, result_crops: uint8 (N, h, w, 3), h, w ≥ 2.
        masks: float32 (N, h, w) in [0, 1]; not checked here.
        matrices: float64 (N, 2, 3), frame to crop, on the host or the GPU.
        out: uint8 (H, W, 3) on the GPU, rows may be strided, `frame` for in place; None allocates.
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Returns:
        uint8 (H, W, 3) on the GPU: `out`, or a new PyCUDA array. The work may still run.

    Raises:
        InvalidInputError: wrong dtype, shape or strides, or a matrix that is not invertible.
        BackendUnavailableError: CUDA cannot run here; `makeup_kernels.cuda.available` says why.
    """
    with on_gpu(stream) as gpu:
        alpha = on_device(gpu, "masks", masks, "float32", ("N", "h", "w"))
        shape = (*alpha.shape, 3)
        source = on_device(gpu, "source_crops", source_crops, "uint8", shape)
        result = on_device(gpu, "result_crops", result_crops, "uint8", shape)
        return paint(gpu, "composite", frame, matrices, (source, result, alpha), out)
