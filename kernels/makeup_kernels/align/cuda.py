"""Align in CUDA C++: crop, resize and normalise all faces of a frame in one launch."""

import ctypes
from typing import Any

from makeup_kernels.cuda.arrays import matrices_on_device, on_device, result_array
from makeup_kernels.cuda.driver import on_gpu
from makeup_kernels.errors import InvalidInputError

_TILE_COLUMNS, _TILE_ROWS = 32, 8
_COLORS = ("bgr", "rgb", "nv12")


class AlignArguments(ctypes.Structure):
    """`AlignArgs` of cuda.cu."""

    _fields_ = (
        ("frame", ctypes.c_void_p),
        ("matrices", ctypes.c_void_p),
        ("crops", ctypes.c_void_p),
        ("planes", ctypes.c_void_p),
        ("mean", ctypes.c_float * 3),
        ("scale", ctypes.c_float * 3),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("row_bytes", ctypes.c_int32),
        ("size", ctypes.c_int32),
        ("nv12", ctypes.c_int32),
        ("swap", ctypes.c_int32),
    )


def align_faces(
    frame: Any,
    matrices: Any,
    *,
    size: int = 256,
    color: str = "bgr",
    model_color: str = "rgb",
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255),
    half: bool = False,
    out: tuple[Any, Any] | None = None,
    stream: Any = None,
) -> tuple[Any, Any]:
    """`makeup_kernels.align_faces`: crops of a frame and the network inputs made from them.

    Accepts any array with `__cuda_array_interface__`; NumPy arrays are copied to the GPU.

    Args:
        frame: uint8 (H, W, 3), rows may be strided; (H · 3/2, W) with H, W even for "nv12".
        matrices: float64 (N, 2, 3), frame to crop, on the host or the GPU.
        size: side of the crops.
        color: "bgr", "rgb" or "nv12" (BT.601, limited range).
        model_color: "bgr" or "rgb": order of the inputs' channels.
        mean: subtracted from each input channel, in pixel values.
        scale: then multiplied by, per channel.
        half: inputs in float16.
        out: crops and inputs on the GPU to write to; None allocates.
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Returns:
        uint8 (N, size, size, 3) in the frame's channel order (BGR for "nv12"), and float32 or
        float16 (N, 3, size, size): `out`, or new PyCUDA arrays. The work may still run.

    Raises:
        InvalidInputError: wrong dtype, shape, strides, size or colour, or a matrix that is not
            invertible.
        BackendUnavailableError: CUDA cannot run here; `makeup_kernels.cuda.available` says why.
    """
    if color not in _COLORS or model_color not in _COLORS[:2]:
        raise InvalidInputError(
            f"color, model_color: got {color!r}, {model_color!r}, expected 'bgr', 'rgb' or 'nv12', "
            "and 'bgr' or 'rgb'"
        )
    if size < 1:
        raise InvalidInputError(f"size: got {size}, expected at least 1")
    nv12 = color == "nv12"
    swap = ("bgr" if nv12 else color) != model_color
    with on_gpu(stream) as gpu:
        shape = ("H * 3/2", "W") if nv12 else ("H", "W", 3)
        image = on_device(gpu, "frame", frame, "uint8", shape, rows_may_be_strided=True)
        rows, width = image.shape[:2]
        height = rows * 2 // 3 if nv12 else rows
        if min(height, width) < 1 or (nv12 and (rows % 3 or height % 2 or width % 2)):
            raise InvalidInputError(
                f"frame: got uint8 {image.shape} for color={color!r}, expected at least a pixel, "
                "and for 'nv12' (H * 3/2, W) with even H and W"
            )
        transforms = matrices_on_device(gpu, matrices)
        faces = transforms.shape[0]
        given = out or (None, None)
        crops = result_array(gpu, given[0], "uint8", (faces, size, size, 3))
        dtype = "float16" if half else "float32"
        planes = result_array(gpu, given[1], dtype, (faces, 3, size, size))
        step = -1 if swap else 1
        arguments = AlignArguments(
            image.pointer,
            transforms.pointer,
            crops.pointer,
            planes.pointer,
            (ctypes.c_float * 3)(*mean[::step]),
            (ctypes.c_float * 3)(*scale[::step]),
            width,
            height,
            image.row_bytes,
            size,
            nv12,
            swap,
        )
        grid = (-(-size // _TILE_COLUMNS), -(-size // _TILE_ROWS), faces)
        kernel = "align_half" if half else "align_float"
        gpu.launch("align", kernel, grid, _TILE_COLUMNS * _TILE_ROWS, arguments)
        return crops.owner, planes.owner
