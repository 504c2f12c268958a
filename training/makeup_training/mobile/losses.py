"""What `mobile` lowers, each as a mean over a region and then over faces."""

import torch
from torch import Tensor
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.makeup.codes import STRIDE
from makeup_training.mobile.model import apply_change
from makeup_training.mobile.networks import CHANGED, cell_means, log_light, region_shares

REGION_WEIGHTS = {Region.SKIN: 3.0, Region.BROWS: 0.5}
"""Weight of each region's mean error; a region's size does not count."""

ROUNDING = {Region.LIPS: 0.02, Region.SKIN: 0.006, Region.EYES: 0.03, Region.BROWS: 0.02}
"""Errors far below this count squared: the best guess is then the mean of what may be worn. The
median, above all on eyes, would be no makeup at all."""

LEAST_AREA = 48
"""Pixels; what is left of a smaller region counts less."""

READING_WEIGHTS = {Region.SKIN: 6.0, Region.BROWS: 1.0}
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
    distance = rounded_cie94(apply_change(clean, change), wanted, rounding)[:, 0]
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
    error = _rounded((codes[:, CHANGED].float() - change).square(), READING_ROUNDING).mean(1)
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


def rounded_cie94(result: Tensor, wanted: Tensor, rounding: float | Tensor) -> Tensor:
    """CIE94 colour difference in hundredths, rounded off near 0; (B, 3, H, W) to (B, 1, H, W)."""
    ours, truth = _lab(result), _lab(wanted)
    error = ours - truth
    chroma, wanted_chroma = (
        (lab[:, 1:].square().sum(1, keepdim=True) + 1e-4).sqrt() for lab in (ours, truth)
    )
    chroma_error = chroma - wanted_chroma
    hue_error = (error[:, 1:].square().sum(1, keepdim=True) - chroma_error.square()).clamp(min=0)
    squared = (
        error[:, :1].square()
        + (chroma_error / (1 + 0.045 * wanted_chroma)).square()
        + hue_error / (1 + 0.015 * wanted_chroma).square()
    )
    return _rounded(squared * 1e-4, rounding)


def _lab(image: Tensor) -> Tensor:
    """BGR in [0, 1] to CIELAB (D65), its cube roots straight below 0.008856."""
    code = image.clamp(0, 1)
    light = torch.where(
        code > 0.04045, ((code.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4), code / 12.92
    )
    xyz = torch.einsum("bchw,kc->bkhw", light, _XYZ_OF_BGR.to(light))
    root = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856).pow(1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.split(1, 1)
    return torch.cat([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


_XYZ_OF_BGR = torch.tensor(
    [[0.1805, 0.3576, 0.4124], [0.0722, 0.7152, 0.2126], [0.9505, 0.1192, 0.0193]]
) / torch.tensor([[0.9505], [1.0], [1.089]])
"""White of D65 gives 1, 1, 1."""


def _rounded(squared: Tensor, rounding: float | Tensor) -> Tensor:
    distance: Tensor = (squared + rounding**2).sqrt() - rounding
    return distance
