"""What `mobile` lowers, each as a mean over a region and then over faces."""

import torch
from torch import Tensor
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.mobile.layout import STRIDE
from makeup_training.mobile.model import apply_change
from makeup_training.mobile.networks import CHANGED, cell_means, log_light, region_shares

REGION_WEIGHTS = {Region.LIPS: 1.0, Region.SKIN: 3.0, Region.EYES: 3.0, Region.BROWS: 0.5}
"""Weight of each region's mean error; a region's size does not count."""

ROUNDING = {Region.LIPS: 0.02, Region.SKIN: 0.01, Region.EYES: 0.06, Region.BROWS: 0.02}
"""Errors far below this count squared: the best guess is then the mean of what may be worn. The
median, above all on eyes, would be no makeup at all."""

LEAST_AREA = 48
"""Pixels; what is left of a smaller region counts less."""

READING_WEIGHTS = {Region.LIPS: 1.0, Region.SKIN: 6.0, Region.EYES: 3.0, Region.BROWS: 1.0}
READING_ROUNDING = 0.04
"""The same for what the reader says, in log light."""


def painting_losses(
    change: Tensor, clean: Tensor, wanted: Tensor, regions: Tensor
) -> dict[str, Tensor]:
    """Mean error by region of a change of the clean faces, rounded off near 0, weighted.

    By pixels, not cells: only what a change does to the texture tells its gain from its offset.

    change (B, 6, 128, 128); clean, wanted (B, 3, 256, 256); regions uint8 (B, 256, 256).
    """
    inside = regions.long()
    rounding = torch.tensor([1.0, *ROUNDING.values()])[inside][:, None]
    distance = _rounded(apply_change(clean, change) - wanted, rounding).mean(1)
    totals = distance.new_zeros(len(regions), 1 + len(ROUNDING))
    totals = totals.scatter_add(1, inside.flatten(1), distance.flatten(1))
    area = torch.stack(
        [torch.bincount(face.flatten(), minlength=totals.shape[1]) for face in regions]
    )
    means = (totals / area.clamp(min=LEAST_AREA)).mean(0)
    return {k.name.lower(): weight * means[k] for k, weight in REGION_WEIGHTS.items()}


def reading_losses(codes: Tensor, change: Tensor, regions: Tensor) -> dict[str, Tensor]:
    """Mean error by region of the first three codes, weighted.

    codes (B, 16, 64, 64); change (B, 3, 64, 64), see `worn_change`; regions uint8 (B, 256, 256).
    """
    error = _rounded(codes[:, CHANGED].float() - change, READING_ROUNDING).mean(1)
    shares = region_shares(regions)
    losses = {}
    for region, weight in READING_WEIGHTS.items():
        here = shares[:, region - 1]
        mean = (error * here).sum((1, 2)) / here.sum((1, 2)).clamp(min=LEAST_AREA / STRIDE**2)
        losses[region.name.lower()] = weight * mean.mean()
    return losses


def worn_change(worn: Tensor, bare: Tensor, regions: Tensor) -> Tensor:
    """How makeup changed the log light of each cell; (B, 3, 256, 256) to (B, 3, 64, 64)."""
    return cell_means(F.avg_pool2d(log_light(worn) - log_light(bare), 2), regions)


def _rounded(error: Tensor, rounding: float | Tensor) -> Tensor:
    distance: Tensor = (error.square() + rounding**2).sqrt() - rounding
    return distance
