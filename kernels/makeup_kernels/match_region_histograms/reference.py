"""Region histogram matching, straight from its definition: plain loops over Python integers."""

import numpy as np
from numpy.typing import NDArray


def matching_table(source: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The table of one region and channel.

    Args:
        source: uint8 (n,), the source's values inside the region, n ≥ 1.
        reference: uint8 (m,), the reference's, m ≥ 1.

    Returns:
        uint8 (256,).
    """
    # counts of values <= v, each times the other side's size: shares over a common denominator
    source_share = [int((source <= v).sum()) * reference.size for v in range(256)]
    reference_share = [int((reference <= v).sum()) * source.size for v in range(256)]
    table: NDArray[np.uint8] = np.arange(256, dtype=np.uint8)
    for i in range(1, 255):
        for j in range(1, 256):
            if reference_share[j - 1] <= source_share[i] <= reference_share[j]:
                table[i] = j
                break
    return table


def match_region_histograms_reference(
    source: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    source_regions: NDArray[np.uint8],
    reference_regions: NDArray[np.uint8],
    *,
    regions: tuple[int, ...] = (1, 2, 3),
) -> NDArray[np.uint8]:
    """`match_region_histograms` as its formula reads; arguments as there."""
    out: NDArray[np.uint8] = source.copy()
    for region in regions:
        here, there = source_regions == region, reference_regions == region
        if not here.any() or not there.any():
            continue
        for channel in range(3):
            table = matching_table(source[here, channel], reference[there, channel])
            out[here, channel] = table[source[here, channel]]
    return out
