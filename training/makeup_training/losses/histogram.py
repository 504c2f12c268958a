"""PSGAN's makeup loss: the distance to the region-wise histogram match with the reference."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from makeup_kernels import Region, match_region_histograms
from makeup_training.networks.inputs import FaceBatch

PUBLISHED_REGION_WEIGHTS = {Region.LIPS: 1.0, Region.SKIN: 0.1, Region.EYES: 1.0}


def matched_to_reference(fake: FaceBatch, reference: FaceBatch, regions: tuple[int, ...]) -> Tensor:
    """A generated image with its regions' histograms matched to those of the reference.

    Args:
        fake: generated images with the source's regions.
        reference: the reference faces.
        regions: the regions to match.

    Returns:
        float (B, 3, H, W) on the 0–255 scale, whole numbers, without gradient; pixels outside the
        regions are the fake's, rounded down.
    """
    matched = [
        match_region_histograms(*pair, regions=regions)
        for pair in zip(
            _to_bytes(fake.image),
            _to_bytes(reference.image),
            _region_maps(fake.regions),
            _region_maps(reference.regions),
            strict=True,
        )
    ]
    images = torch.from_numpy(np.stack(matched)).permute(0, 3, 1, 2)
    return images.to(fake.image.device, fake.image.dtype)


def region_histogram_losses(
    fake: FaceBatch, reference: FaceBatch, regions: tuple[int, ...] = (1, 2, 3)
) -> dict[Region, Tensor]:
    """L1 distance of each region to its histogram match, on the 0–255 scale.

    The mean runs over the full B×3×H×W, not the region. The matched image is made from the current
    fake and gets no gradient. Published weights: `PUBLISHED_REGION_WEIGHTS`.
    Source: PSGAN (Jiang et al., 2020), after BeautyGAN (Li et al., 2018).

    Args:
        fake: generated images in [−1, 1] with the source's regions.
        reference: the reference faces.
        regions: the regions to compare.

    Returns:
        a scalar for each region.
    """
    target = matched_to_reference(fake, reference, regions)
    distance = (_to_range(fake.image) - target).abs()
    return {
        Region(region): (distance * (fake.regions == region)[:, None]).mean() for region in regions
    }


def weighted_histogram_loss(
    fake: FaceBatch,
    reference: FaceBatch,
    weights: Mapping[Region, float] = PUBLISHED_REGION_WEIGHTS,
) -> Tensor:
    """The weighted sum of `region_histogram_losses`."""
    losses = region_histogram_losses(fake, reference, tuple(weights))
    return torch.stack([weights[region] * loss for region, loss in losses.items()]).sum()


def region_makeup_loss(fake: FaceBatch, reference: FaceBatch) -> Tensor:
    """Low-resolution PSGAN's form: mean squared distance in lips, skin and eyes, images in [−1, 1].

    The paper does not say how its ‖·‖₂ is scaled; a mean does not depend on the image size.
    """
    target = matched_to_reference(fake, reference, tuple(PUBLISHED_REGION_WEIGHTS))
    inside = (fake.regions > 0) & (fake.regions <= Region.EYES)
    return ((fake.image - (target / 127.5 - 1)) * inside[:, None]).square().mean()


def _to_range(image: Tensor) -> Tensor:
    """[−1, 1] to 0–255, clamped."""
    return ((image + 1) * 127.5).clamp(0, 255)


def _to_bytes(image: Tensor) -> list[np.ndarray]:
    """Images as uint8 (H, W, 3): bin i of the histogram holds values in [i, i + 1)."""
    # the margin keeps a byte that was converted to [−1, 1] and rounded in its own bin
    values = (_to_range(image.detach()) + 1e-3).to(torch.uint8).permute(0, 2, 3, 1)
    return [np.ascontiguousarray(v) for v in values.cpu().numpy()]


def _region_maps(regions: Tensor) -> list[np.ndarray]:
    return list(regions.to(torch.uint8).cpu().numpy())
