"""Array arguments of CUDA kernels: NumPy arrays, and arrays already on a GPU."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.cuda.driver import Gpu, on_gpu
from makeup_kernels.device_arrays import DeviceView, packed_strides, strided_view
from makeup_kernels.errors import InvalidInputError


@dataclass(frozen=True)
class DeviceArray:
    """Location and layout of an array on a GPU.

    Attributes:
        pointer: address of its first element.
        shape: its shape.
        dtype: its dtype.
        row_bytes: stride of the first axis; the other axes are contiguous.
        owner: the array, which must stay alive while the pointer is used.
        view: the view of it, which must stay alive too.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    row_bytes: int
    owner: Any
    view: DeviceView


def to_device(array: NDArray[Any]) -> Any:
    """Copy a NumPy array to a new PyCUDA array.

    Raises:
        BackendUnavailableError: PyCUDA or a GPU is missing.
    """
    with on_gpu() as gpu:
        return gpu.upload(array)


def to_host(array: Any) -> NDArray[Any]:
    """Copy a GPU array to a new NumPy array, after all GPU work is done.

    Args:
        array: anything with `__cuda_array_interface__` or `__dlpack__`, C order.

    Raises:
        BackendUnavailableError: PyCUDA or a GPU is missing.
        InvalidInputError: not an array on a GPU, or gaps between its elements.
    """
    found = _view("array", array, "an array in C order")
    with on_gpu() as gpu:
        view = on_device(gpu, "array", array, found.dtype, found.shape)
        return gpu.download(view.pointer, view.shape, view.dtype)


def on_device(
    gpu: Gpu,
    name: str,
    array: Any,
    dtypes: str | tuple[str, ...],
    shape: tuple[int | str, ...],
    *,
    rows_may_be_strided: bool = False,
) -> DeviceArray:
    """Check a caller's array and bring it to the GPU.

    Args:
        gpu: the GPU; a NumPy array is copied to it.
        name: the argument's name, for messages.
        array: NumPy, or anything with `__cuda_array_interface__` or `__dlpack__`.
        dtypes: names of accepted dtypes; nothing is converted silently.
        shape: one entry per axis: an int is required, a str names a free axis.
        rows_may_be_strided: whether the first axis may have gaps, as in a view of a frame.

    Raises:
        InvalidInputError: wrong dtype or shape, gaps between elements, or not an array.
    """
    dtypes = (dtypes,) if isinstance(dtypes, str) else dtypes
    expected = f"{' or '.join(dtypes)} ({', '.join(str(axis) for axis in shape)})"
    view = None if isinstance(array, np.ndarray) else _view(name, array, expected)
    if view is None:
        found, found_shape = array.dtype, array.shape
    else:
        found, found_shape = np.dtype(view.dtype), view.shape
    fits = len(found_shape) == len(shape) and all(
        isinstance(want, str) or have == want for have, want in zip(found_shape, shape, strict=True)
    )
    if found.name not in dtypes or not fits:
        raise InvalidInputError(f"{name}: got {found} {found_shape}, expected {expected}")
    packed = packed_strides(found_shape, found.itemsize)
    steps = view.strides if view else packed
    free = 1 if rows_may_be_strided else 0
    gaps = [
        size > 1 and have != want
        for size, have, want in zip(found_shape, steps, packed, strict=True)
    ]
    if any(gaps[free:]) or (free and steps[0] < packed[0]):
        raise InvalidInputError(
            f"{name}: got strides {steps} of {found} {found_shape}, expected "
            f"{'rows without gaps inside' if free else 'C order without gaps'}; make it contiguous"
        )
    owner = array if view else gpu.upload(array)
    view = view or _view(name, owner, expected)
    return DeviceArray(view.pointer, found_shape, found, steps[0] if steps else 0, owner, view)


def result_array(
    gpu: Gpu,
    out: Any,
    dtype: str,
    shape: tuple[int, ...],
    *,
    rows_may_be_strided: bool = False,
) -> DeviceArray:
    """The array for a result: the caller's `out` on the GPU, or a new PyCUDA array (`owner`).

    Raises:
        InvalidInputError: `out` is not on the GPU, or has the wrong dtype or shape.
    """
    if out is None:
        out = gpu.empty(shape, dtype)
    elif isinstance(out, np.ndarray):
        raise InvalidInputError(
            "out: got a NumPy array, expected one on the GPU, or None to allocate it"
        )
    return on_device(gpu, "out", out, dtype, shape, rows_may_be_strided=rows_may_be_strided)


def matrices_on_device(gpu: Gpu, matrices: Any, faces: int | str = "N") -> DeviceArray:
    """float64 (N, 2, 3) transforms on the GPU; those on the host are checked and copied.

    Raises:
        InvalidInputError: wrong dtype or shape; on the host also a singular matrix.
    """
    if isinstance(matrices, np.ndarray):
        matrices = np.asarray(matrices, np.float64)
        if matrices.ndim == 3 and matrices.shape[1:] == (2, 3):
            squares = matrices[:, :, :2]
            flat = np.abs(np.linalg.det(squares)) < 1e-12
            if not np.isfinite(matrices).all() or flat.any():
                raise InvalidInputError(
                    f"matrices: got {matrices.tolist()}, expected finite invertible transforms"
                )
    return on_device(gpu, "matrices", matrices, "float64", (faces, 2, 3))


def _view(name: str, array: Any, expected: str) -> DeviceView:
    view = strided_view(array, name)
    if view is None:
        raise InvalidInputError(
            f"{name}: got {type(array).__name__}, expected a NumPy array or one on a GPU with "
            f"__cuda_array_interface__ or __dlpack__, {expected}"
        )
    return view
