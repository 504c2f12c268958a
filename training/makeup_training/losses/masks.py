"""Losses weighted by masks: areas that must not change, and areas compared less strictly."""

import torch
from torch import Tensor
from torch.nn import functional


def mask_invariance(result: Tensor, original: Tensor, invariant: Tensor) -> Tensor:
    """mean |(result − original) ∘ mask|: keeps everything outside the painted parts.

    Published weight 10 (region-sensitive GAN).

    Args:
        result, original: float (B, 3, H, W).
        invariant: float (B, 1, H, W) in [0, 1] of `networks.region_gan.select_masks`.
    """
    return ((result - original) * invariant).abs().mean()


def soft_inverse_mask(parts: Tensor, *, floor: float = 0.3, sigma: float = 4.0) -> Tensor:
    """mask′ of the improved PSGAN: 1 outside the parts with makeup, down to `floor` inside them.

    mask′ = a + (1 − a)·blur(1 − M) with a Gaussian blur. The paper requires a in (0, 1] and blurred
    edges without giving numbers; the defaults are ours.

    Args:
        parts: float (B, 1, H, W), 1 on parts with makeup, 0 elsewhere.
        floor: a.
        sigma: standard deviation of the blur in pixels.

    Returns:
        float (B, 1, H, W) in [floor, 1].
    """
    radius = round(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, device=parts.device, dtype=parts.dtype)
    kernel = (-0.5 * (offsets / sigma).square()).exp()
    kernel = kernel / kernel.sum()
    blurred = functional.pad(1 - parts, [radius] * 4, mode="replicate")
    blurred = functional.conv2d(blurred, kernel.view(1, 1, 1, -1))
    blurred = functional.conv2d(blurred, kernel.view(1, 1, -1, 1))
    return floor + (1 - floor) * blurred


def weighted_cycle(reconstruction: Tensor, original: Tensor, weight: Tensor) -> Tensor:
    """mean (mask′ ∘ |reconstruction − original|), (B, 3, H, W) and weight (B, 1, H, W)."""
    return ((reconstruction - original).abs() * weight).mean()
