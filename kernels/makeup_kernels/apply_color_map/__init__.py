"""Apply a colour map: change a frame's colours by gains and offsets that vary over the face.

For a frame pixel p of channel c, with map position q = matrix · (x, y, 1),

    out_c(p) = clip(⌊frame_c(p) + a_c(q) · frame_c(p) + b_c(q) + ½⌋, 0, 255)

where the gain a (minus one) and the offset b are sampled bilinearly from a map much coarser than
the frame; outside the map nothing changes. The frame's own pixels carry the detail, so texture
survives at any resolution; where a and b are 0 the frame stays bit-identical. Integer coordinates
are pixel and cell centres.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.composite import check_matrix
from makeup_kernels.device import DeviceCall
from makeup_kernels.dispatch import _cpu, choose_backend, cpu_isa, thread_count
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array, check_out

__all__ = ["apply_color_map"]


def apply_color_map(
    frame: NDArray[np.uint8],
    change: NDArray[np.float32],
    matrix: NDArray[np.float64],
    *,
    out: NDArray[np.uint8] | None = None,
    threads: int | None = None,
    backend: str = "auto",
) -> NDArray[np.uint8]:
    """Multiply and shift a frame's channels by a coarse map of gains and offsets.

    The formula is in the module's docstring. One pass over the frame's box where the map is not 0;
    fastest for frames whose pixels are contiguous within a row. Maps of several looks may be added,
    and may be multiplied by a strength.

    Args:
        frame: uint8 (H, W, 3), any strides.
        change: float32 (6, h, w), h, w ≥ 2, finite: gain − 1 of the three channels, then their
            offsets in pixel values.
        matrix: float (2, 3), invertible: frame pixel (x, y, 1) to map cell (x, y).
        out: uint8 (H, W, 3) to write to; `frame` itself works in place; None allocates.
        threads: number of CPU threads; None: MAKEUP_THREADS, else one per core.
        backend: "auto", "cpu", "triton" or "cuda". The last two also accept GPU arrays, which stay
            on the GPU and whose values are not checked, and a leading axis of faces on every array
            but the frame; faces are applied in order.

    Returns:
        uint8 (H, W, 3): `out`, or a new array.

    Raises:
        InvalidInputError: wrong dtype, rank or shape, a change that is not finite, a matrix that is
            not invertible, `out` read-only or overlapping another input.
        BackendUnavailableError: the backend cannot run here.
    """
    chosen = choose_backend(backend, "apply_color_map", frame)
    if chosen != "cpu":
        result: NDArray[np.uint8] = _on_device(chosen, frame, change, matrix, out)
        return result
    image = check_array("frame", frame, np.uint8, ("H", "W", 3))
    maps = check_array("change", change, np.float32, (6, "h", "w"))
    if min(maps.shape[1:]) < 2:
        raise InvalidInputError(f"change: got float32 {maps.shape}, expected at least (6, 2, 2)")
    transform = check_matrix(matrix)
    threads = thread_count(threads)
    if out is None:
        out = image.copy()
    else:
        out = check_out(out, np.uint8, image.shape, (maps,) if out is frame else (image, maps))
        if out is not frame:
            np.copyto(out, image)
    row_contiguous = out.strides[1:] == (3, 1)
    target = out if row_contiguous else np.ascontiguousarray(out)
    try:
        _cpu.apply_color_map(target, maps, transform, threads, cpu_isa())
    except ValueError as error:
        raise InvalidInputError(
            f"change: float32 {maps.shape} has NaN or infinity, expected finite gains and offsets"
        ) from error
    if not row_contiguous:
        np.copyto(out, target)
    return out


def _on_device(backend: str, frame: Any, change: Any, matrix: Any, out: Any) -> Any:
    call = DeviceCall.of(backend, "apply_color_map", change, 3)
    image = call.take_plain("frame", frame, ("uint8",), ("H", "W", 3))
    changes = call.take("change", change, "float32", (6, "h", "w"))
    faces, *size = (int(n) for n in changes.shape)
    if min(size[1:]) < 2:
        raise InvalidInputError(f"change: got float32 {tuple(size)}, expected at least (6, 2, 2)")
    target = call.take_frame_out(out, frame, image)
    matrices = call.take_matrices(matrix, faces)
    return call.give(
        call.kernels.apply_color_map(image, changes, matrices, out=target), out, plain=True
    )
