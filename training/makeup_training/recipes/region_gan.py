"""Mask-controlled, label-conditioned makeup GAN, alone or trained jointly with CelebA."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from makeup_training.data.examples import (
    ExampleOptions,
    StyledFace,
    StyledFaceDataset,
    StyleOptions,
)
from makeup_training.data.readers import open_celeba
from makeup_training.losses.region_gan import (
    AttributeBatch,
    RegionBatch,
    RegionGANObjective,
    RegionGANWeights,
)
from makeup_training.networks.region_gan import (
    MASK_CLASS_OF_BIT,
    LabelLayout,
    MaskNetwork,
    RegionGenerator,
    StarGANDiscriminator,
)
from makeup_training.recipes.base import Files, Recipe, supervised
from makeup_training.trainer.config import Config, ConfigError
from makeup_training.trainer.metrics import Sample

LEAST_CROP = 64


class RegionGANRecipe(Recipe):
    """Generator and mask network against a global and a local critic.

    With CelebA, each step adds a batch of its faces: global critic and reconstruction as for
    makeup; the local critic's second head classifies the whole face's attributes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.size % LEAST_CROP:
            raise ConfigError(
                f"region-gan: size {config.size}, expected a multiple of {LEAST_CROP}"
            )
        self.attributes = list(config.data.attributes) if config.files.celeba else []
        if config.files.celeba and not self.attributes:
            raise ConfigError(
                "region-gan: CelebA is given without attributes; name some columns with "
                '--set \'data.attributes=["Smiling", "Young"]\''
            )
        self.styles = list(config.data.styles)
        self.facts = {"styles": self.styles, "attributes": self.attributes}
        layout = LabelLayout(len(self.styles), len(self.attributes))
        crop = max(LEAST_CROP, config.size // 2)
        generator = RegionGenerator(layout.channels, config.width)
        with torch.no_grad():  # images come first, label planes after them
            generator.main[0].weight[:, 3:] *= self.options(label_gain=1.0)["label_gain"]
        self.generators["generator"] = generator
        self.generators["masks"] = MaskNetwork(config.width)
        self.judges["whole"] = StarGANDiscriminator(config.size, 0, config.width)
        self.judges["parts"] = StarGANDiscriminator(
            crop, layout.styles + layout.attributes, config.width
        )
        self.objective = RegionGANObjective(
            generator,
            self.generators["masks"],
            self.judges["whole"],
            self.judges["parts"],
            layout,
            crop,
            self.weights(RegionGANWeights),
        )

    def dataset(self, bare: Files, made_up: Files | None, options: ExampleOptions) -> Dataset[Any]:
        if made_up is not None and len(self.styles) != 2:
            raise ConfigError(
                f"region-gan: photos tell bare from made-up only, got {len(self.styles)} styles; "
                'use --set \'data.styles=["bare", "makeup"]\' or --set data.pairs=renderer'
            )
        celeba = self.config.files.celeba
        faces = open_celeba(Path(celeba), self.attributes) if celeba else []
        styles = StyleOptions(self.styles, self.config.data.one_look_each, faces)
        return StyledFaceDataset(bare, made_up, options, styles)

    def judge_terms(self, batch: StyledFace, step: int) -> dict[str, Tensor]:
        terms = self.objective.discriminator_terms(makeup_part(batch))
        if (faces := attribute_part(batch)) is not None:
            terms |= self.objective.attribute_discriminator_terms(faces)
        return terms

    def generator_terms(self, batch: StyledFace, step: int) -> dict[str, Tensor]:
        part = makeup_part(batch)
        terms = self.objective.generator_terms(part) | self.truth_terms(batch)
        if (faces := attribute_part(batch)) is not None:
            terms |= self.objective.attribute_generator_terms(faces)
        return terms

    def truth_terms(self, batch: StyledFace) -> dict[str, Tensor]:
        truth = composite(batch, batch.region_bits)
        if not self.config.supervised_weight or truth is None:
            return {}
        label = self.objective.layout.makeup(batch.target_style, batch.region_bits)
        result = self.generators["generator"](batch.face.image, label)
        return supervised(self.config, [(result, truth, batch.face.regions)])

    def sample(self, batch: StyledFace) -> list[Sample]:
        """All parts on, all parts off, and only the lips; with photos, all parts in the target."""
        every = torch.ones_like(batch.region_bits)
        if batch.other is None:
            return [self._sampled("restyle", batch, every)]
        lips = torch.zeros_like(every)
        lips[:, 1] = 1
        bare, worn = both_ways(batch)
        return [
            self._sampled("on", bare, every),
            self._sampled("off", worn, every),
            self._sampled("lips", bare, lips),
        ]

    def _sampled(self, task: str, batch: StyledFace, bits: Tensor) -> Sample:
        label = self.objective.layout.makeup(batch.target_style, bits)
        result = self.generators["generator"](batch.face.image, label)
        truth = composite(batch, bits)
        return Sample(task, batch.face.image, None, result, truth, batch.face.regions)


def makeup_part(batch: StyledFace) -> RegionBatch:
    """The objective's part of a batch."""
    return RegionBatch(
        batch.face.image, batch.classes, batch.style, batch.target_style, batch.region_bits
    )


def attribute_part(batch: StyledFace) -> AttributeBatch | None:
    """The objective's part of a batch's CelebA faces; None without joint training."""
    if batch.attribute_image is None:
        return None
    assert batch.attributes is not None  # they come with the image
    assert batch.target_attributes is not None
    return AttributeBatch(batch.attribute_image, batch.attributes, batch.target_attributes)


def composite(batch: StyledFace, bits: Tensor) -> Tensor | None:
    """The ground truth: the selected parts from the face in the target style, the rest unchanged.

    Args:
        batch: B faces.
        bits: (B, 3), eye shadow, lips, base.
    """
    if batch.other is None:
        return None
    selected = torch.zeros_like(batch.classes, dtype=torch.bool)
    for i, mask_class in enumerate(MASK_CLASS_OF_BIT):
        selected |= (batch.classes == mask_class) & (bits[:, i, None, None] == 1)
    return torch.where(selected[:, None], batch.other, batch.face.image)


def both_ways(batch: StyledFace) -> tuple[StyledFace, StyledFace]:
    """The same faces, all bare and all with makeup, each with the other style as its target."""
    assert batch.other is not None
    is_bare = batch.style == 0
    keep = is_bare[:, None, None, None]
    bare = torch.where(keep, batch.face.image, batch.other)
    worn = torch.where(keep, batch.other, batch.face.image)
    style = torch.maximum(batch.style, batch.target_style)
    none = torch.zeros_like(style)
    return (
        batch._replace(
            face=batch.face.with_image(bare), other=worn, style=none, target_style=style
        ),
        batch._replace(
            face=batch.face.with_image(worn), other=bare, style=style, target_style=none
        ),
    )
