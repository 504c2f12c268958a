"""Pseudo pairs: approximate transfer targets for data without ground truth."""

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from makeup_kernels import Region, match_region_histograms
from makeup_training.data.parsing_classes import EARS_AND_NECK
from makeup_training.data.portraits import Portrait
from makeup_training.networks.warp import thin_plate_positions, visible

FEATHER = 1.5
"""Standard deviation in pixels (at 256) of the blend between warped and source pixels."""


def pseudo_pair(
    source: Portrait,
    reference: Portrait,
    source_regions: NDArray[np.uint8],
    reference_regions: NDArray[np.uint8],
    warped_share: Mapping[Region, float],
) -> NDArray[np.uint8]:
    """The source with the reference's makeup, composed from both pictures.

    Each region is a mix of two pictures: the reference warped onto the source's landmarks, and the
    source histogram-matched to the reference. Ears and neck are matched to the new colour of the
    face skin. The rest is the source.
    Source: SSAT (Sun et al., 2022; warp only, ears and neck), EleGANt (Yang et al., 2022; the mix).

    Args:
        source: the source face, aligned crop.
        reference: the reference face, same size.
        source_regions: uint8 (S, S), region ids.
        reference_regions: uint8 (S, S).
        warped_share: weight of the warped picture by region, the rest is histogram matching; other
            regions stay unchanged.

    Returns:
        uint8 (S, S, 3), BGR.
    """
    regions = tuple(int(region) for region in warped_share)
    matched = match_region_histograms(
        source.image, reference.image, source_regions, reference_regions, regions=regions
    ).astype(np.float32)
    size = source.image.shape[0]
    positions = thin_plate_positions(
        *(torch.from_numpy(face.landmarks)[None] for face in (source, reference)), (size, size)
    )
    grid = positions[0].numpy()
    warped = cv2.remap(
        reference.image, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    shown = visible(positions)[0].numpy()
    share = np.zeros((size, size), np.float32)
    inside = np.zeros((size, size), np.float32)
    for region, value in warped_share.items():
        here = source_regions == region
        share[here & shown] = value
        inside[here] = 1
    blur = FEATHER * size / 256
    share = cv2.GaussianBlur(share, (0, 0), blur)[..., None]
    inside = cv2.GaussianBlur(inside, (0, 0), blur)[..., None]
    face = share * warped + (1 - share) * matched
    result = np.round(inside * face + (1 - inside) * source.image).astype(np.uint8)
    return _with_matching_neck(result, source.parsing, source_regions)


def _with_matching_neck(
    image: NDArray[np.uint8], parsing: NDArray[np.uint8], regions: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Match ears and neck to the colour of the face skin in the same picture."""
    own = np.isin(parsing, EARS_AND_NECK).astype(np.uint8)
    skin = (regions == Region.SKIN).astype(np.uint8)
    return match_region_histograms(image, image, own, skin, regions=(1,))
