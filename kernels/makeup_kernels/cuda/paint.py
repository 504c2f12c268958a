"""Launch the kernels that change a frame in place: `composite` and `apply_color_map`."""

import ctypes
from typing import Any

import numpy as np

from makeup_kernels.cuda.arrays import (
    DeviceArray,
    matrices_on_device,
    on_device,
    result_array,
)
from makeup_kernels.cuda.driver import Gpu
from makeup_kernels.device_arrays import packed_strides
from makeup_kernels.errors import InvalidInputError

_TILE_COLUMNS, _TILE_ROWS = 32, 8


class PaintArguments(ctypes.Structure):
    """`PaintArgs` of paint.cuh."""

    _fields_ = (
        ("frame", ctypes.c_void_p),
        ("matrices", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("second", ctypes.c_void_p),
        ("third", ctypes.c_void_p),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("row_bytes", ctypes.c_int32),
        ("faces", ctypes.c_int32),
        ("map_width", ctypes.c_int32),
        ("map_height", ctypes.c_int32),
    )


def paint(
    gpu: Gpu, operation: str, frame: Any, matrices: Any, maps: tuple[DeviceArray, ...], out: Any
) -> Any:
    """Copy the frame to `out` unless `out` is the frame, and change it there.

    Args:
        gpu: the GPU.
        operation: "composite" or "apply_color_map", also the kernel's name.
        frame: uint8 (H, W, 3), rows may be strided.
        matrices: float64 (N, 2, 3), frame pixel to map cell.
        maps: the kernel's map arguments, each (N, ..., h, w) or (N, h, w, 3); the last one ends
            with h, w.
        out: uint8 (H, W, 3), rows may be strided, `frame` for in place; None allocates.

    Returns:
        `out`, or a new array.
    """
    image = on_device(gpu, "frame", frame, "uint8", ("H", "W", 3), rows_may_be_strided=True)
    height, width = image.shape[:2]
    faces, (map_height, map_width) = maps[-1].shape[0], maps[-1].shape[-2:]
    if min(map_height, map_width) < 2:
        raise InvalidInputError(
            f"{operation}: got maps of {map_height} x {map_width}, expected at least 2 x 2"
        )
    transforms = matrices_on_device(gpu, matrices, faces)
    if out is frame and isinstance(frame, np.ndarray):
        raise InvalidInputError("out: got a NumPy array, expected one on the GPU or None")
    target = (
        image
        if out is frame
        else result_array(gpu, out, "uint8", image.shape, rows_may_be_strided=True)
    )
    if target is not image:
        packed = packed_strides(image.shape, 1)[0]
        gpu.copy_rows(
            target.pointer, target.row_bytes, image.pointer, image.row_bytes, packed, height
        )
    pointers = [part.pointer for part in maps]
    arguments = PaintArguments(
        target.pointer,
        transforms.pointer,
        *pointers,
        *[None] * (3 - len(pointers)),
        width,
        height,
        target.row_bytes,
        faces,
        map_width,
        map_height,
    )
    grid = (-(-width // _TILE_COLUMNS), -(-height // _TILE_ROWS), 1 if faces else 0)
    gpu.launch(operation, operation, grid, _TILE_COLUMNS * _TILE_ROWS, arguments)
    return target.owner
