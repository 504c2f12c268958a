"""How each system is run for the change objective: a pass with the look, and one with none."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from makeup_training.networks.attention import attentive_morph
from makeup_training.networks.blocks import initialise
from makeup_training.networks.inputs import FEATURE_STRIDE, feature_regions
from makeup_training.networks.psgan import MakeupBranches, PSGANGenerator
from makeup_training.networks.psgan_pose import PoseCorrectedGenerator, pose_correction
from makeup_training.networks.warp import reduce_grid, sample
from makeup_training.systems.learner import Learner, Passes, SystemLearner
from makeup_training.systems.pairs import PairBatch, taken
from makeup_training.systems.portrait_edit import PortraitLearner
from makeup_training.systems.region_gan import RegionGANLearner
from makeup_training.systems.ssat import SSATLearner

_MAPS = 0.15
"""Weight of the maps' own truth."""
_LIGHTNESS = (-0.54, 0.8)
_REDNESS = 0.35
"""Mean and spread of lightness and redness in the regions, in log light above the bare skin."""


class MapsLearner(Learner):
    """A network with PSGAN's branches; a look of nothing has maps of zeros.

    The two maps are told what to be: gamma the reference's lightness, beta its redness, along which
    makeup varies most. Left to themselves they take far longer to find a meaning.
    """

    network: MakeupBranches

    def __init__(self) -> None:
        self._terms: dict[str, Tensor] = {}

    def extra_terms(self) -> dict[str, Tensor]:
        return self._terms

    def maps(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Features, gamma and beta of the references, whose distance to their truth is kept."""
        features, gamma, beta = self.network.encode_reference(batch.reference.image)
        inside = (feature_regions(batch.reference.regions) > 0)[:, None]
        red, green, blue = functional.avg_pool2d(batch.lent, FEATURE_STRIDE).split(1, 1)
        lightness = ((red + green + blue) / 3 - _LIGHTNESS[0]) / _LIGHTNESS[1]
        redness = (0.816 * red - 0.408 * (green + blue)) / _REDNESS
        error = (gamma.float() - lightness).abs() + (beta.float() - redness).abs()
        self._terms = {"maps": _MAPS * (error * inside).sum() / inside.sum()}
        return features, gamma, beta


class PSGANLearner(MapsLearner):
    """PSGAN."""

    name = "psgan"
    network: PSGANGenerator

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = PSGANGenerator(width)
        initialise(self.network, "xavier")

    def passes(self, batch: PairBatch) -> Iterator[Passes]:
        network = self.network
        features = network.encode_source(batch.source.image)
        keys, *maps = self.maps(batch)
        wearers, lenders = taken(batch.source, batch.wearer), taken(batch.reference, batch.lender)
        laid = attentive_morph(
            features[batch.wearer],
            keys[batch.lender],
            wearers.landmarks,
            lenders.landmarks,
            feature_regions(wearers.regions),
            feature_regions(lenders.regions),
            torch.cat(maps, 1)[batch.lender],
            visual_weight=network.visual_weight,
            temperature=network.temperature,
            pixel_stride=FEATURE_STRIDE,
        )
        yield decoded(network, batch, features, laid)


class PoseLearner(MapsLearner):
    """PSGAN with pose correction, its maps warped in place of the reference."""

    name = "psgan-pose"
    facts: ClassVar[Mapping[str, Any]] = {"warp": "maps"}
    network: PoseCorrectedGenerator

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = PoseCorrectedGenerator(width, warp="maps")
        initialise(self.network, "xavier")

    def passes(self, batch: PairBatch) -> Iterator[Passes]:
        network = self.network
        features = network.encode_source(batch.source.image)
        wearers, lenders = taken(batch.source, batch.wearer), taken(batch.reference, batch.lender)
        grid, mask = pose_correction(wearers, lenders)
        _, *maps = self.maps(batch)
        small = functional.avg_pool2d(mask, FEATURE_STRIDE)
        lent = torch.cat(maps, 1).float()[batch.lender]
        laid = sample(lent, reduce_grid(grid, FEATURE_STRIDE)) * small
        yield decoded(network, batch, features, laid)


def decoded(network: MakeupBranches, batch: PairBatch, features: Tensor, maps: Tensor) -> Passes:
    """All passes of a network with PSGAN's decoder, as one batch."""
    none = maps.new_zeros(len(features), *maps.shape[1:])
    both = torch.cat([maps, none])
    images = network.decode(torch.cat([features[batch.wearer], features]), both[:, :1], both[:, 1:])
    result, nothing = images[: len(maps)], images[len(maps) :]
    wearers = taken(batch.source, batch.wearer)
    return Passes(wearers, result, nothing[batch.wearer], batch.change)


LEARNERS: Mapping[str, type[SystemLearner]] = {
    learner.name: learner
    for learner in (PSGANLearner, PoseLearner, RegionGANLearner, SSATLearner, PortraitLearner)
}
"""Makers of learners, which take the network's width, by name of the system."""
