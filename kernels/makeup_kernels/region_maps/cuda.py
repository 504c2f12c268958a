"""Region maps in CUDA C++: four launches for all faces."""

import ctypes
from typing import Any

import numpy as np

from makeup_kernels.cuda.arrays import on_device, result_array
from makeup_kernels.cuda.driver import on_gpu
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.region_maps.reference import SPECK_SHARE

_TILE_COLUMNS, _TILE_ROWS = 32, 8


class MapArguments(ctypes.Structure):
    """`MapArgs` of cuda.cu."""

    _fields_ = (
        ("logits", ctypes.c_void_p),
        ("landmarks", ctypes.c_void_p),
        ("maps", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("sizes", ctypes.c_void_p),
        ("at_border", ctypes.c_void_p),
        ("island_limit", ctypes.c_float),
        ("hole_limit", ctypes.c_float),
        ("side", ctypes.c_int32),
        ("size", ctypes.c_int32),
    )


def region_maps(
    logits: Any, landmarks: Any, *, size: int = 256, out: Any = None, stream: Any = None
) -> Any:
    """`makeup_kernels.region_maps`: from region logits to clean region maps.

    Accepts any array with `__cuda_array_interface__`; NumPy arrays are copied to the GPU.

    Args:
        logits: float32 or float16 (N, 5, s, s), channel = `makeup_kernels.Region`.
        landmarks: float32 (N, 68, 2), pixels of the maps.
        size: side of the maps.
        out: uint8 (N, size, size) on the GPU; None allocates.
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Returns:
        uint8 (N, size, size) on the GPU: `out`, or a new PyCUDA array. The work may still run.

    Raises:
        InvalidInputError: wrong dtype, shape, strides or size.
        BackendUnavailableError: CUDA cannot run here; `makeup_kernels.cuda.available` says why.
    """
    if size < 1:
        raise InvalidInputError(f"size: got {size}, expected at least 1")
    with on_gpu(stream) as gpu:
        marks = on_device(gpu, "landmarks", landmarks, "float32", ("N", 68, 2))
        faces = marks.shape[0]
        scores = on_device(gpu, "logits", logits, ("float32", "float16"), (faces, 5, "s", "s"))
        maps = result_array(gpu, out, "uint8", (faces, size, size))
        pixels = faces * size * size
        limit = SPECK_SHARE * size * size
        arguments = MapArguments(
            scores.pointer,
            marks.pointer,
            maps.pointer,
            gpu.scratch("region labels", 4 * pixels),
            gpu.scratch("region sizes", 4 * pixels),
            gpu.scratch("regions at the border", pixels),
            limit,
            limit / 4,
            scores.shape[2],
            size,
        )
        grid = (-(-size // _TILE_COLUMNS), -(-size // _TILE_ROWS), faces)
        choose = "regions_choose_half" if scores.dtype == np.float16 else "regions_choose_float"
        for kernel in (choose, "regions_join", "regions_measure", "regions_clean"):
            gpu.launch("region_maps", kernel, grid, _TILE_COLUMNS * _TILE_ROWS, arguments)
        return maps.owner
