"""`pycuda.gpuarray`: arrays on the GPU in C order."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pycuda import driver


class GPUArray:
    """Memory, shape and dtype."""

    def __init__(
        self, shape: tuple[int, ...], dtype: DTypeLike, gpudata: driver.Allocation | None = None
    ) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        self.gpudata = gpudata or driver.mem_alloc(max(self.nbytes, 1))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "strides": None,
            "data": (int(self.gpudata), False),
            "typestr": self.dtype.str,
            "stream": None,
            "version": 3,
        }

    def get(self) -> np.ndarray:
        """The numbers, when all work before is done."""
        host = np.empty(self.shape, self.dtype)
        driver.Context.synchronize()
        if self.nbytes:
            driver.memcpy_dtoh(host, self.gpudata)
        return host

    def reshape(self, shape: tuple[int, ...]) -> "GPUArray":
        """The same memory in another shape."""
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"got {shape}, expected {math.prod(self.shape)} entries")
        return GPUArray(shape, self.dtype, self.gpudata)


empty = GPUArray


def to_gpu(array: np.ndarray) -> GPUArray:
    """A copy on the GPU of an array in C order."""
    result = GPUArray(array.shape, array.dtype)
    if array.nbytes:
        driver.memcpy_htod(result.gpudata, array)
    return result
