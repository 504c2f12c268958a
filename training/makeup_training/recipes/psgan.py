"""PSGAN (Jiang et al., 2020), and the base of its pose-corrected variant."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from makeup_training.data.examples import Pair
from makeup_training.losses.perceptual import perceptual_loss
from makeup_training.losses.psgan import PSGANObjective, PSGANWeights
from makeup_training.networks.blocks import PatchDiscriminator, initialise
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.recipes.base import Recipe, recorded, supervised
from makeup_training.trainer.config import Config
from makeup_training.trainer.metrics import Sample


class PSGANRecipe(Recipe):
    """Generator, discriminators of faces with and without makeup, Xavier initialisation."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.generators["generator"] = self.make_generator()
        self.judges["makeup"] = PatchDiscriminator(config.width)
        self.judges["bare"] = PatchDiscriminator(config.width)
        self.fixed["perceptual"] = perceptual_loss(config.files.vgg or None)
        self.objective: Any = self.make_objective()
        for network in (*self.generators.values(), *self.judges.values()):
            initialise(network, "xavier")

    def make_generator(self) -> Any:
        """The network to train."""
        return PSGANGenerator(
            self.config.width, **self.options(visual_weight=0.01, temperature=200.0)
        )

    def make_objective(self) -> Any:
        """Its losses."""
        return PSGANObjective(
            self.generators["generator"],
            self.judges["makeup"],
            self.judges["bare"],
            self.fixed["perceptual"],
            self.weights(PSGANWeights),
        )

    def judge_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = self.objective.discriminator_terms(batch.source, batch.reference)
        return terms

    def generator_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        with recorded(self.generators["generator"]) as passes:
            terms: dict[str, Tensor] = self.objective.generator_terms(batch.source, batch.reference)
        # the objective's first two passes are the transfer and the removal
        return terms | self._distance(passes[0], passes[1], batch)

    def truth_terms(self, batch: Pair) -> dict[str, Tensor]:
        generator, source, reference = self.generators["generator"], batch.source, batch.reference
        return self._distance(generator(source, reference), generator(reference, source), batch)

    def _distance(self, transfer: Tensor, removal: Tensor, batch: Pair) -> dict[str, Tensor]:
        results = [
            (transfer, batch.transfer, batch.source.regions),
            (removal, batch.removal, batch.reference.regions),
        ]
        return supervised(self.config, results)

    def sample(self, batch: Pair) -> list[Sample]:
        return transfer_and_removal(self.generators["generator"], batch)


def transfer_and_removal(generator: Callable[..., Tensor], batch: Pair) -> list[Sample]:
    """Transfer and removal by a generator that takes a source and a reference face."""
    source, reference = batch.source, batch.reference
    return [
        Sample(
            "transfer",
            source.image,
            reference.image,
            generator(source, reference),
            batch.transfer,
            source.regions,
        ),
        Sample(
            "removal",
            reference.image,
            source.image,
            generator(reference, source),
            batch.removal,
            reference.regions,
        ),
    ]
