"""Training objective of the label-conditioned, mask-controlled GAN."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from makeup_kernels.errors import InvalidInputError
from makeup_training.losses.adversarial import gradient_penalty, wasserstein
from makeup_training.losses.masks import mask_invariance
from makeup_training.losses.supervised import attribute_classification, style_classification
from makeup_training.networks.crops import crop_parts
from makeup_training.networks.inputs import one_hot
from makeup_training.networks.region_gan import (
    MASK_CLASS_OF_BIT,
    MASK_CLASSES,
    LabelLayout,
    MaskNetwork,
    RegionGenerator,
    StarGANDiscriminator,
    select_masks,
)


@dataclass(frozen=True)
class RegionGANWeights:
    """Published weights (λ_cls, λ_mask, λ_rec, gradient penalty), and our own for the mask net."""

    classification: float = 1.0
    invariance: float = 10.0
    reconstruction: float = 10.0
    gradient_penalty: float = 10.0
    parsing: float = 1.0


class RegionBatch(NamedTuple):
    """A batch of faces with makeup, and their targets.

    Attributes:
        image: float (B, 3, 256, 256) in [−1, 1].
        classes: integer (B, 256, 256), mask classes of a parser (0 unchanged, 1 eye shadow,
            2 base, 3 lips).
        style: int64 (B,), the image's style.
        target_style: int64 (B,), the target style.
        region_bits: (B, 3), 0 or 1: eye shadow, lips, base.
    """

    image: Tensor
    classes: Tensor
    style: Tensor
    target_style: Tensor
    region_bits: Tensor


class AttributeBatch(NamedTuple):
    """A batch of the joint training's second data set, faces with attributes (CelebA).

    Attributes:
        image: float (B, 3, 256, 256) in [−1, 1].
        attributes: (B, A), 0 or 1, the image's attributes.
        target_attributes: (B, A), the target attributes.
    """

    image: Tensor
    attributes: Tensor
    target_attributes: Tensor


@dataclass(frozen=True)
class RegionGANObjective:
    """WGAN-GP of a global and a local critic, classification, reconstruction, mask invariance.

    The parts share the local critic, which classifies their style and sees only the selected parts.
    In joint training its second head classifies the attributes of the other data set's faces; it
    sees these faces whole, resized to a part's size. They have no masks, so neither invariance nor
    the local critic's score applies.

    Attributes:
        generator: the network.
        mask_network: reads the generator's features.
        global_discriminator: whole images, no classes.
        local_discriminator: part crops, `layout.styles` classes.
        layout: of the label vectors.
        crop_size: side of the part crops and of the local discriminator.
        weights: weights of the terms.
    """

    generator: RegionGenerator
    mask_network: MaskNetwork
    global_discriminator: StarGANDiscriminator
    local_discriminator: StarGANDiscriminator
    layout: LabelLayout
    crop_size: int = 128
    weights: RegionGANWeights = field(default_factory=RegionGANWeights)

    def generator_terms(self, batch: RegionBatch) -> dict[str, Tensor]:
        """Transfer, and reconstruction with the same bits and the original style.

        Raises:
            InvalidInputError: a batch in which no image selects a part.
        """
        weights = self.weights
        label = self.layout.makeup(batch.target_style, batch.region_bits)
        features = self.generator.encode(batch.image, label)
        fake = self.generator.decode(features)
        mask_logits = self.mask_network(features)
        parts, invariant = select_masks(mask_logits.softmax(1).detach(), batch.region_bits)
        crops, present = self._selected_crops(fake, parts, batch.region_bits)
        local_scores, local_logits = self.local_discriminator(crops)
        back = self.generator(fake, self.layout.makeup(batch.style, batch.region_bits))
        global_scores, _ = self.global_discriminator(fake)
        styles = batch.target_style.expand(present.shape)[present]
        return {
            "adversarial_global": wasserstein(global_scores, real=True),
            "adversarial_local": _per_image(local_scores, batch)
            * wasserstein(local_scores, real=True),
            "classification": weights.classification
            * style_classification(local_logits, self.layout, styles),
            "reconstruction": weights.reconstruction * (back - batch.image).abs().mean(),
            "invariance": weights.invariance * mask_invariance(fake, batch.image, invariant),
            "parsing": weights.parsing
            * functional.cross_entropy(mask_logits, batch.classes.long()),
        }

    def discriminator_terms(self, batch: RegionBatch) -> dict[str, Tensor]:
        """Critics on real and generated images and parts; classes of the real parts.

        Raises:
            InvalidInputError: a batch in which no image selects a part.
        """
        weights = self.weights
        label = self.layout.makeup(batch.target_style, batch.region_bits)
        with torch.no_grad():
            features = self.generator.encode(batch.image, label)
            fake = self.generator.decode(features)
            parts, _ = select_masks(self.mask_network(features).softmax(1), batch.region_bits)
            real_parts = one_hot(batch.classes, MASK_CLASSES)[:, list(MASK_CLASS_OF_BIT)]
            fake_crops, present = self._selected_crops(fake, parts, batch.region_bits)
            real_crops, _ = self._selected_crops(batch.image, real_parts, batch.region_bits)
        real_scores, real_logits = self.local_discriminator(real_crops)
        fake_scores, _ = self.local_discriminator(fake_crops)
        local = wasserstein(real_scores, real=True) + wasserstein(fake_scores, real=False)
        penalty = gradient_penalty(lambda x: self.local_discriminator(x)[0], real_crops, fake_crops)
        styles = batch.style.expand(present.shape)[present]
        return {
            "global": self._critic(lambda x: self.global_discriminator(x)[0], batch.image, fake),
            "local": _per_image(real_scores, batch) * (local + weights.gradient_penalty * penalty),
            "classification": weights.classification
            * style_classification(real_logits, self.layout, styles),
        }

    def attribute_generator_terms(self, batch: AttributeBatch) -> dict[str, Tensor]:
        """Faces with the target attributes, and their reconstruction with their own."""
        weights = self.weights
        fake = self._with_attributes(batch.image, batch.target_attributes)
        back = self._with_attributes(fake, batch.attributes)
        scores, _ = self.global_discriminator(fake)
        return {
            "attributes_global": wasserstein(scores, real=True),
            "attributes_classification": weights.classification
            * self._attribute_loss(fake, batch.target_attributes),
            "attributes_reconstruction": weights.reconstruction * (back - batch.image).abs().mean(),
        }

    def attribute_discriminator_terms(self, batch: AttributeBatch) -> dict[str, Tensor]:
        """The global critic on real and generated faces; attributes of the real ones."""
        with torch.no_grad():
            fake = self._with_attributes(batch.image, batch.target_attributes)
        return {
            "attributes_global": self._critic(
                lambda x: self.global_discriminator(x)[0], batch.image, fake
            ),
            "attributes_classification": self.weights.classification
            * self._attribute_loss(batch.image, batch.attributes),
        }

    def _with_attributes(self, image: Tensor, attributes: Tensor) -> Tensor:
        result: Tensor = self.generator(image, self.layout.auxiliary(attributes))
        return result

    def _attribute_loss(self, image: Tensor, attributes: Tensor) -> Tensor:
        side = (self.crop_size, self.crop_size)
        small = functional.interpolate(image, side, mode="bilinear", antialias=True)
        _, logits = self.local_discriminator(small)
        return attribute_classification(logits, self.layout, attributes)

    def _critic(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        penalty = gradient_penalty(critic, real, fake)
        distance = wasserstein(critic(real), real=True) + wasserstein(critic(fake), real=False)
        return distance + self.weights.gradient_penalty * penalty

    def _selected_crops(self, images: Tensor, parts: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Crops (N, 3, s, s) of the selected parts, and the selection, bool (3, B)."""
        present = bits.bool().t()
        if not present.any():
            raise InvalidInputError(
                "region_bits: no image of the batch selects a part, expected at least one 1; "
                "draw the bits again"
            )
        return crop_parts(images, parts, self.crop_size)[present], present


def _per_image(part_scores: Tensor, batch: RegionBatch) -> float:
    """Parts per image: converts a mean over parts to the mean of the sum per image."""
    return len(part_scores) / len(batch.image)
