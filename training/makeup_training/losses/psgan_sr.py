"""Training objective of low-resolution makeup transfer: PSGAN, prior and super-resolution."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from makeup_training.losses.adversarial import logistic
from makeup_training.losses.histogram import region_makeup_loss
from makeup_training.losses.perceptual import Perceptual
from makeup_training.losses.supervised import prior_mse
from makeup_training.networks.inputs import FaceBatch, one_hot
from makeup_training.networks.psgan_sr import PARSING_CLASSES, PSGANSuperResolution, enlarge


@dataclass(frozen=True)
class SuperResolutionWeights:
    """Published weights; those of MSE, prior and sharp adversarial term are FSRNet's."""

    mse: float = 1.0
    prior: float = 1.0
    adversarial_makeup: float = 1e-3
    adversarial_sharp: float = 1e-3
    perceptual_makeup: float = 1e-5
    perceptual_sharp: float = 1e-1
    cycle: float = 1e-2
    makeup: float = 1e-3


class SharpTarget(NamedTuple):
    """What supervises the sharp result of a batch.

    Attributes:
        image: float (B, 3, 256, 256) in [−1, 1], PSGAN's result on the high-resolution faces.
        landmark_maps: float (B, 201, 128, 128), heat maps of the target.
        parsing: integer (B, 128, 128), raw 19-class ids of the target.
    """

    image: Tensor
    landmark_maps: Tensor
    parsing: Tensor

    def prior(self) -> Tensor:
        """Heat maps and one-hot classes, float (B, 220, 128, 128)."""
        planes = one_hot(self.parsing, PARSING_CLASSES).to(self.landmark_maps.dtype)
        return torch.cat([self.landmark_maps, planes], 1)


@dataclass(frozen=True)
class SuperResolutionObjective:
    """Log-loss GANs of both domains and of the sharp image, and all that supervises them.

    Attributes:
        generator: the whole network.
        makeup_discriminator: judges enlarged made-up faces.
        bare_discriminator: judges enlarged bare faces.
        sharp_discriminator: judges the super-resolved result (D_S).
        perceptual: on VGG-16's relu5_3 as published.
        weights: of the terms.
    """

    generator: PSGANSuperResolution
    makeup_discriminator: nn.Module
    bare_discriminator: nn.Module
    sharp_discriminator: nn.Module
    perceptual: Perceptual
    weights: SuperResolutionWeights = field(default_factory=SuperResolutionWeights)

    def generator_terms(
        self, source: FaceBatch, reference: FaceBatch, target: SharpTarget
    ) -> dict[str, Tensor]:
        """Low-resolution faces (images (B, 3, 64, 64)) and the target to the weighted terms.

        The sharp adversarial term is the saturating log(1 − D_S), as printed.
        """
        weights = self.weights
        result = self.generator(source, reference)
        large = _enlarged(source)
        large_reference = _enlarged(reference)
        made_up = large.with_image(result.blurry)
        bared = large_reference.with_image(self.generator.makeup(large_reference, large))
        adversarial, perceptual, cycle, makeup = [], [], [], []
        for fake, original, other, judge in (
            (made_up, large, large_reference, self.makeup_discriminator),
            (bared, large_reference, large, self.bare_discriminator),
        ):
            adversarial.append(logistic(judge(fake.image), real=True))
            perceptual.append(self.perceptual(fake.image, original.image))
            cycle.append(l1_loss(self.generator.makeup(fake, original), original.image))
            makeup.append(region_makeup_loss(fake, other))
        prior = torch.cat([result.landmark_maps, result.parsing.softmax(1)], 1)
        sharp = -logistic(self.sharp_discriminator(result.image), real=False)
        return {
            "mse": weights.mse
            * prior_mse(
                result.image, target.image, prior, target.prior(), prior_weight=weights.prior
            ),
            "adversarial_makeup": weights.adversarial_makeup * torch.stack(adversarial).sum(),
            "adversarial_sharp": weights.adversarial_sharp * sharp,
            "perceptual_makeup": weights.perceptual_makeup * torch.stack(perceptual).sum(),
            "perceptual_sharp": weights.perceptual_sharp
            * self.perceptual(result.image, target.image),
            "cycle": weights.cycle * torch.stack(cycle).sum(),
            "makeup": weights.makeup * torch.stack(makeup).sum(),
        }

    def discriminator_terms(
        self, source: FaceBatch, reference: FaceBatch, target: SharpTarget
    ) -> dict[str, Tensor]:
        """Real and fake log losses; the fake one of D_S, missing in the printed text, is added."""
        large, large_reference = _enlarged(source), _enlarged(reference)
        with torch.no_grad():
            result = self.generator(source, reference)
            bared = self.generator.makeup(large_reference, large)
        pairs = {
            "makeup": (self.makeup_discriminator, large_reference.image, result.blurry),
            "bare": (self.bare_discriminator, large.image, bared),
            "sharp": (self.sharp_discriminator, target.image, result.image),
        }
        return {
            name: logistic(judge(real), real=True) + logistic(judge(fake), real=False)
            for name, (judge, real, fake) in pairs.items()
        }


def _enlarged(face: FaceBatch) -> FaceBatch:
    return face.with_image(enlarge(face.image))
