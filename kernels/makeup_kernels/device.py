"""Calls of GPU kernels: transfer of arrays, and the leading axis of faces."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from makeup_kernels.dispatch import is_device_array
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array

__all__ = ["DeviceCall"]


@dataclass(frozen=True)
class DeviceCall:
    """One call of an operation's GPU kernels.

    The kernels need a leading axis of faces; a call without one gets it added and removed. NumPy
    arrays are copied to the GPU and the result back; GPU arrays stay on the GPU.

    Attributes:
        backend: "triton" or "cuda".
        operation: folder of the operation.
        on_host: whether arguments and result are NumPy arrays.
        batched: whether they have the axis of faces.
    """

    backend: str
    operation: str
    on_host: bool
    batched: bool

    @classmethod
    def of(cls, backend: str, operation: str, first: Any, rank: int) -> "DeviceCall":
        """A call whose first array has `rank` axes, or one more for the faces."""
        ndim = len(getattr(first, "shape", ()))
        return cls(backend, operation, isinstance(first, np.ndarray), ndim == rank + 1)

    @property
    def kernels(self) -> Any:
        """The module with the backend's functions of the operation."""
        return importlib.import_module(f"makeup_kernels.{self.operation}.{self.backend}")

    @property
    def _arrays(self) -> Any:
        return importlib.import_module(f"makeup_kernels.{self.backend}")

    def take(
        self,
        name: str,
        array: Any,
        dtypes: str | tuple[str, ...],
        shape: tuple[int | str, ...],
        faces: tuple[int, ...] = (),
    ) -> Any:
        """An argument on the GPU, with the axis of faces in front.

        Args:
            name: the argument's name, for messages.
            array: what the caller passed.
            dtypes: accepted dtypes; messages ask for the first.
            shape: without the axis of faces; an int is required, a str names a free axis.
            faces: accepted numbers of faces; () accepts any.

        Raises:
            InvalidInputError: wrong dtype or shape, or NumPy and GPU arrays in one call.
        """
        dtypes = (dtypes,) if isinstance(dtypes, str) else dtypes
        array = self.take_plain(name, array, dtypes, ("N", *shape) if self.batched else shape)
        if not self.batched:
            return array.reshape((1, *array.shape))
        count = int(array.shape[0])
        if count == 0 or (faces and count not in faces):
            expected = " or ".join(map(str, dict.fromkeys(faces))) or "at least 1"
            raise InvalidInputError(f"{name}: got {count} faces, expected {expected}")
        return array

    def take_plain(
        self, name: str, array: Any, dtypes: tuple[str, ...], shape: tuple[int | str, ...]
    ) -> Any:
        """Like `take`, for an array without an axis of faces, such as a frame."""
        if self.on_host:
            dtype = str(array.dtype) if getattr(array, "dtype", None) in dtypes else dtypes[0]
            return self._arrays.to_device(check_array(name, array, dtype, shape))
        if not is_device_array(array):
            raise InvalidInputError(
                f"{name}: got {type(array).__name__}, expected an array on the GPU like the others"
            )
        dtype = str(array.dtype).removeprefix("torch.")
        fits = len(array.shape) == len(shape) and all(
            isinstance(want, str) or int(have) == want
            for have, want in zip(array.shape, shape, strict=True)
        )
        if dtype not in dtypes or not fits:
            raise InvalidInputError(
                f"{name}: got {dtype} {tuple(array.shape)}, "
                f"expected {dtypes[0]} ({', '.join(map(str, shape))})"
            )
        return self._arrays.adopt(array) if self.backend == "triton" else array

    def take_out(self, out: Any, dtype: str, shape: tuple[int, ...], faces: tuple[int, ...]) -> Any:
        """The caller's result array on the GPU, or None if the kernel allocates it."""
        if out is None or self.on_host:
            return None
        return self.take("out", out, dtype, shape, faces)

    def take_frame_out(self, out: Any, frame: Any, image: Any) -> Any:
        """Like `take_out` for a frame; returns `image`, the frame on the GPU, for in place."""
        if out is frame:
            return image
        shape = tuple(int(n) for n in image.shape)
        return (
            None if out is None or self.on_host else self.take_plain("out", out, ("uint8",), shape)
        )

    def take_matrices(self, matrix: Any, faces: int) -> Any:
        """Transforms, float64 (N, 2, 3), left where they are; values are checked on the host.

        Raises:
            InvalidInputError: wrong shape; on the host also a singular matrix.
        """
        if not isinstance(matrix, np.ndarray) and is_device_array(matrix):
            return self.take("matrix", matrix, "float64", (2, 3), (faces,))
        transforms = np.asarray(matrix, np.float64)
        expected = (faces, 2, 3) if self.batched else (2, 3)
        if transforms.shape != expected:
            raise InvalidInputError(f"matrix: got shape {transforms.shape}, expected {expected}")
        squares = transforms[..., :2]
        if not np.isfinite(transforms).all() or (abs(np.linalg.det(squares)) < 1e-12).any():
            raise InvalidInputError(
                f"matrix: got {transforms.tolist()}, expected a finite invertible transform"
            )
        return transforms.reshape(faces, 2, 3)

    def give(self, result: Any, out: Any = None, *, plain: bool = False) -> Any:
        """The result in the form that the caller expects.

        Args:
            result: the kernels' result.
            out: the caller's array for it, None for a new one.
            plain: whether it has no axis of faces.
        """
        if not (self.batched or plain):
            result = result.reshape(tuple(result.shape[1:]))
        if not self.on_host:
            return result if out is None else out
        host = self._arrays.to_host(result)
        if out is None:
            return host
        np.copyto(out, host)
        return out
