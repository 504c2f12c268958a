"""Arrays of other libraries on a GPU: pointer, shape and dtype, without a copy."""

import ctypes
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
    """Where an array lies on a GPU.

    Attributes:
        pointer: address of its first element.
        shape: its shape; rows lie without gaps (C order).
        dtype: name of its dtype.
        owner: what must stay alive while the pointer is used.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: str
    owner: Any


def device_view(array: Any, where: str) -> DeviceView:
    """The view of an array with `__cuda_array_interface__` or `__dlpack__`.

    Args:
        array: of CuPy, PyCUDA, PyTorch, JAX, ...
        where: names it in messages.

    Raises:
        InvalidInputError: it has neither, is not on a GPU, or not in C order.
    """
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is not None:
        dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
        strides = interface.get("strides")
        if strides is not None:
            _check_order(shape, [step // dtype.itemsize for step in strides], where)
        return DeviceView(int(interface["data"][0]), shape, dtype.name, array)
    if hasattr(array, "__dlpack__"):
        return _from_dlpack(array, where)
    raise InvalidInputError(
        f"{where} is a {type(array).__name__}, expected a NumPy array, or on a GPU one with "
        "__cuda_array_interface__ or __dlpack__"
    )


def _from_dlpack(array: Any, where: str) -> DeviceView:
    capsule = array.__dlpack__()
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    # the capsule is not consumed: it frees the tensor's lease when it is dropped after the run
    tensor = _Tensor.from_address(get_pointer(capsule, b"dltensor"))
    if tensor.device_type not in _CUDA_DEVICES:
        raise InvalidInputError(
            f"{where} is not on a CUDA GPU (DLPack device {tensor.device_type})"
        )
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    if tensor.strides:
        _check_order(shape, [tensor.strides[i] for i in range(tensor.ndim)], where)
    kind = _KINDS.get(tensor.code)
    if kind is None or tensor.lanes != 1:
        raise InvalidInputError(f"{where} has a dtype that NumPy lacks (DLPack code {tensor.code})")
    dtype = np.dtype(kind if kind == "bool" else f"{kind}{tensor.bits}").name
    pointer = (tensor.data or 0) + tensor.byte_offset
    return DeviceView(pointer, shape, dtype, (array, capsule))


def _check_order(shape: tuple[int, ...], strides: list[int], where: str) -> None:
    expected = 1
    for size, step in zip(reversed(shape), reversed(strides), strict=True):
        if size > 1 and step != expected:
            raise InvalidInputError(f"{where} is not in C order; make it contiguous first")
        expected *= size
