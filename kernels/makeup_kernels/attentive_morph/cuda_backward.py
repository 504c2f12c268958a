"""Gradients of the attentive morph in CUDA C++, for training without torch."""

from dataclasses import replace
from typing import Any

import numpy as np

from makeup_kernels.attentive_morph.cuda import launch_morph
from makeup_kernels.attentive_morph.cuda_arguments import GradientArguments
from makeup_kernels.attentive_morph.cuda_tokens import (
    OPERATION,
    MorphOptions,
    Side,
    Tokens,
    check_side,
    gather,
    pack_tokens,
)
from makeup_kernels.cuda.arrays import DeviceArray, on_device, result_array
from makeup_kernels.cuda.driver import Gpu, on_gpu
from makeup_kernels.errors import InvalidInputError

_ROWS = 16
_THREADS = 256
_MOST_PLANES = 64


def attentive_morph_backward(
    gradient: Any,
    source_features: Any,
    reference_features: Any,
    source_landmarks: Any,
    reference_landmarks: Any,
    source_regions: Any,
    reference_regions: Any,
    values: Any,
    *,
    visual_weight: float = 0.01,
    temperature: float = 200.0,
    pixel_stride: float = 4,
    stream: Any = None,
) -> tuple[Any, Any, Any]:
    """Gradients of `attentive_morph` to both features and to the values.

    Accepts any array with `__cuda_array_interface__`; NumPy arrays are copied to the GPU. The morph
    runs once more to get its weights; float32 features use a float32 visual product. Sums have a
    fixed order, so results are bit-identical in every run.

    Args:
        gradient: float32 (N, V, H, W), V ≤ 64: of the loss with respect to the morph's result.
        source_features: float32 or float16 (N, C, H, W).
        reference_features: the same dtype, (M, C, H', W'); M is N or 1.
        source_landmarks: float32 (N, K, 2).
        reference_landmarks: float32 (M, K, 2).
        source_regions: uint8 (N, H, W).
        reference_regions: uint8 (M, H', W').
        values: float32 (M, V, H', W').
        visual_weight, temperature, pixel_stride: as in `attentive_morph`.
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Returns:
        float32 gradients to source_features, reference_features and values, in their shapes: new
        PyCUDA arrays on the GPU. The work may still run.

    Raises:
        InvalidInputError: wrong dtype, shape or strides.
        BackendUnavailableError: CUDA cannot run here; `makeup_kernels.cuda.available` says why.
    """
    with on_gpu(stream) as gpu:
        source = check_side(gpu, "source", source_features, source_landmarks, source_regions)
        reference = check_side(
            gpu, "reference", reference_features, reference_landmarks, reference_regions
        )
        planes = on_device(
            gpu, "values", values, "float32", (reference.faces, "V", *reference.regions.shape[1:])
        )
        shape = (source.faces, planes.shape[1], *source.regions.shape[1:])
        slopes = on_device(gpu, "gradient", gradient, "float32", shape)
        if not 1 <= planes.shape[1] <= _MOST_PLANES:
            raise InvalidInputError(
                f"values: got {planes.shape[1]} planes, expected 1 to {_MOST_PLANES}"
            )
        same = (
            source.features.dtype == reference.features.dtype
            and source.channels == reference.channels
            and source.points == reference.points
            and reference.faces in (1, source.faces)
        )
        if not same:
            raise InvalidInputError(
                f"source_features: got {source.features.dtype} {source.features.shape} for "
                f"reference features {reference.features.dtype} {reference.features.shape}, "
                "expected one dtype, as many channels and landmarks, and as many references as "
                "sources or one"
            )
        half = source.features.dtype == np.float16
        options = MorphOptions(visual_weight, temperature, pixel_stride, half)
        return _gradients(gpu, source, reference, planes, slopes, options)


def _gradients(
    gpu: Gpu,
    source: Side,
    reference: Side,
    planes: DeviceArray,
    slopes: DeviceArray,
    options: MorphOptions,
) -> tuple[Any, Any, Any]:
    keys = gather(
        gpu,
        reference,
        options,
        lambda name, nbytes: gpu.scratch(f"gradient key {name}", nbytes),
        planes=planes,
    )
    queries = gather(
        gpu,
        source,
        options,
        lambda name, nbytes: gpu.scratch(f"gradient query {name}", nbytes),
        planes=slopes,
        other=(reference, keys),
    )
    count = source.faces * source.rows
    log_totals = gpu.scratch("gradient log totals", 4 * count)
    results = result_array(gpu, None, "float32", slopes.shape)
    launch_morph(gpu, source, reference, queries, keys, options, results, log_totals=log_totals)
    packed_results = replace(
        queries, planes=gpu.scratch("gradient results", 4 * queries.plane_stride * count)
    )
    pack_tokens(gpu, source, options, packed_results, results, is_query=True, features=False)

    outs = [
        result_array(gpu, None, "float32", shape)
        for shape in (source.features.shape, reference.features.shape, planes.shape)
    ]
    for out in outs:
        gpu.clear(out.pointer, 4 * int(np.prod(out.shape)))
    common = _arguments(queries, keys, packed_results.planes, log_totals, options)
    common.channels, common.depth = source.channels, options.depth(source.channels)
    common.query_rows, common.key_rows = source.rows, reference.rows
    common.faces, common.references = source.faces, reference.faces
    common.value_count, common.value_stride = planes.shape[1], keys.plane_stride
    kind = "half" if options.half else "float"
    for name, side, out in (("query", source, outs[0]), ("key", reference, outs[1])):
        arguments = GradientArguments.from_buffer_copy(bytes(common))
        arguments.regions, arguments.cells = side.regions.pointer, side.cells
        arguments.out, arguments.value_out = out.pointer, outs[2].pointer
        blocks = max(1, -(-source.channels // _THREADS))
        grid = (side.rows // _ROWS, blocks, side.faces)
        gpu.launch(OPERATION, f"morph_{name}_gradients_{kind}", grid, _THREADS, arguments)
    return outs[0].owner, outs[1].owner, outs[2].owner


def _arguments(
    queries: Tokens, keys: Tokens, results: int, log_totals: int, options: MorphOptions
) -> GradientArguments:
    arguments = GradientArguments()
    arguments.queries, arguments.keys = queries.tokens, keys.tokens
    arguments.query_positions, arguments.key_positions = queries.positions, keys.positions
    arguments.values, arguments.results = keys.planes, results
    arguments.gradients, arguments.log_totals = queries.planes, log_totals
    arguments.query_cells, arguments.key_cells_of_rows = queries.cells_of_rows, keys.cells_of_rows
    arguments.query_index, arguments.key_index = queries.index, keys.index
    arguments.visual_scale = options.visual_scale
    return arguments
