"""Views of other libraries' GPU arrays: pointer, shape and dtype, without a copy."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from makeup_kernels.errors import InvalidInputError

_CUDA_DEVICES = (2, 13)
"""kDLCUDA and kDLCUDAManaged of dlpack.h."""

_KINDS = {0: "int", 1: "uint", 2: "float", 6: "bool"}


class _Tensor(ctypes.Structure):
    """DLTensor of dlpack.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class DeviceView:
    """Location and layout of an array on a GPU.

    Attributes:
        pointer: address of its first element.
        shape: its shape.
        dtype: name of its dtype.
        strides: bytes from one element to the next along each axis.
        owner: objects that must stay alive while the pointer is used.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...]
    owner: Any


def device_view(array: Any, where: str) -> DeviceView:
    """View of an array in C order with `__cuda_array_interface__` or `__dlpack__`.

    Args:
        array: of CuPy, PyCUDA, PyTorch, JAX, ...
        where: names it in messages.

    Raises:
        InvalidInputError: it has neither interface, is not on a GPU, or not in C order.
    """
    view = strided_view(array, where)
    if view is None:
        raise InvalidInputError(
            f"{where} is a {type(array).__name__}, expected a NumPy array, or on a GPU one with "
            "__cuda_array_interface__ or __dlpack__"
        )
    packed = packed_strides(view.shape, np.dtype(view.dtype).itemsize)
    for size, have, want in zip(view.shape, view.strides, packed, strict=True):
        if size > 1 and have != want:
            raise InvalidInputError(f"{where} is not in C order; make it contiguous first")
    return view


def strided_view(array: Any, where: str) -> DeviceView | None:
    """View of an array in any order; None for an object with neither interface.

    Raises:
        InvalidInputError: it is not on a CUDA GPU, or has a dtype that NumPy lacks.
    """
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is not None:
        dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
        strides = interface.get("strides") or packed_strides(shape, dtype.itemsize)
        pointer = int(interface["data"][0] or 0)
        return DeviceView(pointer, shape, dtype.name, tuple(map(int, strides)), array)
    return _from_dlpack(array, where) if hasattr(array, "__dlpack__") else None


def packed_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Strides in bytes of an array in C order without gaps."""
    steps = [itemsize]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps[: len(shape)]))


def _from_dlpack(array: Any, where: str) -> DeviceView:
    capsule = array.__dlpack__()
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    # the capsule is not consumed: it releases the tensor when it is dropped after the run
    tensor = _Tensor.from_address(get_pointer(capsule, b"dltensor"))
    if tensor.device_type not in _CUDA_DEVICES:
        raise InvalidInputError(
            f"{where} is not on a CUDA GPU (DLPack device {tensor.device_type})"
        )
    kind = _KINDS.get(tensor.code)
    if kind is None or tensor.lanes != 1:
        raise InvalidInputError(f"{where} has a dtype that NumPy lacks (DLPack code {tensor.code})")
    dtype = np.dtype(kind if kind == "bool" else f"{kind}{tensor.bits}")
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    strides = packed_strides(shape, dtype.itemsize)
    if tensor.strides:
        strides = tuple(tensor.strides[i] * dtype.itemsize for i in range(tensor.ndim))
    pointer = (tensor.data or 0) + tensor.byte_offset
    return DeviceView(pointer, shape, dtype.name, strides, (array, capsule))
