"""SSAT in training: transfer and removal by turns; a look of nothing has makeup features of 0."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from makeup_sdk.faces.parsing import face_classes
from makeup_training.data.parsing_classes import from_mt
from makeup_training.losses.supervised import semantic_correspondence
from makeup_training.networks.blocks import initialise
from makeup_training.networks.inputs import FaceBatch, one_hot
from makeup_training.networks.ssat import PARSING_CLASSES, SSATGenerator, warp
from makeup_training.systems.faces import FaceStore
from makeup_training.systems.learner import Learner, Passes
from makeup_training.systems.pairs import PairBatch, PairSampler, taken

_SEMANTIC = 5.0


class SSATLearner(Learner):
    """Both directions share encoders and decoder; a step trains one of them."""

    name = "ssat"

    def __init__(self, width: int) -> None:
        self.network: SSATGenerator = SSATGenerator(width)
        initialise(self.network, "xavier")
        self._removal = False
        self._terms: dict[str, Tensor] = {}

    def sampler(
        self, store: FaceStore, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> PairSampler:
        return PairSampler(store, size, batch, held=held, back=True)

    def passes(self, batch: PairBatch) -> Iterator[Passes]:
        network = self.network
        faces = batch.source, batch.reference
        pairs = batch.wearer, batch.lender
        parsings = [parsing_planes(face) for face in faces]
        contents, fused = zip(
            *(network.encode(f.image, p) for f, p in zip(faces, parsings, strict=True)),
            strict=True,
        )
        joined = (part[rows] for part, rows in zip(fused, pairs, strict=True))
        correspondences = network.enc_trans.correspondences(*joined, network.softmax_dim)
        wearer = int(self._removal)
        self._removal = not self._removal
        lender = 1 - wearer
        found = correspondences[wearer]
        lent = network.encode_makeup(faces[lender].image)[pairs[lender]]
        makeup = warp(lent, found)
        content, rows = contents[wearer], pairs[wearer]
        none = makeup.new_zeros(len(content), *makeup.shape[1:])
        images = network.gen(torch.cat([content[rows], content]), torch.cat([makeup, none]))
        semantic = semantic_correspondence(
            parsings[wearer][rows], parsings[lender][pairs[lender]], found.float()
        )
        self._terms = {"semantic": _SEMANTIC * semantic}
        result, nothing = images[: len(rows)], images[len(rows) :]
        change = (batch.change, batch.back)[wearer]
        yield Passes(taken(faces[wearer], rows), result, nothing[rows], change)

    def extra_terms(self) -> dict[str, Tensor]:
        return self._terms


def parsing_planes(faces: FaceBatch) -> Tensor:
    """One-hot parsings (B, 18, S, S) as the engine draws them from landmarks and regions."""
    classes = [
        face_classes(points.numpy(), regions.numpy())
        for regions, points in zip(faces.regions, faces.landmarks, strict=True)
    ]
    labels = np.stack([from_mt(c, "raw19") for c in classes])
    return one_hot(torch.from_numpy(labels), PARSING_CLASSES)
