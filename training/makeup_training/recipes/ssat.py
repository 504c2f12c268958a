"""SSAT (Sun et al., 2022): transfer and removal with a symmetric transformer."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from makeup_kernels import Region
from makeup_training.data.examples import WARP_ONLY, ExampleOptions, Pair, PairDataset
from makeup_training.data.parsing_classes import FROM_MT
from makeup_training.losses.ssat import SSATBatch, SSATObjective, SSATWeights
from makeup_training.networks.blocks import initialise
from makeup_training.networks.inputs import one_hot
from makeup_training.networks.ssat import (
    PARSING_CLASSES,
    SSATDiscriminator,
    SSATGenerator,
    SSATOutput,
)
from makeup_training.recipes.base import Files, Recipe, recorded, supervised
from makeup_training.trainer.config import Config
from makeup_training.trainer.metrics import Sample


class SSATRecipe(Recipe):
    """Colour targets are pseudo pairs, as published, or with `truth_as_target` the ground truth."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        options = self.options(softmax_dim=1, start="normal", truth_as_target=False)
        self.truth_as_target = bool(options["truth_as_target"])
        generator = SSATGenerator(config.width, softmax_dim=options["softmax_dim"])
        self.generators["generator"] = generator
        self.judges["makeup"] = SSATDiscriminator(config.width)
        self.judges["bare"] = SSATDiscriminator(config.width)
        initialise(generator, options["start"])
        for network in self.judges.values():
            initialise(network, "normal")
        self.objective = SSATObjective(
            generator, self.judges["makeup"], self.judges["bare"], self.weights(SSATWeights)
        )

    def dataset(self, bare: Files, made_up: Files | None, options: ExampleOptions) -> Dataset[Any]:
        given = self.config.data.pseudo_share
        share = {Region[k.upper()]: v for k, v in given.items()} or WARP_ONLY
        known = self.truth_as_target and made_up is None
        return PairDataset(
            bare, made_up, options if known else replace(options, pseudo_share=share)
        )

    def judge_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        return self.objective.discriminator_terms(self.inputs(batch))

    def generator_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        with recorded(self.generators["generator"]) as passes:
            terms = self.objective.generator_terms(self.inputs(batch))
        return terms | self._distance(passes[0], batch)

    def truth_terms(self, batch: Pair) -> dict[str, Tensor]:
        return self._distance(self._both(batch), batch)

    def _distance(self, output: SSATOutput, batch: Pair) -> dict[str, Tensor]:
        results = [
            (output.transfer, batch.transfer, batch.source.regions),
            (output.removal, batch.removal, batch.reference.regions),
        ]
        return supervised(self.config, results)

    def sample(self, batch: Pair) -> list[Sample]:
        source, reference = batch.source, batch.reference
        output = self._both(batch)
        return [
            Sample(
                "transfer",
                source.image,
                reference.image,
                output.transfer,
                batch.transfer,
                source.regions,
            ),
            Sample(
                "removal",
                reference.image,
                source.image,
                output.removal,
                batch.removal,
                reference.regions,
            ),
        ]

    def _both(self, batch: Pair) -> SSATOutput:
        """Transfer and removal of one pass."""
        images = batch.source.image, batch.reference.image
        output: SSATOutput = self.generators["generator"](*images, *self._parsings(batch))
        return output

    def inputs(self, batch: Pair) -> SSATBatch:
        """The objective's batch, from a batch of pairs."""
        targets = (batch.pseudo_transfer, batch.pseudo_removal)
        if self.truth_as_target and batch.transfer is not None:
            targets = (batch.transfer, batch.removal)
        return SSATBatch(
            batch.source.image, batch.reference.image, *self._parsings(batch), *targets
        )

    def _parsings(self, batch: Pair) -> list[Tensor]:
        table = torch.tensor(FROM_MT["raw19"], device=batch.source_parsing.device)
        return [
            one_hot(table[parsing.long()], PARSING_CLASSES)
            for parsing in (batch.source_parsing, batch.reference_parsing)
        ]
