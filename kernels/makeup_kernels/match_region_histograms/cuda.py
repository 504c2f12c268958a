"""Region histogram matching in CUDA C++: three launches for all faces, in integers."""

import ctypes
from typing import Any

import numpy as np

from makeup_kernels.cuda.arrays import DeviceArray, on_device, result_array
from makeup_kernels.cuda.driver import Gpu, on_gpu
from makeup_kernels.errors import InvalidInputError

_THREADS = 256
_COUNT_BYTES = 3 * 256 * 4
_TABLE_BYTES = 3 * 256
_MOST_PARTS = 64


class CountArguments(ctypes.Structure):
    """`CountArgs` of cuda.cu."""

    _fields_ = (
        ("images", ctypes.c_void_p),
        ("regions", ctypes.c_void_p),
        ("ids", ctypes.c_void_p),
        ("parts", ctypes.c_void_p),
        ("pixels", ctypes.c_int32),
        ("slots", ctypes.c_int32),
    )


class TableArguments(ctypes.Structure):
    """`TableArgs` of cuda.cu."""

    _fields_ = (
        ("parts", ctypes.c_void_p),
        ("references", ctypes.c_void_p),
        ("cumulative", ctypes.c_void_p),
        ("tables", ctypes.c_void_p),
        ("part_count", ctypes.c_int32),
        ("slots", ctypes.c_int32),
        ("reference_count", ctypes.c_int32),
        ("padding", ctypes.c_int32),
    )


class ApplyArguments(ctypes.Structure):
    """`ApplyArgs` of cuda.cu."""

    _fields_ = (
        ("images", ctypes.c_void_p),
        ("regions", ctypes.c_void_p),
        ("tables", ctypes.c_void_p),
        ("slot_of_id", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("pixels", ctypes.c_int32),
        ("slots", ctypes.c_int32),
    )


class RegionHistogram:
    """Counts of references on the GPU; counterpart of `makeup_kernels.RegionHistogram`.

    Accepts any array with `__cuda_array_interface__`; NumPy arrays are copied to the GPU.

    Args:
        reference: uint8 (M, H', W', 3); M = 1 serves any number of sources.
        reference_regions: uint8 (M, H', W').
        regions: ids to match, 0..255.
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Raises:
        InvalidInputError: wrong dtype, shape, strides or region id.
        BackendUnavailableError: CUDA cannot run here; `makeup_kernels.cuda.available` says why.
    """

    def __init__(
        self,
        reference: Any,
        reference_regions: Any,
        *,
        regions: tuple[int, ...] = (1, 2, 3),
        stream: Any = None,
    ) -> None:
        ids = sorted(set(regions))
        if any(not 0 <= region <= 255 for region in ids):
            raise InvalidInputError(f"regions: got {tuple(regions)}, expected ids in 0..255")
        slot_of_id = np.full(256, -1, np.int32)
        slot_of_id[ids] = np.arange(len(ids))
        with on_gpu(stream) as gpu:
            region_map = on_device(
                gpu, "reference_regions", reference_regions, "uint8", ("M", "H'", "W'")
            )
            image = on_device(gpu, "reference", reference, "uint8", (*region_map.shape, 3))
            self._references, self._slots = region_map.shape[0], len(ids)
            self._ids = gpu.upload(np.array([*ids, 0], np.int32))  # never empty
            self._slot_of_id = gpu.upload(slot_of_id)
            shape = (self._references, max(self._slots, 1), 3, 256)
            self._cumulative = gpu.empty(shape, np.uint32)
            parts, part_count = self._count(gpu, image, region_map)
            arguments = TableArguments(
                parts, None, _pointer(self._cumulative), None, part_count, self._slots
            )
            grid = (self._slots, self._references, 1)
            gpu.launch("match_region_histograms", "histogram_table", grid, 256, arguments)
            gpu.finish()  # other streams may use the counts

    def match(
        self, source: Any, source_regions: Any, out: Any = None, *, stream: Any = None
    ) -> Any:
        """Match the regions of the sources.

        Args:
            source: uint8 (N, H, W, 3).
            source_regions: uint8 (N, H, W); M is N or 1.
            out: uint8 (N, H, W, 3) on the GPU, or `source` itself; None allocates.
            stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

        Returns:
            uint8 (N, H, W, 3) on the GPU: `out`, or a new PyCUDA array. The work may still run.

        Raises:
            InvalidInputError: wrong dtype, shape or strides.
        """
        with on_gpu(stream) as gpu:
            region_map = on_device(gpu, "source_regions", source_regions, "uint8", ("N", "H", "W"))
            image = on_device(gpu, "source", source, "uint8", (*region_map.shape, 3))
            faces = region_map.shape[0]
            if self._references not in (1, faces):
                raise InvalidInputError(
                    f"source: got {faces} faces for {self._references} references, expected as "
                    "many, or one reference"
                )
            target = result_array(gpu, out, "uint8", image.shape)
            pixels = region_map.shape[1] * region_map.shape[2]
            parts, part_count = self._count(gpu, image, region_map)
            tables = gpu.scratch("histogram tables", faces * self._slots * _TABLE_BYTES)
            table_arguments = TableArguments(
                parts,
                _pointer(self._cumulative),
                None,
                tables,
                part_count,
                self._slots,
                self._references,
            )
            grid = (self._slots, faces, 1)
            gpu.launch("match_region_histograms", "histogram_table", grid, 256, table_arguments)
            apply_arguments = ApplyArguments(
                image.pointer,
                region_map.pointer,
                tables,
                _pointer(self._slot_of_id),
                target.pointer,
                pixels,
                self._slots,
            )
            blocks = min(-(-pixels // _THREADS), 4096)
            grid = (blocks, faces, 1)
            gpu.launch(
                "match_region_histograms", "histogram_apply", grid, _THREADS, apply_arguments
            )
            return target.owner

    def _count(self, gpu: Gpu, image: DeviceArray, regions: DeviceArray) -> tuple[int, int]:
        """Count by face, slot and part of the pixels; the counts' address and number of parts."""
        faces, pixels = regions.shape[0], regions.shape[1] * regions.shape[2]
        parts = max(1, min(_MOST_PARTS, -(-pixels // (8 * _THREADS))))
        place = gpu.scratch("histogram parts", faces * self._slots * parts * _COUNT_BYTES)
        arguments = CountArguments(
            image.pointer, regions.pointer, _pointer(self._ids), place, pixels, self._slots
        )
        grid = (parts, self._slots, faces)
        gpu.launch("match_region_histograms", "histogram_count", grid, _THREADS, arguments)
        return place, parts


def match_region_histograms(
    source: Any,
    reference: Any,
    source_regions: Any,
    reference_regions: Any,
    *,
    regions: tuple[int, ...] = (1, 2, 3),
    out: Any = None,
    stream: Any = None,
) -> Any:
    """`makeup_kernels.match_region_histograms` on batches; arguments as in `RegionHistogram`."""
    prepared = RegionHistogram(reference, reference_regions, regions=regions, stream=stream)
    return prepared.match(source, source_regions, out, stream=stream)


def _pointer(array: Any) -> int:
    return int(array.__cuda_array_interface__["data"][0])
