"""Region histogram matching: give each region of an image the colour distribution of a reference.

Per matched region and colour channel, over the pixels of the region only: let S(v) and R(v) be the
shares of source and reference pixels with a value ≤ v. Value i of the source becomes table[i]:

    table[0] = 0, table[255] = 255,
    table[i] = the first j ≥ 1 with R(j − 1) ≤ S(i) ≤ R(j), or i where there is none  (0 < i < 255)

The published code compares shares in floating point, where equal shares of different counts may
differ by rounding. Here shares are compared exactly, as integers by cross-multiplication:
R(j) ≤ S(i) where count_R(j) · n_S ≤ count_S(i) · n_R.

Source: the histogram loss of BeautyGAN (Li et al., ACM MM 2018) and PSGAN (Jiang et al., CVPR
2020).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.device import DeviceCall
from makeup_kernels.dispatch import _cpu, choose_backend, thread_count
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array, check_out

__all__ = ["RegionHistogram", "match_region_histograms"]


def match_region_histograms(
    source: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    source_regions: NDArray[np.uint8],
    reference_regions: NDArray[np.uint8],
    *,
    regions: Iterable[int] = (1, 2, 3),
    backend: str = "auto",
    threads: int | None = None,
) -> NDArray[np.uint8]:
    """Match the histograms of each region of `source` to those of `reference`.

    The table is in the module's docstring. Pixels outside the matched regions, and regions that are
    empty in source or reference, stay unchanged. For several sources and one reference, build a
    `RegionHistogram` once instead.

    Args:
        source: uint8 (H, W, 3).
        reference: uint8 (H', W', 3), channels in the same order.
        source_regions: uint8 (H, W).
        reference_regions: uint8 (H', W').
        regions: ids to match, 0..255.
        backend: "auto", "cpu", "triton" or "cuda". The last two also accept GPU arrays, which stay
            on the GPU, and a leading axis of faces on every array.
        threads: number of CPU threads; None: MAKEUP_THREADS, else one per core.

    Returns:
        uint8 (H, W, 3), a new array.

    Raises:
        InvalidInputError: wrong dtype, rank or shape, or a region id outside 0..255.
        BackendUnavailableError: the backend cannot run here.
    """
    prepared = RegionHistogram(
        reference, reference_regions, regions=regions, backend=backend, threads=threads
    )
    return prepared.match(source, source_regions, threads=threads)


class RegionHistogram:
    """The region histograms of one reference, prepared for `match_region_histograms`.

    Immutable; threads may share it. Arguments and errors are those of `match_region_histograms`.

    Attributes:
        regions: the ids to match.
    """

    __slots__ = ("_call", "_counts", "_references", "regions")

    _call: DeviceCall | None
    _counts: Any
    _references: int
    regions: tuple[int, ...]

    def __init__(
        self,
        reference: NDArray[np.uint8],
        reference_regions: NDArray[np.uint8],
        *,
        regions: Iterable[int] = (1, 2, 3),
        backend: str = "auto",
        threads: int | None = None,
    ) -> None:
        chosen = choose_backend(backend, "match_region_histograms", reference)
        ids = tuple(int(region) for region in regions)
        if any(not 0 <= region <= 255 for region in ids):
            raise InvalidInputError(f"regions: got {ids}, expected ids in 0..255")
        call, references = None, 1
        if chosen == "cpu":
            region_map = check_array("reference_regions", reference_regions, np.uint8, ("H'", "W'"))
            image = check_array("reference", reference, np.uint8, (*region_map.shape, 3))
            counts = _cpu.RegionHistogram(image, region_map, ids, thread_count(threads))
        else:
            call = DeviceCall.of(chosen, "match_region_histograms", reference_regions, 2)
            region_map = call.take("reference_regions", reference_regions, "uint8", ("H'", "W'"))
            references, *grid = (int(n) for n in region_map.shape)
            image = call.take("reference", reference, "uint8", (*grid, 3), (references,))
            counts = call.kernels.RegionHistogram(image, region_map, regions=ids)
        for name, value in zip(self.__slots__, (call, counts, references, ids), strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"RegionHistogram is immutable: cannot set {name!r}")

    def match(
        self,
        source: NDArray[np.uint8],
        source_regions: NDArray[np.uint8],
        out: NDArray[np.uint8] | None = None,
        *,
        threads: int | None = None,
    ) -> NDArray[np.uint8]:
        """Match the regions of `source` to this reference.

        Args:
            source: uint8 (H, W, 3).
            source_regions: uint8 (H, W).
            out: uint8 (H, W, 3) to write to, any strides, or `source` itself; None allocates.
            threads: number of threads; None: MAKEUP_THREADS, else one per core.

        Returns:
            uint8 (H, W, 3): `out`, or a new array.

        Raises:
            InvalidInputError: wrong dtype, rank or shape, `out` read-only or overlapping an input.
        """
        if self._call is not None:
            return self._match_on_device(source, source_regions, out)
        region_map = check_array("source_regions", source_regions, np.uint8, ("H", "W"))
        image = check_array("source", source, np.uint8, (*region_map.shape, 3))
        if out is None:
            out = np.empty(image.shape, np.uint8)
        else:
            inputs = (region_map,) if out is source else (region_map, image)
            out = check_out(out, np.uint8, image.shape, inputs)
        self._counts.match(image, region_map, out, thread_count(threads))
        return out

    def _match_on_device(
        self,
        source: NDArray[np.uint8],
        source_regions: NDArray[np.uint8],
        out: NDArray[np.uint8] | None,
    ) -> NDArray[np.uint8]:
        assert self._call is not None
        call = DeviceCall.of(self._call.backend, self._call.operation, source_regions, 2)
        region_map = call.take("source_regions", source_regions, "uint8", ("H", "W"))
        faces, *grid = (int(n) for n in region_map.shape)
        if self._references not in (1, faces):
            raise InvalidInputError(
                f"source: got {faces} faces, expected the references' {self._references}"
            )
        image = call.take("source", source, "uint8", (*grid, 3), (faces,))
        in_place = out is source and not call.on_host
        target = image if in_place else call.take_out(out, "uint8", (*grid, 3), (faces,))
        result: NDArray[np.uint8] = call.give(self._counts.match(image, region_map, target), out)
        return result
