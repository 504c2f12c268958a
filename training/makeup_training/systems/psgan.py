"""PSGAN and its pose-corrected kin in training: a pass with the look, and one with none."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from makeup_training.networks.attention import attentive_morph
from makeup_training.networks.blocks import ResidualBlock, initialise
from makeup_training.networks.inputs import FEATURE_STRIDE, feature_regions
from makeup_training.networks.psgan import MakeupBranches, PSGANGenerator
from makeup_training.networks.psgan_pose import PoseCorrectedGenerator, pose_correction
from makeup_training.networks.warp import reduce_grid, sample
from makeup_training.systems.copies import COLORS, SIGNS, SMALL, carry
from makeup_training.systems.learner import Learner, Passes
from makeup_training.systems.pairs import PairBatch, reference_image, taken

MAPS = 3
"""Channels of gamma and of beta."""

GAINS = {"transfer": {"skin": 1.2}}
"""Times the shipped network's change: faint changes of skin come out too small. Least is left with
1.33, but pale faces turn red."""

_TOLD = 0.3
"""Weight of what beta is told to be."""


class MapsLearner(Learner):
    """A network with PSGAN's branches; a look of nothing has maps of zeros.

    Beta is told what to be, the reference's colour; gamma finds its meaning.
    """

    lab: ClassVar[bool] = True
    facts: ClassVar[Mapping[str, Any]] = {"maps": MAPS, "gains": GAINS}
    branches: MakeupBranches

    def __init__(self) -> None:
        self._terms: dict[str, Tensor] = {}

    def extra_terms(self) -> dict[str, Tensor]:
        return self._terms

    def maps(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Features, gamma and beta of the references, whose distance to their truth is kept."""
        image = reference_image(batch.reference, self.bare_skin)
        regions = batch.reference.regions
        features, gamma, beta = self.branches.encode_reference(image)
        cells = feature_regions(regions)
        alike = (
            regions
            == cells.repeat_interleave(FEATURE_STRIDE, 1).repeat_interleave(FEATURE_STRIDE, 2)
        ) & (regions > 0)
        alike = alike[:, None].to(image.dtype)
        share = functional.avg_pool2d(alike, FEATURE_STRIDE)
        color = functional.avg_pool2d(image * alike, FEATURE_STRIDE) / share.clamp(min=0.01)
        error = (beta.float() - color).abs() * (share > 0)
        self._terms = {"maps": _TOLD * error.sum() / (share > 0).sum()}
        return features, gamma, beta


class PSGANLearner(MapsLearner):
    """PSGAN."""

    name = "psgan"
    branches: PSGANGenerator

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = self.branches = PSGANGenerator(width, MAPS)
        start(self.branches)

    def passes(self, batch: PairBatch) -> Iterator[Passes]:
        features = self.branches.encode_source(batch.source.image)
        yield decoded(self.branches, batch, features, self.laid(batch, features))

    def laid(self, batch: PairBatch, features: Tensor) -> Tensor:
        """Gamma and beta of each pair, (P, 2·maps, h, w), from the source's features."""
        network = self.branches
        keys, *maps = self.maps(batch)
        sources, references = (
            taken(batch.source, batch.source_rows),
            taken(batch.reference, batch.reference_rows),
        )
        return attentive_morph(
            features[batch.source_rows],
            keys[batch.reference_rows],
            sources.landmarks,
            references.landmarks,
            feature_regions(sources.regions),
            feature_regions(references.regions),
            torch.cat(maps, 1)[batch.reference_rows],
            visual_weight=network.visual_weight,
            temperature=network.temperature,
            pixel_stride=FEATURE_STRIDE,
        )


class PoseLearner(MapsLearner):
    """PSGAN with pose correction, its maps warped in place of the reference."""

    name = "psgan-pose"
    facts: ClassVar[Mapping[str, Any]] = {"maps": MAPS, "warp": "maps", "gains": GAINS}
    branches: PoseCorrectedGenerator

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = self.branches = PoseCorrectedGenerator(width, MAPS, warp="maps")
        start(self.branches)

    def passes(self, batch: PairBatch) -> Iterator[Passes]:
        network = self.branches
        features = network.encode_source(batch.source.image)
        sources, references = (
            taken(batch.source, batch.source_rows),
            taken(batch.reference, batch.reference_rows),
        )
        grid, mask = pose_correction(sources, references)
        _, *maps = self.maps(batch)
        small = functional.avg_pool2d(mask, FEATURE_STRIDE)
        lent = torch.cat(maps, 1).float()[batch.reference_rows]
        laid = sample(lent, reduce_grid(grid, FEATURE_STRIDE)) * small
        yield decoded(network, batch, features, laid)


def start(network: MakeupBranches) -> None:
    """Fill a network, in place, so that it copies colours from the first step on.

    The first six channels of each stage carry the picture's colours, the positive and the negative
    part of each, smoothed as resolution falls. Gamma takes those of the source away, beta puts the
    reference's in their place, and the last layers show them. All else is random, residual
    branches and last layer small.
    """
    initialise(network, "kaiming")
    delta, half = torch.zeros(7, 7), torch.full((4, 4), 1 / 16)
    delta[2:5, 2:5] = 1 / 9
    steps = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ResidualBlock):
                module.main[3].weight *= SMALL
                module.main[3].weight[:COLORS] = 0
        for first, *downs in (
            (network.pnet_in[0], network.pnet_down_1[0], network.pnet_down_2[0]),
            (network.tnet_in_conv, network.tnet_down_conv_1, network.tnet_down_conv_2),
        ):
            carry(first.weight, delta, SIGNS[:, :3])
            for down in downs:
                carry(down.weight, half, torch.eye(COLORS))
        for up in (network.tnet_up_conv_1, network.tnet_up_conv_2):
            carry(up.weight.transpose(0, 1), steps[:, None] * steps, SIGNS @ SIGNS.t())
        network.tnet_out[0].weight *= SMALL
        carry(network.tnet_out[0].weight, delta, SIGNS.t())
        spade = network.simple_spade
        spade["get_gamma"].weight *= SMALL
        spade["get_gamma"].bias[0] = 1
        spade["get_beta"].weight.zero_()
        spade["get_beta"].weight[:, :COLORS, 0, 0] = SIGNS.t()
        spade["spread_gamma"].weight[:COLORS] = 0
        spade["spread_gamma"].weight[:COLORS, 0] = -1
        spade["spread_beta"].weight[:COLORS] = 0
        spade["spread_beta"].weight[:MAPS, :, 0, 0] = torch.eye(MAPS)


def decoded(network: MakeupBranches, batch: PairBatch, features: Tensor, maps: Tensor) -> Passes:
    """All passes of a network with PSGAN's decoder, as one batch."""
    none = maps.new_zeros(len(features), *maps.shape[1:])
    both = torch.cat([maps, none])
    images = network.decode(torch.cat([features[batch.source_rows], features]), *both.chunk(2, 1))
    result, nothing = images[: len(maps)], images[len(maps) :]
    sources = taken(batch.source, batch.source_rows)
    return Passes(sources, result, nothing[batch.source_rows], batch.change)
