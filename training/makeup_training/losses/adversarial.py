"""Adversarial losses; scores are raw discriminator outputs of any shape, means over all entries."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def least_squares(scores: Tensor, *, real: bool) -> Tensor:
    """LSGAN: mean squared distance to 1 (real) or 0 (Mao et al., 2017).

    The generator uses `real=True` on its own images.
    """
    return (scores - float(real)).square().mean()


def logistic(scores: Tensor, *, real: bool) -> Tensor:
    """Log GAN on logits: −log σ(s) for real, −log(1 − σ(s)) for fake (Goodfellow et al., 2014).

    The generator uses `real=True` on its own images (non-saturating); the saturating form
    log(1 − σ(s)) is minus the loss with `real=False`.
    """
    return functional.softplus(-scores if real else scores).mean()


def wasserstein(scores: Tensor, *, real: bool) -> Tensor:
    """WGAN: the critic's loss is −mean for real and +mean for fake images (Arjovsky et al., 2017).

    The generator uses `real=True` on its own images.
    """
    return -scores.mean() if real else scores.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """mean (‖∂critic/∂x‖₂ − 1)² at points drawn uniformly on the segments from fake to real.

    Published weight 10. Source: Gulrajani et al., WGAN-GP (2017).

    Args:
        critic: images (B, C, H, W) to scores of any shape, summed per image.
        real: float (B, C, H, W).
        fake: float (B, C, H, W); no gradient flows into it.

    Returns:
        a scalar with gradients to the critic.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    points = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()
