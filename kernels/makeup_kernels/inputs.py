"""Checks of array arguments; messages say what was passed and what was expected."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from makeup_kernels.errors import InvalidInputError


def check_array(
    name: str, array: object, dtype: DTypeLike, shape: tuple[int | str, ...]
) -> NDArray[Any]:
    """Return `array` if it is a NumPy array of this dtype and shape, with any strides.

    Args:
        name: the argument's name, for the message.
        array: what the caller passed.
        dtype: the only dtype accepted; nothing is converted silently.
        shape: one entry per axis: an int is required, a str names a free axis.

    Raises:
        InvalidInputError: anything else; the message has the actual shape and dtype.
    """
    fits = (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.ndim == len(shape)
        and all(isinstance(w, str) or have == w for have, w in zip(array.shape, shape, strict=True))
    )
    if fits:
        found: NDArray[Any] = array  # type: ignore[assignment]
        return found if found.flags.aligned else found.copy()
    expected = f"{np.dtype(dtype)} ({', '.join(str(axis) for axis in shape)})"
    if not isinstance(array, np.ndarray):
        raise InvalidInputError(
            f"{name}: got {type(array).__name__}, expected a NumPy array, {expected}"
        )
    raise InvalidInputError(f"{name}: got {array.dtype} {array.shape}, expected {expected}")


def check_landmarks(name: str, landmarks: object, points: int | str = "K") -> NDArray[np.float32]:
    """Check float32 (K, 2) landmarks, K >= 1, all finite."""
    array: NDArray[np.float32] = check_array(name, landmarks, np.float32, (points, 2))
    if array.shape[0] == 0:
        raise InvalidInputError(f"{name}: got float32 (0, 2), expected at least one point")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise InvalidInputError(
            f"{name}: {int((~finite).sum())} of the points of float32 {array.shape} are NaN or "
            "infinite, expected finite pixel positions"
        )
    return array


def check_out(
    out: object, dtype: DTypeLike, shape: tuple[int, ...], inputs: tuple[NDArray[Any], ...]
) -> NDArray[Any]:
    """Check the caller's result array: dtype, shape, writeable, no overlap with `inputs`."""
    array = check_array("out", out, dtype, shape)
    if array is not out or not array.flags.writeable:
        raise InvalidInputError(
            "out: the array is read-only or not aligned, expected a writeable one"
        )
    if any(np.may_share_memory(array, other) for other in inputs):
        raise InvalidInputError("out: shares memory with an input, expected an array of its own")
    return array
