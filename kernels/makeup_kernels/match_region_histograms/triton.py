"""Region histogram matching in Triton: the integer table of the package's docstring, bit-exact.

Three launches for all faces, regions and channels: counts per band of pixels, tables, look-up.
Counts are integers and the bands are added in order, so the result does not depend on timing. A
reference is counted once.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
import torch
import triton
import triton.language as tl
from torch import Tensor

from makeup_kernels.triton import launch

_BAND = 2048
_PIXELS = 1024


@triton.jit(do_not_specialize=["pixels", "bands", "slots"])
def count_bands(image, regions, slot_ids, counts, pixels, bands, slots, BAND: tl.constexpr):
    """counts i32 (N, bands, slots, 3, 256) of image u8 (N, pixels, 3), regions u8 (N, pixels).

    slot_ids i32 (slots): the region id of each slot. Program (band, face).
    """
    face = tl.program_id(1).to(tl.int64)
    band = tl.program_id(0)
    pixel = band * BAND + tl.arange(0, BAND)
    inside = pixel < pixels
    id = tl.load(regions + face * pixels + pixel, mask=inside, other=0).to(tl.int32)
    bins = tl.arange(0, 256)
    for channel in tl.static_range(3):
        at = (face * pixels + pixel) * 3 + channel
        value = tl.load(image + at, mask=inside, other=0).to(tl.int32)
        for slot in range(slots):
            here = inside & (id == tl.load(slot_ids + slot))
            target = ((face * bands + band) * slots + slot) * 3 + channel
            tl.store(counts + target * 256 + bins, tl.histogram(value, 256, mask=here))


@triton.jit(do_not_specialize=["bands", "slots", "reference_bands", "reference_face_step"])
def build_tables(
    counts, reference_counts, tables, bands, slots, reference_bands, reference_face_step
):
    """tables u8 (N, slots, 3, 256); shares are compared by cross-multiplication in 64 bits.

    Program (slot · 3 + channel, face). An empty source or reference gives the identity table.
    """
    face = tl.program_id(1).to(tl.int64)
    part = tl.program_id(0)
    parts = slots * 3
    value = tl.arange(0, 256)
    source = tl.zeros((256,), tl.int64)
    for band in range(bands):
        source += tl.load(counts + ((face * bands + band) * parts + part) * 256 + value)
    reference = tl.zeros((256,), tl.int64)
    first = face * reference_face_step * reference_bands
    for band in range(reference_bands):
        reference += tl.load(reference_counts + ((first + band) * parts + part) * 256 + value)
    source_pixels, reference_pixels = tl.sum(source, 0), tl.sum(reference, 0)
    source_share = tl.cumsum(source, 0) * reference_pixels
    reference_share = tl.cumsum(reference, 0) * source_pixels
    # number of reference shares below S(i), i.e. the first j with R(j) >= S(i), by bisection
    below = tl.zeros((256,), tl.int32)
    for halving in tl.static_range(8):
        ahead = below + (128 >> halving)
        below = tl.where(tl.gather(reference_share, ahead - 1, 0) < source_share, ahead, below)
    lowest = tl.sum(tl.where(value == 0, reference_share, 0), 0)
    matched = tl.where(below > 0, below, tl.where(lowest == source_share, 1, value))
    ends = (value == 0) | (value == 255) | (source_pixels == 0) | (reference_pixels == 0)
    table = tl.where(ends, value, matched)
    tl.store(tables + (face * parts + part) * 256 + value, table.to(tl.uint8))


@triton.jit(do_not_specialize=["pixels", "slots"])
def look_up(image, regions, slot_ids, tables, out, pixels, slots, PIXELS: tl.constexpr):
    """out u8 (N, pixels, 3): image through the table of each pixel's region. Program (block, face).

    Every pixel is read before it is written by the same program, so `out` may be `image`.
    """
    face = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < pixels
    id = tl.load(regions + face * pixels + pixel, mask=inside, other=0).to(tl.int32)
    slot_of = tl.full((PIXELS,), -1, tl.int32)
    for slot in range(slots):
        slot_of = tl.where(id == tl.load(slot_ids + slot), slot, slot_of)
    matched = inside & (slot_of >= 0)
    for channel in tl.static_range(3):
        at = (face * pixels + pixel) * 3 + channel
        value = tl.load(image + at, mask=inside, other=0)
        entry = ((face * slots + slot_of) * 3 + channel) * 256 + value.to(tl.int32)
        tl.store(out + at, tl.load(tables + entry, mask=matched, other=0), mask=matched)
        tl.store(out + at, value, mask=inside & (slot_of < 0))


class RegionHistogram:
    """Counts of references on the device; counterpart of `makeup_kernels.RegionHistogram`.

    Args:
        reference: uint8 (M, H', W', 3); M = 1 serves any number of sources.
        reference_regions: uint8 (M, H', W').
        regions: ids to match.
    """

    def __init__(
        self, reference: Tensor, reference_regions: Tensor, *, regions: tuple[int, ...]
    ) -> None:
        self.slot_ids = torch.tensor(
            sorted(set(regions)), dtype=torch.int32, device=reference.device
        )
        self.counts = self._count(reference, reference_regions)

    def match(self, source: Tensor, source_regions: Tensor, out: Tensor | None = None) -> Tensor:
        """Match the regions of the sources.

        Args:
            source: uint8 (N, H, W, 3).
            source_regions: uint8 (N, H, W).
            out: uint8 (N, H, W, 3), contiguous, or `source` itself; None allocates.

        Returns:
            uint8 (N, H, W, 3): `out`, or a new tensor.
        """
        source, source_regions = source.contiguous(), source_regions.contiguous()
        out = torch.empty_like(source) if out is None else out
        slots = len(self.slot_ids)
        if slots == 0:
            return out.copy_(source)
        counts = self._count(source, source_regions)
        faces, bands = counts.shape[:2]
        tables = torch.empty((faces, slots, 3, 256), dtype=torch.uint8, device=source.device)
        launch(
            build_tables,
            (slots * 3, faces),
            {
                "counts": counts,
                "reference_counts": self.counts,
                "tables": tables,
                "bands": bands,
                "slots": slots,
                "reference_bands": self.counts.shape[1],
                "reference_face_step": int(self.counts.shape[0] > 1),
            },
            {},
        )
        pixels = source.shape[1] * source.shape[2]
        launch(
            look_up,
            (triton.cdiv(pixels, _PIXELS), faces),
            {
                "image": source,
                "regions": source_regions,
                "slot_ids": self.slot_ids,
                "tables": tables,
                "out": out,
                "pixels": pixels,
                "slots": slots,
            },
            {"PIXELS": _PIXELS},
        )
        return out

    def _count(self, image: Tensor, regions: Tensor) -> Tensor:
        faces, height, width = regions.shape
        slots, bands = len(self.slot_ids), triton.cdiv(height * width, _BAND)
        shape = (faces, bands, slots, 3, 256)
        counts = torch.empty(shape, dtype=torch.int32, device=image.device)
        launch(
            count_bands,
            (bands, faces),
            {
                "image": image.contiguous(),
                "regions": regions.contiguous(),
                "slot_ids": self.slot_ids,
                "counts": counts,
                "pixels": height * width,
                "bands": bands,
                "slots": slots,
            },
            {"BAND": _BAND},
        )
        return counts


def match_region_histograms(
    source: Tensor,
    reference: Tensor,
    source_regions: Tensor,
    reference_regions: Tensor,
    *,
    regions: tuple[int, ...] = (1, 2, 3),
    out: Tensor | None = None,
) -> Tensor:
    """`makeup_kernels.match_region_histograms` on batches; arguments as in `RegionHistogram`."""
    prepared = RegionHistogram(reference, reference_regions, regions=regions)
    return prepared.match(source, source_regions, out)
