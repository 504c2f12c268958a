"""Training objective of mask-guided portrait editing (Gu et al., 2019), as in its code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from makeup_training.losses.adversarial import logistic
from makeup_training.losses.supervised import (
    feature_matching,
    parsing_cross_entropy,
    part_reconstruction,
)
from makeup_training.networks.inputs import one_hot
from makeup_training.networks.portrait_edit import (
    LABEL_CLASSES,
    PARTS,
    PortraitEditor,
    sample_latent,
)
from makeup_training.networks.portrait_edit_inputs import (
    enlarge_label,
    part_centres,
    part_crops,
    part_masks,
)


@dataclass(frozen=True)
class PortraitWeights:
    """Weights of the code; the paper states local 10, global 1, GAN 1 and parsing 1 instead.

    Attributes:
        local: weight of the part reconstructions (500 · 10 per part).
        parsing: weight of the cross-entropy (10 · 10).
        feature_matching: weight of the L1 between discriminator layers.
        vgg: weight of the masked perceptual loss.
        image: weight of the squared errors under the part masks and of the whole image.
        parts: weights of the parts inside `vgg` and `image`, in the order of `PARTS`.
        whole: weight of the whole image inside `image`.
    """

    local: float = 5000.0
    parsing: float = 100.0
    feature_matching: float = 10.0
    vgg: float = 30.0
    image: float = 2.0
    parts: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0, 10.0)
    whole: float = 10.0


class PortraitBatch(NamedTuple):
    """Aligned faces and their parsing.

    Attributes:
        image: float (B, 3, 256, 256) in [−1, 1].
        label: integer (B, 256, 256), 11 classes.
    """

    image: Tensor
    label: Tensor


@dataclass(frozen=True)
class PortraitObjective:
    """Losses of editor and discriminators; paired and unpaired batches alternate.

    Unpaired results have parts of another face in the batch. `shuffled_discriminator` judges only
    unpaired results, `discriminator` only paired ones.

    Attributes:
        editor: part networks and generator.
        discriminator: judges paired results (`D`).
        shuffled_discriminator: judges unpaired results (`D2`).
        parser: the fixed `FaceParser`.
        perceptual: see `losses.perceptual.masked_perceptual_loss`.
        weights: weights of the terms.
    """

    editor: PortraitEditor
    discriminator: nn.Module
    shuffled_discriminator: nn.Module
    parser: nn.Module
    perceptual: nn.Module
    weights: PortraitWeights = field(default_factory=PortraitWeights)

    def generator_terms(self, batch: PortraitBatch, *, paired: bool) -> dict[str, Tensor]:
        """Local, parsing and unpaired adversarial terms always; the others if `paired`."""
        weights = self.weights
        scene = _Scene.of(batch)
        latents = self._latents(scene)
        planes = one_hot(scene.label, LABEL_CLASSES)

        shown = self.editor.decode_images(latents)
        local = part_reconstruction(
            [shown[name] * scene.crop_masks[name] for name in PARTS],
            [scene.crops[name] for name in PARTS],
            [1.0] * len(PARTS),
        )
        shuffled = self._generate(scene, _shuffled(latents))
        scores = self.shuffled_discriminator(planes, shuffled)
        terms = {
            "local": weights.local * local,
            "parsing": parsing_cross_entropy(self.parser(shuffled), batch.label),
            "adversarial_shuffled": _multi_scale(scores, real=True),
        }
        if paired:
            own = self._generate(scene, latents)
            fake = self.discriminator(planes, own)
            real = self.discriminator(planes, batch.image)
            parsing = parsing_cross_entropy(self.parser(own), batch.label)
            terms["parsing"] = 0.5 * (terms["parsing"] + parsing)
            terms["adversarial"] = _multi_scale(fake, real=True)
            terms["feature_matching"] = weights.feature_matching * feature_matching(fake, real)
            masks = torch.stack(list(part_masks(scene.label).values()), 1).to(own.dtype)
            terms["perceptual"] = weights.vgg * self.perceptual(
                own, batch.image, masks, weights.parts
            )
            terms["image"] = weights.image * part_reconstruction(
                [*(own * m[:, None] for m in masks.unbind(1)), own],
                [*(batch.image * m[:, None] for m in masks.unbind(1)), batch.image],
                (*weights.parts, weights.whole),
            )
        terms["parsing"] = weights.parsing * terms["parsing"]
        return terms

    def discriminator_terms(self, batch: PortraitBatch, *, paired: bool) -> dict[str, Tensor]:
        """Real and fake log losses, ½ each; the editor gets no gradient."""
        scene = _Scene.of(batch)
        planes = one_hot(scene.label, LABEL_CLASSES)
        with torch.no_grad():
            latents = self._latents(scene)
            judged = {
                "shuffled": (
                    self.shuffled_discriminator,
                    self._generate(scene, _shuffled(latents)),
                )
            }
            if paired:
                judged["paired"] = (self.discriminator, self._generate(scene, latents))
        return {
            name: 0.5
            * (
                _multi_scale(judge(planes, batch.image), real=True)
                + _multi_scale(judge(planes, fake), real=False)
            )
            for name, (judge, fake) in judged.items()
        }

    def _latents(self, scene: "_Scene") -> dict[str, Tensor]:
        return {name: sample_latent(*pair) for name, pair in self.editor.embed(scene.crops).items()}

    def _generate(self, scene: "_Scene", latents: Mapping[str, Tensor]) -> Tensor:
        features = self.editor.decode_features(latents)
        image: Tensor = self.editor.G(features, scene.label, scene.centres, scene.image)
        return image


class _Scene(NamedTuple):
    """A batch with its conditioning label and its parts."""

    image: Tensor
    label: Tensor
    centres: Tensor
    crops: dict[str, Tensor]
    crop_masks: dict[str, Tensor]

    @classmethod
    def of(cls, batch: PortraitBatch) -> "_Scene":
        centres = part_centres(batch.label)
        label = enlarge_label(batch.label, centres)
        crops = part_crops(batch.image, label, centres)
        crop_masks = part_crops(torch.ones_like(batch.image), label, centres)
        return cls(batch.image, label, centres, crops, crop_masks)


def _shuffled(latents: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each face gets the parts of the next one."""
    return {name: latent.roll(1, 0) for name, latent in latents.items()}


def _multi_scale(outputs: list[list[Tensor]], *, real: bool) -> Tensor:
    return torch.stack([logistic(layers[-1], real=real) for layers in outputs]).sum()
