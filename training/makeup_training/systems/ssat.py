"""SSAT in training: batches of transfer or of removal; a look of nothing has makeup features of 0.

Both directions share encoders and decoder.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from makeup_sdk.faces.parsing import PLACE_PLANES, face_classes, place_planes
from makeup_training.data.parsing_classes import from_mt
from makeup_training.losses.supervised import semantic_correspondence
from makeup_training.networks.blocks import initialise
from makeup_training.networks.inputs import FaceBatch, one_hot
from makeup_training.networks.ssat import PARSING_CLASSES, SSATGenerator, warp
from makeup_training.networks.ssat_phases import decode
from makeup_training.systems.copies import COLORS, SIGNS, SMALL, carry
from makeup_training.systems.faces import FaceStore
from makeup_training.systems.learner import Learner, Passes
from makeup_training.systems.pairs import PairBatch, PairSampler, reference_image, taken

_SEMANTIC = 5.0
_LEAK = 1.2
"""What is left of c in the difference of the leaky ReLUs of c and of -c, over c."""
_PLACES = 4
_PARTS = ((12, 13), (2, 3), (4, 5, 11), (0, 17))
"""Lips, brows, what is open, and what is no face, as classes of face-parsing.PyTorch."""


GAINS = {"transfer": {"skin": 1.2}, "removal": {"eyes": 1.7}}
"""Times the shipped network's change: faint changes come out too small (`psgan.GAINS`), and with
that of removal least is left on faces that were held back (`benchmarks/system_gains.py`)."""


class SSATLearner(Learner):
    """One network for both directions; the batch says which."""

    name = "ssat"
    layout = torch.contiguous_format
    lab = True
    facts: ClassVar[Mapping[str, Any]] = {"normalised": False, "gains": GAINS}

    def __init__(self, width: int) -> None:
        self.network: SSATGenerator = SSATGenerator(width, normalised=False)
        start(self.network)
        self._terms: dict[str, Tensor] = {}

    def sampler(
        self, store: FaceStore, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> PairSampler:
        return PairSampler(store, size, batch, held=held, removal=True, lab=self.lab)

    def passes(self, batch: PairBatch) -> Iterator[Passes]:
        network = self.network
        faces = batch.source, batch.reference
        pairs = batch.source_rows, batch.reference_rows
        source = int(batch.removal)
        reference = 1 - source
        images = [face.image for face in faces]
        images[reference] = reference_image(faces[reference], self.bare_skin)
        parsings = [parsing_planes(face) for face in faces]
        contents, fused = zip(
            *(network.encode(i, p) for i, p in zip(images, parsings, strict=True)), strict=True
        )
        joined = (part[rows] for part, rows in zip(fused, pairs, strict=True))
        correspondences = network.enc_trans.correspondences(*joined, network.softmax_dim)
        found = correspondences[source]
        lent = network.encode_makeup(images[reference])[pairs[reference]]
        makeup = warp(lent, found)
        content, rows = contents[source], pairs[source]
        none = makeup.new_zeros(len(content), *makeup.shape[1:])
        decoded = decode(
            network.gen, torch.cat([content[rows], content]), torch.cat([makeup, none])
        )
        semantic = semantic_correspondence(
            parsings[source][rows], parsings[reference][pairs[reference]], found.float()
        )
        self._terms = {"semantic": _SEMANTIC * semantic}
        result, nothing = decoded[: len(rows)], decoded[len(rows) :]
        yield Passes(taken(faces[source], rows), result, nothing[rows], batch.change)

    def extra_terms(self) -> dict[str, Tensor]:
        return self._terms


def start(network: SSATGenerator) -> None:
    """Fill a network, in place, so that it copies colours from the first step on.

    The first six channels of each stage carry the picture's colours and their negatives. Makeup
    features have a channel that is 1, so that the second SPADE block knows where there is makeup:
    it takes the content's own colours away there and puts those of the makeup in their place.
    Cells correspond that lie at like places of the face and are of like parts.
    """
    initialise(network, "kaiming")
    leak = SIGNS @ SIGNS.t() / _LEAK  # of a colour c: what c and -c after a leaky ReLU give back
    mean, delta = torch.full((3, 3), 1 / 9), torch.zeros(3, 3)
    delta[1, 1] = 1
    sharp, tent = torch.zeros(7, 7), torch.tensor([1.0, 2, 3, 4, 3, 2, 1]) / 16
    sharp[2:5, 2:5] = 1 / 9
    decoder, one = network.gen, COLORS
    with torch.no_grad():
        for encoder in (network.enc_c, network.enc_a):
            carry(encoder.conv1.weight, sharp, SIGNS[:, :3])
            carry(encoder.conv2.weight, mean, leak)
            carry(encoder.conv3.weight, mean, leak)
        network.enc_a.conv3.weight[one] = 0
        network.enc_a.conv3.bias[one] = 1
        for block in (decoder.SPADE1, decoder.SPADE2, decoder.SPADE3):
            block.conv_1.weight *= SMALL
            block.conv_1.weight[:COLORS] = 0
            for norm in block.norms:
                norm.mlp_gamma.weight *= SMALL
                norm.mlp_beta.weight *= SMALL
            if block.learned_shortcut:
                carry(block.conv_s.weight, torch.ones(1, 1), torch.eye(COLORS))
                block.norm_s.mlp_gamma.weight[:COLORS] = 0
                block.norm_s.mlp_beta.weight[:COLORS] = 0
        swap = decoder.SPADE2.norm_s
        shared = swap.mlp_shared[0].weight
        carry(shared, delta, leak)
        shared[one] = 0
        shared[one, one] = delta
        swap.mlp_gamma.weight[:COLORS, one] = -delta
        halves = torch.eye(COLORS) - 0.2 * torch.eye(COLORS).roll(COLORS // 2, 0)
        swap.mlp_beta.weight[:COLORS, :COLORS] = halves[..., None, None] * delta
        decoder.img_conv.weight *= SMALL
        carry(decoder.img_conv.weight, tent[:, None] * tent, SIGNS.t() / _LEAK)
        _start_correspondence(network)


def _start_correspondence(network: SSATGenerator) -> None:
    """Planes of places and parts go through to the projections, places with either sign."""
    encoder, count = network.enc_s, len(_PARTS)
    sharp, mean = torch.zeros(7, 7), torch.full((3, 3), 1 / 9)
    sharp[3, 3] = 1
    encoder.conv1.weight[: _PLACES + count] = 0
    for channel, plane in enumerate(range(*PLACE_PLANES.indices(PARSING_CLASSES))):
        encoder.conv1.weight[channel, plane] = sharp
    for channel, classes in enumerate(_PARTS, _PLACES):
        encoder.conv1.weight[channel, list(classes)] = sharp
    known = torch.eye(_PLACES + count)
    carry(encoder.conv2.weight, mean, known)
    carry(encoder.conv3.weight, mean, known)
    for name in ("fa_conv", "fb_conv"):
        layer = network.enc_trans.atte[name].model[1]
        first = layer.weight.shape[1] - 2 * network.width
        layer.weight *= SMALL
        layer.weight[: 2 * _PLACES + count] = 0
        for place in range(_PLACES):
            for row, sign in ((place, 1.0), (_PLACES + place, -1.0)):
                layer.weight[row, first + place] = 2 * sign
                layer.bias[row] = -sign
        for part in range(count):
            layer.weight[2 * _PLACES + part, first + _PLACES + part] = 1


def parsing_planes(faces: FaceBatch) -> Tensor:
    """One-hot parsings (B, 18, S, S) as the engine draws them from landmarks and regions."""
    classes = [
        face_classes(points.numpy(), regions.numpy())
        for regions, points in zip(faces.regions, faces.landmarks, strict=True)
    ]
    labels = np.stack([from_mt(c, "raw19") for c in classes])
    planes = one_hot(torch.from_numpy(labels), PARSING_CLASSES)
    for number, points in enumerate(faces.landmarks):
        places = place_planes(points.numpy(), planes.shape[-1])
        planes[number, PLACE_PLANES] = torch.from_numpy(places)
    return planes
