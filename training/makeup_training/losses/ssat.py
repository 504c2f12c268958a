"""SSAT's training objective (Sun et al., 2022), with its code's weights: all 1, colour 2."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from makeup_training.losses.adversarial import logistic
from makeup_training.losses.structure import colour_profile_loss, gradient_profile_loss
from makeup_training.losses.supervised import semantic_correspondence
from makeup_training.networks.ssat import SSATGenerator, SSATOutput, warp


@dataclass(frozen=True)
class SSATWeights:
    """Weights of the published code; the terms average the two directions.

    The code reads an option of 0 for the latent term but never multiplies by it.
    """

    adversarial: float = 1.0
    reconstruction: float = 1.0
    cycle: float = 1.0
    semantic: float = 1.0
    latent: float = 1.0
    colour_profile: float = 2.0
    gradient_profile: float = 1.0


class SSATBatch(NamedTuple):
    """A batch of pairs.

    Attributes:
        source: float (B, 3, H, W) in [−1, 1], bare faces.
        reference: float (B, 3, H, W) in [−1, 1], faces with makeup.
        source_parsing, reference_parsing: float (B, 18, H, W), one-hot.
        transfer_target: float (B, 3, H, W), the reference warped onto the source.
        removal_target: float (B, 3, H, W), the source warped onto the reference.
    """

    source: Tensor
    reference: Tensor
    source_parsing: Tensor
    reference_parsing: Tensor
    transfer_target: Tensor
    removal_target: Tensor


@dataclass(frozen=True)
class SSATObjective:
    """Losses of the generator and its two multi-scale discriminators.

    Attributes:
        generator: SSAT.
        makeup_discriminator, bare_discriminator: `SSATDiscriminator`.
        weights: weights of the terms.
    """

    generator: SSATGenerator
    makeup_discriminator: nn.Module
    bare_discriminator: nn.Module
    weights: SSATWeights = SSATWeights()

    def generator_terms(self, batch: SSATBatch) -> dict[str, Tensor]:
        """Transfer, removal, both reconstructions, and the cycle from transfer and removal."""
        weights, network = self.weights, self.generator
        output = network(
            batch.source, batch.reference, batch.source_parsing, batch.reference_parsing
        )
        cycle = network(
            output.removal, output.transfer, batch.reference_parsing, batch.source_parsing
        )
        adversarial = multi_scale(self.makeup_discriminator(output.transfer), real=True)
        adversarial = adversarial + multi_scale(self.bare_discriminator(output.removal), real=True)
        reconstruction = [
            l1_loss(network.gen(network.enc_c(image)[-1], network.encode_makeup(image)), image)
            for image in (batch.source, batch.reference)
        ]
        semantic = [
            semantic_correspondence(
                batch.source_parsing, batch.reference_parsing, output.transfer_correspondence
            ),
            semantic_correspondence(
                batch.reference_parsing, batch.source_parsing, output.removal_correspondence
            ),
        ]
        colour = colour_profile_loss(output.transfer, batch.transfer_target)
        colour = colour + colour_profile_loss(output.removal, batch.removal_target)
        gradient = gradient_profile_loss(output.transfer, batch.source)
        gradient = gradient + gradient_profile_loss(output.removal, batch.reference)
        # the cycle puts makeup back on the removal (reference), and removes it from the transfer
        cycles = l1_loss(cycle.transfer, batch.reference) + l1_loss(cycle.removal, batch.source)
        return {
            "adversarial": weights.adversarial * 0.5 * adversarial,
            "reconstruction": weights.reconstruction * 0.5 * torch.stack(reconstruction).sum(),
            "cycle": weights.cycle * 0.5 * cycles,
            "semantic": weights.semantic * 0.5 * torch.stack(semantic).sum(),
            "latent": weights.latent * self._latent(batch, output),
            "colour_profile": weights.colour_profile * colour,
            "gradient_profile": weights.gradient_profile * gradient,
        }

    def discriminator_terms(self, batch: SSATBatch) -> dict[str, Tensor]:
        """Log losses of real and fake images, summed over three scales; no generator gradient."""
        with torch.no_grad():
            output = self.generator(
                batch.source, batch.reference, batch.source_parsing, batch.reference_parsing
            )
        pairs = {
            "makeup": (self.makeup_discriminator, batch.reference, output.transfer),
            "bare": (self.bare_discriminator, batch.source, output.removal),
        }
        return {
            name: multi_scale(judge(real), real=True) + multi_scale(judge(fake), real=False)
            for name, (judge, real, fake) in pairs.items()
        }

    def _latent(self, batch: SSATBatch, output: SSATOutput) -> Tensor:
        """½ [½ Σ content L1 (2 terms) + ¼ Σ makeup L1 (4 terms)].

        Compares each result's content with its input's; each result's makeup with the warped makeup
        it was decoded from and, warped back, with the makeup of the face it came from.
        """
        network = self.generator
        content = l1_loss(network.enc_c(output.transfer)[-1], network.enc_c(batch.source)[-1])
        content = content + l1_loss(
            network.enc_c(output.removal)[-1], network.enc_c(batch.reference)[-1]
        )
        makeup = content.new_zeros(())
        for result, origin, forth, back in (
            (
                output.transfer,
                batch.reference,
                output.transfer_correspondence,
                output.removal_correspondence,
            ),
            (
                output.removal,
                batch.source,
                output.removal_correspondence,
                output.transfer_correspondence,
            ),
        ):
            seen, given = network.encode_makeup(result), network.encode_makeup(origin)
            makeup = makeup + l1_loss(seen, warp(given, forth)) + l1_loss(warp(seen, back), given)
        return 0.5 * (0.5 * content + 0.25 * makeup)


def multi_scale(scores: Sequence[Tensor], *, real: bool) -> Tensor:
    """The log loss of the score maps of all scales, summed."""
    return torch.stack([logistic(s, real=real) for s in scores]).sum()
