"""Improved PSGAN: pose correction, and discriminators of brows, eyes and lips."""

from typing import Any

from torch import nn

from makeup_training.losses.psgan import PoseCorrectedObjective, PoseCorrectedWeights
from makeup_training.networks.psgan_pose import MakeupDiscriminator, Part, PoseCorrectedGenerator
from makeup_training.recipes.psgan import PSGANRecipe


class PSGANPoseRecipe(PSGANRecipe):
    """PSGAN with the pose-corrected generator and three more discriminators."""

    def make_generator(self) -> nn.Module:
        return PoseCorrectedGenerator(self.config.width, **self.options(warp="image"))

    def make_objective(self) -> Any:
        parts = {part: MakeupDiscriminator(part, self.config.width) for part in Part}
        self.judges.update({part.value: judge for part, judge in parts.items()})
        return PoseCorrectedObjective(
            self.generators["generator"],
            self.judges["makeup"],
            self.judges["bare"],
            parts,
            self.fixed["perceptual"],
            self.weights(PoseCorrectedWeights),
        )
