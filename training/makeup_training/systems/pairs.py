"""Batches of pairs: who lends, who wears, and the change of log light that is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_sdk.faces.light import to_log
from makeup_sdk.makeup.appearance import Appearance
from makeup_training.networks.inputs import FaceBatch
from makeup_training.systems.faces import BARE, PAINTED, WORN, FaceStore
from makeup_training.systems.truth import change_on, lent_by

LIGHT_OFFSET, LIGHT_RANGE = 1.0, 2.4
"""Networks see (log light above the bare skin + offset) / range, cut off at -1 and 1."""

Draw: TypeAlias = tuple[int, bool]
"""A row of the store, and whether the face is mirrored."""

WINDOW = (32, 48, 192)
"""Left, top and side in crop pixels of what the networks see: the face without its surroundings."""

_TAUGHT = np.ones(len(Region), np.float32)
_TAUGHT[[Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS]] = 1.15, 1.7, 1.25, 1.4
"""By region id, times the teacher's change that is taught: small networks make less of it than
they are told, of faint and fine changes most."""


@dataclass(frozen=True)
class Shares:
    """How often faces of a kind are drawn.

    Attributes:
        lent_worn, lent_painted: of those that lend, in real and in painted makeup; the rest is
            bare.
        worn_by_bare: of those that wear; the rest is of any kind.
        oneself: pairs in which a face lends to itself, and nothing changes.
    """

    lent_worn: float = 0.4
    lent_painted: float = 0.5
    worn_by_bare: float = 0.8
    oneself: float = 0.06


@dataclass(frozen=True)
class PairBatch:
    """Every pair of M faces that wear and N faces that lend, on crops of side S: P = M·N pairs.

    Encoders see each face once, which makes a pair half as costly as pairs of new faces.

    Attributes:
        source: M faces that wear; images RGB in [-1, 1], log light (`LIGHT_RANGE`).
        reference: N faces that lend, likewise.
        wearer, lender: int64 (P,), the faces of each pair.
        change: float (P, 3, S, S), RGB: the change of log light that is wanted on the wearer.
        back: float (P, 3, S, S): what takes the lender's makeup off again (`PairSampler.removal`);
            empty unless it is asked for.
    """

    source: FaceBatch
    reference: FaceBatch
    wearer: Tensor
    lender: Tensor
    change: Tensor
    back: Tensor


def taken(faces: FaceBatch, rows: Tensor) -> FaceBatch:
    """Some faces of a batch, in the order of `rows`."""
    return FaceBatch(*(part[rows] for part in faces))


class PairSampler:
    """Draws pairs; batch `step` is a pure function of the seed and the step.

    Args:
        store: the faces.
        size: side S of the crops, 256 or less.
        batch: faces that wear, and faces that lend, in a batch.
        shares: of kinds.
        held: draw among held-back faces instead, whose lenders may be any painted ones of them.
        seed: of all draws.
        back: whether batches have `PairBatch.back`.
    """

    def __init__(
        self,
        store: FaceStore,
        size: int,
        batch: tuple[int, int],
        shares: Shares | None = None,
        *,
        held: bool = False,
        seed: int = 0,
        back: bool = False,
    ) -> None:
        self.store, self.size, self.batch, self.seed = store, size, batch, seed
        self.back = back
        self.shares = shares or Shares()
        usable = np.asarray(store.held) == held
        self.rows = {
            kind: np.flatnonzero(usable & (np.asarray(store.kind) == kind))
            for kind in (BARE, PAINTED, WORN)
        }
        self.all = np.flatnonzero(usable)
        self._lent: dict[int, Appearance | None] = {}

    def __call__(self, step: int) -> PairBatch:
        rng = np.random.default_rng([self.seed, step])
        wearers = [self._wearer(rng) for _ in range(self.batch[0])]
        lenders = [self._lender(rng) for _ in range(self.batch[1])]
        if rng.random() < self.shares.oneself:
            lenders[0] = wearers[0]
        return self.pairs(wearers, lenders)

    def pairs(self, wearers: Sequence[Draw], lenders: Sequence[Draw]) -> PairBatch:
        """All pairs of these faces, each a row of the store and whether it is mirrored."""
        both = [(w, l) for w in wearers for l in lenders]
        count = len(lenders)
        index = torch.arange(len(both))
        return PairBatch(
            stacked([self.face(*face) for face in wearers]),
            stacked([self.face(*face) for face in lenders]),
            index // count,
            index % count,
            _stack([self.change(w[0], l[0], w[1]) for w, l in both]),
            _stack([self.removal(l[0], w[0], l[1]) for w, l in both])
            if self.back
            else torch.empty(0),
        )

    def _wearer(self, rng: np.random.Generator) -> Draw:
        bare = rng.random() < self.shares.worn_by_bare
        return int(rng.choice(self.rows[BARE] if bare else self.all)), bool(rng.random() < 0.5)

    def _lender(self, rng: np.random.Generator) -> Draw:
        kind, lent = rng.random(), BARE
        if kind < self.shares.lent_worn and len(self.rows[WORN]):
            lent = WORN
        elif kind < self.shares.lent_worn + self.shares.lent_painted:
            lent = PAINTED
        return int(rng.choice(self.rows[lent])), bool(rng.random() < 0.5)

    def face(self, row: int, flip: bool) -> tuple[NDArray[np.float32], ...]:
        """Image (3, S, S), regions (S, S) and landmarks (68, 2) of a face, mirrored if asked."""
        store, size = self.store, self.size
        image = light_image(store.crop[row], store.tone(row).over_crop(), size)
        left, top, side = WINDOW
        regions = np.asarray(store.regions[row])[top : top + side, left : left + side]
        regions = np.asarray(
            cv2.resize(regions, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8
        )
        landmarks = (store.landmarks[row] - (left, top) + 0.5) * (size / side) - 0.5
        if flip:
            image, regions = image[:, :, ::-1], regions[:, ::-1]
            landmarks = landmarks[MIRRORED_POINTS]
            landmarks[:, 0] = size - 1 - landmarks[:, 0]
        return (
            np.ascontiguousarray(image),
            np.ascontiguousarray(regions),
            landmarks.astype(np.float32),
        )

    def change(self, wearer: int, lender: int, flip: bool) -> NDArray[np.float32]:
        """float32 (3, S, S), RGB: what changes when a face wears another's makeup."""
        store = self.store
        if wearer == lender:
            return np.zeros((3, self.size, self.size), np.float32)
        if lender not in self._lent:
            self._lent[lender] = lent_by(store.face(lender))
        change = change_on(store.face(wearer), self._lent[lender])
        return self.cut(change * _TAUGHT[store.regions[wearer]][..., None], flip)

    def removal(self, wearer: int, lender: int, flip: bool) -> NDArray[np.float32]:
        """float32 (3, S, S), RGB: what takes a face back to its own bare one, where it is known.

        Of other faces, what changes when it wears the bare face's appearance.
        """
        store, bare = self.store, int(self.store.person[wearer])
        if store.kind[wearer] != PAINTED:
            return self.change(wearer, lender, flip)
        return self.cut(to_log(store.crop[bare]) - to_log(store.crop[wearer]), flip)

    def cut(self, values: NDArray[np.float32], flip: bool) -> NDArray[np.float32]:
        """Maps of the crop (C, C, 3), BGR, as the networks see them: (3, S, S), RGB."""
        left, top, side = (value * len(values) // CROP_SIZE for value in WINDOW)
        values = values[top : top + side, left : left + side]
        if self.size != side:
            values = cv2.resize(values, (self.size, self.size), interpolation=cv2.INTER_AREA)
        if flip:
            values = values[:, ::-1]
        return np.ascontiguousarray(values[..., ::-1].transpose(2, 0, 1))


def lent_image(faces: FaceBatch) -> Tensor:
    """Images (B, 3, S, S) of faces that lend: bare skin where they show no region.

    A cell at the hairline would lend the hair's colour else. As `LightView.reference` has it.
    """
    off = functional.max_pool2d((faces.regions == 0)[:, None].to(faces.image.dtype), 3, 1, 1)
    return faces.image * (1 - off) + off * (LIGHT_OFFSET / LIGHT_RANGE)


def light_image(
    crop: NDArray[np.uint8], skin: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """A crop as the networks see it: float32 (3, S, S), RGB in [-1, 1], its own light taken out.

    Args:
        crop: uint8 (256, 256, 3), BGR.
        skin: float32 (256, 256, 3), log light of the bare skin.
        size: side S.
    """
    left, top, side = WINDOW
    window = np.s_[top : top + side, left : left + side]
    area = {"dsize": (size, size), "interpolation": cv2.INTER_AREA}
    crop = np.asarray(cv2.resize(crop[window], **area), np.uint8)
    skin = cv2.resize(skin[window], **area)
    relative = (to_log(crop) - skin + LIGHT_OFFSET) / LIGHT_RANGE
    return np.clip(relative[..., ::-1].transpose(2, 0, 1), -1, 1)


def _stack(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def stacked(faces: list[tuple[NDArray[np.float32], ...]]) -> FaceBatch:
    """Faces of `PairSampler.face` as one batch."""
    return FaceBatch(*(torch.from_numpy(np.stack(part)) for part in zip(*faces, strict=True)))
