"""Attentive morph in CUDA C++: two launches sort the cells, one morphs all regions and faces."""

from collections.abc import Callable
from typing import Any

import numpy as np

from makeup_kernels.attentive_morph.cuda_arguments import MorphArguments
from makeup_kernels.attentive_morph.cuda_splits import choose_splits
from makeup_kernels.attentive_morph.cuda_tokens import (
    OPERATION,
    WIDTHS,
    MorphOptions,
    Side,
    Tokens,
    check_side,
    gather,
)
from makeup_kernels.cuda.arrays import DeviceArray, on_device, result_array
from makeup_kernels.cuda.driver import Gpu, on_gpu
from makeup_kernels.errors import InvalidInputError

PRECISIONS = ("tf32", "ieee")

_MORPH_THREADS = 256
_MORPH_WARPS = 8
_QUERIES = 16
_TENSOR_CHANNELS = 64


def launch_morph(
    gpu: Gpu,
    source: Side,
    reference: Side,
    queries: Tokens,
    keys: Tokens,
    options: MorphOptions,
    out: DeviceArray,
    *,
    log_totals: int | None = None,
    splits: int | None = None,
) -> None:
    """Mix the reference's values for every cell of the sources.

    Args:
        gpu: the GPU.
        source, reference: the two sides.
        queries, keys: their tokens.
        options: options of the call.
        out: float32 (N, V, H, W).
        log_totals: address for the log of each denominator, float32 per query row; None: not kept.
        splits: warps that share a tile of queries; None: `choose_splits`.
    """
    kernel, tiles = morph_kernel(source, options, keys), busy_tiles(source)
    splits = splits or choose_splits(gpu, kernel, tiles)
    arguments = MorphArguments(
        queries.tokens,
        keys.tokens,
        queries.positions,
        keys.positions,
        keys.planes,
        queries.cells_of_rows,
        queries.index,
        keys.index,
        source.regions.pointer,
        out.pointer,
        log_totals,
        options.visual_scale,
        options.depth(source.channels),
        source.rows,
        reference.rows,
        source.cells,
        reference.cells,
        reference.faces,
        out.shape[1],
        keys.plane_stride,
        splits,
    )
    most = -(-source.cells // _QUERIES) + min(source.cells, 8)  # more regions take a second turn
    passes = -(-out.shape[1] // min(keys.plane_stride, WIDTHS[-1]))
    grid = (-(-most * splits // _MORPH_WARPS), source.faces, passes)
    gpu.launch(OPERATION, kernel, grid, _MORPH_THREADS, arguments)


def morph_kernel(source: Side, options: MorphOptions, keys: Tokens) -> str:
    """Name of the kernel for this product type, depth and number of planes."""
    width = min(keys.plane_stride, WIDTHS[-1])
    if not options.half:
        return f"morph_float_{width}"
    return f"morph_half_{'256_' if options.depth(source.channels) == 256 else ''}{width}"


def busy_tiles(source: Side) -> int:
    """Estimated query tiles of all faces: about half of a face's cells lie in regions."""
    return source.cells * source.faces // (2 * _QUERIES)


class MorphReference:
    """References packed on the GPU; counterpart of `makeup_kernels.MorphReference`.

    Accepts any array with `__cuda_array_interface__`, or NumPy arrays. All are copied.

    Args:
        reference_features: float32 or float16 (M, C, H', W'); M = 1 serves any number of faces.
        reference_landmarks: float32 (M, K, 2).
        reference_regions: uint8 (M, H', W').
        values: float32 (M, V, H', W').
        visual_weight, temperature, pixel_stride: as in `attentive_morph`.
        precision: of float32 features. "tf32" rounds them to 11 bits for the tensor cores from 64
            channels on (stored as fp16: magnitudes must stay below 65504); "ieee" never does.
            float16 features always use the tensor cores. Sums and positions are float32.
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Raises:
        InvalidInputError: wrong dtype, shape, strides or precision.
        BackendUnavailableError: CUDA cannot run here; `makeup_kernels.cuda.available` says why.
    """

    def __init__(
        self,
        reference_features: Any,
        reference_landmarks: Any,
        reference_regions: Any,
        values: Any,
        *,
        visual_weight: float = 0.01,
        temperature: float = 200.0,
        pixel_stride: float = 4,
        precision: str = "tf32",
        stream: Any = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise InvalidInputError(f"precision: got {precision!r}, expected 'tf32' or 'ieee'")
        with on_gpu(stream) as gpu:
            self._side = check_side(
                gpu, "reference", reference_features, reference_landmarks, reference_regions
            )
            height, width = self._side.regions.shape[1:]
            shape = (self._side.faces, "V", height, width)
            planes = on_device(gpu, "values", values, "float32", shape)
            if planes.shape[1] == 0:
                raise InvalidInputError(f"values: got {planes.shape}, expected at least one plane")
            wide = precision == "tf32" and self._side.channels >= _TENSOR_CHANNELS
            self._options = MorphOptions(
                visual_weight,
                temperature,
                pixel_stride,
                self._side.features.dtype == np.float16 or wide,
            )
            self._value_count = planes.shape[1]
            self._memory: list[Any] = []

            def place(_: str, nbytes: int) -> int:
                self._memory.append(gpu.empty((max(nbytes, 1),), np.uint8))
                return int(self._memory[-1].__cuda_array_interface__["data"][0])

            # the source's positions need the landmarks again
            marks = place("landmarks", 8 * self._side.faces * self._side.points)
            row = 8 * self._side.points
            gpu.copy_rows(marks, row, self._side.landmarks.pointer, row, row, self._side.faces)
            self._keys = gather(gpu, self._side, self._options, place, planes=planes)
            gpu.finish()  # other streams may use the keys
            self._side = self._side.kept(marks)

    def morph(
        self,
        source_features: Any,
        source_landmarks: Any,
        source_regions: Any,
        out: Any = None,
        *,
        stream: Any = None,
    ) -> Any:
        """Warp the references' values onto the source faces.

        Args:
            source_features: (N, C, H, W) of the references' dtype; M is N or 1.
            source_landmarks: float32 (N, K, 2).
            source_regions: uint8 (N, H, W).
            out: float32 (N, V, H, W) on the GPU; None allocates.
            stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

        Returns:
            float32 (N, V, H, W) on the GPU: `out`, or a new PyCUDA array. The work may still run.

        Raises:
            InvalidInputError: wrong dtype, shape or strides.
        """
        with on_gpu(stream) as gpu:
            source, queries = self._gather(gpu, source_features, source_landmarks, source_regions)
            target = result_array(gpu, out, "float32", self._result_shape(source))
            launch_morph(gpu, source, self._side, queries, self._keys, self._options, target)
            return target.owner

    def timed_launch(
        self, gpu: Gpu, source_features: Any, source_landmarks: Any, source_regions: Any
    ) -> tuple[str, int, Callable[[int], None]]:
        """For `cuda_splits`: kernel name, `busy_tiles`, and a launch with a given split count."""
        source, queries = self._gather(gpu, source_features, source_landmarks, source_regions)
        target = result_array(gpu, None, "float32", self._result_shape(source))
        sides = source, self._side, queries, self._keys, self._options, target
        return (
            morph_kernel(source, self._options, self._keys),
            busy_tiles(source),
            lambda splits: launch_morph(gpu, *sides, splits=splits),
        )

    def _gather(self, gpu: Gpu, features: Any, landmarks: Any, regions: Any) -> tuple[Side, Tokens]:
        source = check_side(gpu, "source", features, landmarks, regions)
        self._check_pair(source)
        queries = gather(
            gpu,
            source,
            self._options,
            lambda name, nbytes: gpu.scratch(f"morph {name}", nbytes),
            other=(self._side, self._keys),
        )
        return source, queries

    def _result_shape(self, source: Side) -> tuple[int, ...]:
        return (source.faces, self._value_count, *source.regions.shape[1:])

    def _check_pair(self, source: Side) -> None:
        mine, theirs = self._side, source
        fits = (
            mine.features.dtype == theirs.features.dtype
            and mine.channels == theirs.channels
            and mine.points == theirs.points
            and mine.faces in (1, theirs.faces)
        )
        if not fits:
            raise InvalidInputError(
                f"source: got {theirs.faces} faces of {theirs.channels} channels in "
                f"{theirs.features.dtype} and {theirs.points} landmarks, expected what fits "
                f"{mine.faces} references of {mine.channels} channels in {mine.features.dtype} and "
                f"{mine.points} landmarks"
            )


def attentive_morph(
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
    precision: str = "tf32",
    out: Any = None,
    stream: Any = None,
) -> Any:
    """`makeup_kernels.attentive_morph` on batches; arguments as in `MorphReference`."""
    reference = MorphReference(
        reference_features,
        reference_landmarks,
        reference_regions,
        values,
        visual_weight=visual_weight,
        temperature=temperature,
        pixel_stride=pixel_stride,
        precision=precision,
        stream=stream,
    )
    return reference.morph(source_features, source_landmarks, source_regions, out, stream=stream)
