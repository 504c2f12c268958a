"""Losses against labels and targets: classes, parsing, features, correspondences, priors."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from makeup_training.networks.region_gan import LabelLayout

PARSING_CLASS_WEIGHTS = (0.2, 1.0, 5.0, 5.0, 5.0, 5.0, 3.0, 8.0, 8.0, 8.0, 1.0)
"""Portrait editing's weights of the 11 classes."""


def style_classification(logits: Tensor, layout: LabelLayout, styles: Tensor) -> Tensor:
    """Cross-entropy of the style head; the attribute head is ignored.

    Published weight 1 (region-sensitive GAN), on real images for the discriminator, on generated
    ones for the generator.

    Args:
        logits: float (B, styles + attributes).
        layout: defines the number of styles.
        styles: int64 (B,), style ids.
    """
    return functional.cross_entropy(logits[:, : layout.styles], styles)


def attribute_classification(logits: Tensor, layout: LabelLayout, attributes: Tensor) -> Tensor:
    """Binary cross-entropy of the attribute head, summed over attributes, mean over the batch.

    The style head is ignored. Source: StarGAN (Choi et al., 2018).

    Args:
        logits: float (B, styles + attributes).
        layout: defines the number of styles.
        attributes: (B, attributes), 0 or 1.
    """
    total = functional.binary_cross_entropy_with_logits(
        logits[:, layout.styles :], attributes.to(logits.dtype), reduction="sum"
    )
    return total / len(logits)


def parsing_cross_entropy(probabilities: Tensor, label: Tensor) -> Tensor:
    """Class-weighted cross-entropy on the parser's probabilities.

    Like the published code, applies a second soft-max to the parser's; the weight (10 · 10) was
    chosen with it.

    Args:
        probabilities: float (B, 11, H, W) of `FaceParser`.
        label: integer (B, H, W), the original (not enlarged) label.
    """
    weights = probabilities.new_tensor(PARSING_CLASS_WEIGHTS)
    return functional.cross_entropy(probabilities, label.long(), weight=weights)


def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    """L1 between the layers before the score, averaged over the scales.

    Published weight 10 (portrait editing, after pix2pixHD).

    Args:
        fake, real: outputs of `MultiScaleDiscriminator`; the real ones get no gradient.
    """
    losses = [(f[-2] - r[-2].detach()).abs().mean() for f, r in zip(fake, real, strict=True)]
    return torch.stack(losses).mean()


def semantic_correspondence(
    parsing: Tensor, other_parsing: Tensor, correspondence: Tensor
) -> Tensor:
    """L1 between a face's classes and the other face's classes warped onto it.

    Published: half of it for each direction (SSAT).

    Args:
        parsing: float (B, 18, H, W), one-hot, of the receiving face.
        other_parsing: float (B, 18, H, W), one-hot, of the face gathered from.
        correspondence: float (B, N, N), N = H·W/16; column i has the gathering weights for cell i.
    """
    own, other = (p[..., ::4, ::4].flatten(2) for p in (parsing, other_parsing))
    return (other @ correspondence - own).abs().mean()


def part_reconstruction(
    images: Sequence[Tensor], targets: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    """Σ_parts weight · mean squared error (the local loss of portrait editing)."""
    return torch.stack(
        [
            weight * functional.mse_loss(image, target)
            for image, target, weight in zip(images, targets, weights, strict=True)
        ]
    ).sum()


def prior_mse(
    image: Tensor,
    target: Tensor,
    prior: Tensor,
    target_prior: Tensor,
    *,
    prior_weight: float = 1.0,
) -> Tensor:
    """½ [MSE(image, target) + λ_p · MSE(prior, target prior)].

    Published λ_p 1 (low-resolution PSGAN).

    Args:
        image, target: float (B, 3, H, W).
        prior, target_prior: float (B, C, h, w), heat maps and class probabilities.
    """
    prior_error = functional.mse_loss(prior, target_prior)
    return 0.5 * (functional.mse_loss(image, target) + prior_weight * prior_error)
