"""Training objectives of PSGAN (Jiang et al., 2020) and of its pose-corrected variant.

They return weighted terms by name; the sum is the loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from makeup_kernels import Region
from makeup_training.losses.adversarial import least_squares
from makeup_training.losses.histogram import PUBLISHED_REGION_WEIGHTS, weighted_histogram_loss
from makeup_training.losses.masks import soft_inverse_mask, weighted_cycle
from makeup_training.losses.perceptual import Perceptual
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.psgan_pose import Part, part_inputs

Generator = Callable[[FaceBatch, FaceBatch], Tensor]
"""Source and reference faces to images (B, 3, H, W)."""


@dataclass(frozen=True)
class PSGANWeights:
    """Published weights; cycle, perceptual and identity terms are also halved, as published."""

    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 5.0
    perceptual: float = 0.05
    regions: Mapping[Region, float] = field(default_factory=lambda: PUBLISHED_REGION_WEIGHTS)


@dataclass(frozen=True)
class PSGANObjective:
    """Losses of a generator and the discriminators of both domains.

    Attributes:
        generator: PSGAN, or a network with the same call signature.
        makeup_discriminator: judges faces with makeup (D_A).
        bare_discriminator: judges bare faces (D_B).
        perceptual: see `losses.perceptual.perceptual_loss`.
        weights: weights of the terms.
    """

    generator: Generator
    makeup_discriminator: nn.Module
    bare_discriminator: nn.Module
    perceptual: Perceptual
    weights: PSGANWeights = field(default_factory=PSGANWeights)

    def generator_terms(self, source: FaceBatch, reference: FaceBatch) -> dict[str, Tensor]:
        """Six passes of the generator: both transfers, both cycles, both identities.

        Args:
            source: bare faces.
            reference: faces with makeup.
        """
        made_up, bared = _transferred(self.generator, source, reference)
        identity = [l1_loss(self.generator(f, f), f.image) for f in (source, reference)]
        return {
            **_whole_face_terms(self, (source, reference), (made_up, bared), (None, None)),
            "identity": 0.5 * self.weights.identity * torch.stack(identity).sum(),
        }

    def discriminator_terms(self, source: FaceBatch, reference: FaceBatch) -> dict[str, Tensor]:
        """½ (real + fake) of each discriminator; the generator gets no gradient."""
        with torch.no_grad():
            made_up, bared = _transferred(self.generator, source, reference)
        return {
            "makeup": _judge(self.makeup_discriminator, reference.image, made_up.image),
            "bare": _judge(self.bare_discriminator, source.image, bared.image),
        }


@dataclass(frozen=True)
class PoseCorrectedWeights:
    """Weights of the pose-corrected variant. The paper gives none: PSGAN's, and 1 for MakeupGAN."""

    adversarial: float = 1.0
    cycle: float = 10.0
    perceptual: float = 0.05
    makeup_gan: float = 1.0
    regions: Mapping[Region, float] = field(default_factory=lambda: PUBLISHED_REGION_WEIGHTS)


@dataclass(frozen=True)
class PoseCorrectedObjective:
    """The improved PSGAN: mask′-weighted cycle and perceptual losses, three part discriminators.

    Attributes:
        generator: `PoseCorrectedGenerator`.
        makeup_discriminator, bare_discriminator: judge whole faces, as in PSGAN.
        part_discriminators: `MakeupDiscriminator` of each part.
        perceptual: accepts a per-pixel weight.
        weights: weights of the terms.
    """

    generator: Generator
    makeup_discriminator: nn.Module
    bare_discriminator: nn.Module
    part_discriminators: Mapping[Part, nn.Module]
    perceptual: Perceptual
    weights: PoseCorrectedWeights = field(default_factory=PoseCorrectedWeights)

    def generator_terms(self, source: FaceBatch, reference: FaceBatch) -> dict[str, Tensor]:
        """Both transfers and both cycles.

        Args:
            source: bare faces.
            reference: faces with makeup.
        """
        made_up, bared = _transferred(self.generator, source, reference)
        masks = [
            soft_inverse_mask((f.regions != Region.NONE)[:, None].to(f.image.dtype))
            for f in (source, reference)
        ]
        part_scores = [
            least_squares(judge(*part_inputs(made_up, part)), real=True)
            for part, judge in self.part_discriminators.items()
        ]
        return {
            **_whole_face_terms(self, (source, reference), (made_up, bared), masks),
            "makeup_gan": self.weights.makeup_gan * torch.stack(part_scores).sum(),
        }

    def discriminator_terms(self, source: FaceBatch, reference: FaceBatch) -> dict[str, Tensor]:
        """½ (real + fake) of all five; a part's real images are the reference's."""
        with torch.no_grad():
            made_up, bared = _transferred(self.generator, source, reference)
        terms = {
            "makeup": _judge(self.makeup_discriminator, reference.image, made_up.image),
            "bare": _judge(self.bare_discriminator, source.image, bared.image),
        }
        for part, judge in self.part_discriminators.items():
            real = least_squares(judge(*part_inputs(reference, part)), real=True)
            fake = least_squares(judge(*part_inputs(made_up, part)), real=False)
            terms[part.value] = 0.5 * (real + fake)
        return terms


def _transferred(
    generator: Generator, source: FaceBatch, reference: FaceBatch
) -> tuple[FaceBatch, FaceBatch]:
    """The source with the reference's makeup, and the reference with the source's."""
    made_up = source.with_image(generator(source, reference))
    return made_up, reference.with_image(generator(reference, source))


def _whole_face_terms(
    objective: PSGANObjective | PoseCorrectedObjective,
    faces: Sequence[FaceBatch],
    fakes: Sequence[FaceBatch],
    masks: Sequence[Tensor | None],
) -> dict[str, Tensor]:
    """The terms common to both variants, over both directions.

    Args:
        objective: generator, discriminators and weights.
        faces: source and reference.
        fakes: each of them with the other's makeup.
        masks: (B, 1, H, W) mask′ of each for cycle and perceptual loss, or None for 1 everywhere.
    """
    weights = objective.weights
    judges = objective.makeup_discriminator, objective.bare_discriminator
    adversarial, cycle, perceptual, histogram = [], [], [], []
    for fake, face, other, judge, mask in zip(
        fakes, faces, reversed(faces), judges, masks, strict=True
    ):
        adversarial.append(least_squares(judge(fake.image), real=True))
        back = objective.generator(fake, face)
        cycle.append(
            l1_loss(back, face.image) if mask is None else weighted_cycle(back, face.image, mask)
        )
        perceptual.append(objective.perceptual(fake.image, face.image, mask))
        histogram.append(weighted_histogram_loss(fake, other, weights.regions))
    return {
        "adversarial": weights.adversarial * torch.stack(adversarial).sum(),
        "cycle": 0.5 * weights.cycle * torch.stack(cycle).sum(),
        "perceptual": 0.5 * weights.perceptual * torch.stack(perceptual).sum(),
        "histogram": torch.stack(histogram).sum(),
    }


def _judge(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (
        least_squares(discriminator(real), real=True)
        + least_squares(discriminator(fake), real=False)
    )
