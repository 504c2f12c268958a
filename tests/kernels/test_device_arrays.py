"""Arrays of other libraries: their device, without a copy."""

import ctypes

import numpy as np
import pytest

from makeup_kernels import InvalidInputError
from makeup_kernels.device_arrays import _Tensor, device_view, strided_view


class Interface:
    def __init__(self, strides=None):
        self.__cuda_array_interface__ = {
            "data": (4096, False),
            "shape": (2, 3),
            "typestr": "<f4",
            "strides": strides,
            "version": 3,
        }


class Capsule:
    """A NumPy array whose DLPack capsule claims to lie on a device."""

    def __init__(self, array: np.ndarray, device: int) -> None:
        self.array, self.device = array, device

    def __dlpack__(self):
        capsule = self.array.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        _Tensor.from_address(pointer(capsule, b"dltensor")).device_type = self.device
        return capsule


def test_cuda_array_interface() -> None:
    view = device_view(Interface((12, 4)), "x")
    assert (view.pointer, view.shape, view.dtype) == (4096, (2, 3), "float32")
    with pytest.raises(InvalidInputError, match="x is not in C order"):
        device_view(Interface((4, 8)), "x")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int64])
def test_dlpack(dtype) -> None:
    array = np.zeros((2, 5), dtype)
    view = device_view(Capsule(array, device=2), "x")
    assert (view.pointer, view.shape, view.dtype) == (array.ctypes.data, (2, 5), array.dtype.name)


def test_dlpack_of_other_devices_and_orders() -> None:
    with pytest.raises(InvalidInputError, match=r"not on a CUDA GPU \(DLPack device 1\)"):
        device_view(Capsule(np.zeros(3, np.float32), device=1), "x")
    with pytest.raises(InvalidInputError, match="not in C order"):
        device_view(Capsule(np.zeros((2, 3), np.float32).T, device=2), "x")
    with pytest.raises(InvalidInputError, match="x is a list, expected a NumPy array"):
        device_view([1], "x")


def test_strides_come_in_bytes() -> None:
    assert strided_view(Interface((16, 4)), "x").strides == (16, 4)
    assert strided_view(Interface(), "x").strides == (12, 4)
    turned = Capsule(np.zeros((2, 3), np.float32).T, device=2)
    assert strided_view(turned, "x").strides == (4, 12)
    assert strided_view([1], "x") is None
