"""Composite: put a crop with makeup back into the frame that it was cut from.

For a frame pixel p with crop position q = matrix · (x, y, 1) inside the crop,

    out(p) = clip(⌊frame(p) + mask(q) · (result(q) − source(q)) + ½⌋, 0, 255)

where mask, result and source are sampled bilinearly; every other pixel is copied. Only the model's
change is added, so the frame keeps detail finer than the crop (the detail step of PSGAN's
post-processing, Jiang et al., CVPR 2020, folded into one pass). Where the mask or the change is 0
the frame stays bit-identical. Integer coordinates are pixel centres in frame and crop, as in
`crop_face`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.device import DeviceCall
from makeup_kernels.dispatch import _cpu, choose_backend, cpu_isa, thread_count
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array, check_out

__all__ = ["composite"]


def composite(
    frame: NDArray[np.uint8],
    source_crop: NDArray[np.uint8],
    result_crop: NDArray[np.uint8],
    mask: NDArray[np.float32],
    matrix: NDArray[np.float64],
    *,
    out: NDArray[np.uint8] | None = None,
    threads: int | None = None,
    backend: str = "auto",
) -> NDArray[np.uint8]:
    """Add the change from `source_crop` to `result_crop` to `frame`, inside a feathered mask.

    The formula is in the module's docstring. One pass over the box that the mask covers in the
    frame; fastest for frames whose pixels are contiguous within a row.

    Args:
        frame: uint8 (H, W, 3), any strides.
        source_crop: uint8 (h, w, 3): the crop as cut from the frame (`crop_face`), h, w ≥ 2.
        result_crop: uint8 (h, w, 3): the same crop with makeup.
        mask: float32 (h, w) in [0, 1]: weight of the change.
        matrix: float (2, 3), invertible: frame pixel (x, y, 1) to crop pixel (x, y).
        out: uint8 (H, W, 3) to write to; `frame` itself works in place; None allocates.
        threads: number of CPU threads; None: MAKEUP_THREADS, else one per core.
        backend: "auto", "cpu", "triton" or "cuda". The last two also accept GPU arrays, which stay
            on the GPU and whose values are not checked, and a leading axis of faces on every array
            but the frame; faces are applied in order.

    Returns:
        uint8 (H, W, 3): `out`, or a new array.

    Raises:
        InvalidInputError: wrong dtype, rank or shape, mask outside [0, 1], matrix not invertible,
            `out` read-only or overlapping another input.
        BackendUnavailableError: the backend cannot run here.
    """
    chosen = choose_backend(backend, "composite", frame)
    if chosen != "cpu":
        result: NDArray[np.uint8] = _on_device(
            chosen, frame, source_crop, result_crop, mask, matrix, out
        )
        return result
    image = check_array("frame", frame, np.uint8, ("H", "W", 3))
    alpha = check_array("mask", mask, np.float32, ("h", "w"))
    if min(alpha.shape) < 2:
        raise InvalidInputError(f"mask: got float32 {alpha.shape}, expected at least (2, 2)")
    source = check_array("source_crop", source_crop, np.uint8, (*alpha.shape, 3))
    result = check_array("result_crop", result_crop, np.uint8, (*alpha.shape, 3))
    transform = check_matrix(matrix)
    threads = thread_count(threads)
    if out is None:
        out = image.copy()
    else:
        inputs = (source, result, alpha) if out is frame else (image, source, result, alpha)
        out = check_out(out, np.uint8, image.shape, inputs)
        if out is not frame:
            np.copyto(out, image)
    row_contiguous = out.strides[1:] == (3, 1)
    target = out if row_contiguous else np.ascontiguousarray(out)
    try:
        _cpu.composite(target, source, result, alpha, transform, threads, cpu_isa())
    except ValueError as error:
        raise InvalidInputError(
            f"mask: float32 {alpha.shape} has values outside [0, 1] or NaN, expected a share"
        ) from error
    if not row_contiguous:
        np.copyto(out, target)
    return out


def check_matrix(matrix: NDArray[np.float64]) -> list[float]:
    """The six numbers of an affine transform, row by row; `apply_color_map` uses it too."""
    transform = np.asarray(matrix, dtype=np.float64)
    if transform.shape != (2, 3):
        raise InvalidInputError(
            f"matrix: got shape {transform.shape}, expected (2, 3): frame to crop pixels"
        )
    if not np.isfinite(transform).all() or abs(np.linalg.det(transform[:, :2])) < 1e-12:
        raise InvalidInputError(
            f"matrix: got {transform.tolist()}, expected a finite invertible transform"
        )
    return [float(value) for value in transform.ravel()]


def _on_device(
    backend: str, frame: Any, source_crop: Any, result_crop: Any, mask: Any, matrix: Any, out: Any
) -> Any:
    call = DeviceCall.of(backend, "composite", mask, 2)
    image = call.take_plain("frame", frame, ("uint8",), ("H", "W", 3))
    masks = call.take("mask", mask, "float32", ("h", "w"))
    faces, *size = (int(n) for n in masks.shape)
    if min(size) < 2:
        raise InvalidInputError(f"mask: got float32 {tuple(size)}, expected at least (2, 2)")
    sources = call.take("source_crop", source_crop, "uint8", (*size, 3), (faces,))
    results = call.take("result_crop", result_crop, "uint8", (*size, 3), (faces,))
    target = call.take_frame_out(out, frame, image)
    matrices = call.take_matrices(matrix, faces)
    result = call.kernels.composite(image, sources, results, masks, matrices, out=target)
    return call.give(result, out, plain=True)
