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
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.faces.skin_light import CheekLight
from makeup_sdk.makeup.appearance import EXPOSURE_SHARE, Appearance
from makeup_training.networks.inputs import FaceBatch
from makeup_training.systems.faces import BARE, MADE_UP, PAINTED, FaceStore
from makeup_training.systems.truth import REGIONS, appearance_of, change_on

LIGHT_OFFSET, LIGHT_RANGE = 1.0, 2.4
"""Networks see (log light above the bare skin + offset) / range, cut off at -1 and 1."""

LAB_UNIT = 25.0
"""CIELAB that counts as 1 of log light does, for networks that see colours as `mobile` does."""

Draw: TypeAlias = tuple[int, bool]
"""A row of the store, and whether the face is mirrored."""

WINDOW = (32, 48, 192)
"""Left, top and side in crop pixels of what the networks see: the face without its surroundings."""

_TAUGHT = np.ones(len(Region), np.float32)
_TAUGHT[[Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS]] = 1.25, 1.55, 1.4, 1.3
"""By region id, times the teacher's change that is taught: small networks make less of it than
they are told, of faint and fine changes most.

One over the arrival of a trained `psgan` against the teacher's own change (`check`), from made-up
photos of the training on held-back faces: 0.81, 0.64, 0.71 and 0.78.
"""

_ALIKE = 6
"""Bare faces of the nearest skin, whose mean look is what a real made-up face is brought to."""


@dataclass(frozen=True)
class Shares:
    """How often faces of a kind are drawn.

    Attributes:
        made_up_references, painted_references: references in real and in painted makeup; the
            other references are bare.
        bare_sources: bare source faces; the others are of any kind.
        oneself: pairs in which a face lends to itself, and nothing changes.
        own_bare: batches in which a painted face meets its own bare one.
    """

    made_up_references: float = 0.4
    painted_references: float = 0.5
    bare_sources: float = 0.8
    oneself: float = 0.06
    own_bare: float = 0.0


TAKEN_OFF = Shares(made_up_references=0.2, painted_references=0.65, bare_sources=1.0, own_bare=0.25)
"""Of removal, where bare faces lend their skin and the others lose their makeup."""


@dataclass(frozen=True)
class PairBatch:
    """Every pair of M source and N reference faces, on crops of side S: P = M·N pairs.

    Encoders see each face once, which makes a pair half as costly as pairs of new faces.

    Attributes:
        source: M faces; images RGB in [-1, 1], log light (`LIGHT_RANGE`).
        reference: N faces, likewise.
        source_rows, reference_rows: int64 (P,), the faces of each pair.
        removal: whether the reference is to lose its makeup, in place of the source getting it.
        change: float (P, 3, S, S), RGB: the change of log light that is wanted on the source, or,
            in removal, on the reference.
    """

    source: FaceBatch
    reference: FaceBatch
    source_rows: Tensor
    reference_rows: Tensor
    change: Tensor
    removal: bool


def taken(faces: FaceBatch, rows: Tensor) -> FaceBatch:
    """Some faces of a batch, in the order of `rows`."""
    return FaceBatch(*(part[rows] for part in faces))


class PairSampler:
    """Draws pairs; batch `step` is a pure function of the seed and the step.

    Args:
        store: the faces.
        size: side S of the crops, 256 or less.
        batch: faces that wear, and faces that lend, in a batch.
        shares: of kinds; default `Shares()`, and `TAKEN_OFF` for removal.
        held: draw among held-back faces instead, whose references may be any painted ones of them.
        seed: of all draws.
        removal: whether every second batch is of removal.
        lab: whether images and changes are CIELAB relative to the cheeks, over `LAB_UNIT`, in
            place of log light. What is taught depends on the skin's own shade in log light, which
            the image does not show there; not so in CIELAB, where it is a difference of colours.
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
        removal: bool = False,
        lab: bool = False,
    ) -> None:
        self.store, self.size, self.batch, self.seed = store, size, batch, seed
        self.removal, self.lab = removal, lab
        self.shares = shares or Shares(), shares or TAKEN_OFF
        usable = np.asarray(store.held) == held
        self.rows = {
            kind: np.flatnonzero(usable & (np.asarray(store.kind) == kind))
            for kind in (BARE, PAINTED, MADE_UP)
        }
        self.all = np.flatnonzero(usable)
        self._lent: dict[int, Appearance | None] = {}
        self._bare: dict[int, Appearance | None] = {}
        self._visible = self._visibility() if removal else None

    def __call__(self, step: int) -> PairBatch:
        rng = np.random.default_rng([self.seed, step])
        removal = self.removal and step % 2 == 1
        shares = self.shares[removal]
        sources = [self._source(rng, shares) for _ in range(self.batch[0])]
        references = [self._reference(rng, shares) for _ in range(self.batch[1])]
        if rng.random() < shares.oneself:
            references[0] = sources[0]
        painted = [row for row, _ in references if self.store.kind[row] == PAINTED]
        if painted and rng.random() < shares.own_bare:
            sources[0] = int(self.store.person[painted[0]]), sources[0][1]
        return self.pairs(sources, references, removal=removal)

    def pairs(
        self, sources: Sequence[Draw], references: Sequence[Draw], *, removal: bool = False
    ) -> PairBatch:
        """All pairs of these faces, each a row of the store and whether it is mirrored."""
        both = [(s, r) for s in sources for r in references]
        count = len(references)
        index = torch.arange(len(both))
        return PairBatch(
            stacked([self.face(*face, lends=removal) for face in sources]),
            stacked([self.face(*face, lends=not removal) for face in references]),
            index // count,
            index % count,
            _stack(
                [self.taken_off(*l) for _, l in both]
                if removal
                else [self.change(s[0], r[0], s[1]) for s, r in both]
            ),
            removal,
        )

    def _source(self, rng: np.random.Generator, shares: Shares) -> Draw:
        bare = rng.random() < shares.bare_sources
        return int(rng.choice(self.rows[BARE] if bare else self.all)), bool(rng.random() < 0.5)

    def _reference(self, rng: np.random.Generator, shares: Shares) -> Draw:
        kind, lent = rng.random(), BARE
        if kind < shares.made_up_references and len(self.rows[MADE_UP]):
            lent = MADE_UP
        elif kind < shares.made_up_references + shares.painted_references:
            lent = PAINTED
        odds = self._visible if shares is self.shares[1] and lent == PAINTED else None
        return int(rng.choice(self.rows[lent], p=odds)), bool(rng.random() < 0.5)

    def _visibility(self) -> NDArray[np.float64]:
        """Odds of the painted faces in removal: the mean difference of lips and lids from bare."""
        store, found = self.store, []
        for row in self.rows[PAINTED]:
            made_up = np.isin(store.regions[row], (Region.LIPS, Region.EYES))
            bare = store.crop[store.person[row]][made_up].astype(np.float32)
            found.append(float(np.abs(store.crop[row][made_up] - bare).mean()) if len(bare) else 0)
        total = np.asarray(found, np.float64) + 1e-3
        return total / total.sum()

    def face(self, row: int, flip: bool, *, lends: bool = False) -> tuple[NDArray[np.float32], ...]:
        """Image (3, S, S), regions (S, S) and landmarks (68, 2) of a face, mirrored if asked."""
        store, size = self.store, self.size
        if self.lab:
            share = EXPOSURE_SHARE if lends else 1.0
            light = CheekLight.measure(store.crop[row], store.regions[row], share)
            image = lab_image(store.crop[row], light, size)
        else:
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

    def change(self, source: int, reference: int, flip: bool) -> NDArray[np.float32]:
        """float32 (3, S, S), RGB: what changes when a face wears another's makeup."""
        store = self.store
        if source == reference:
            return np.zeros((3, self.size, self.size), np.float32)
        change = change_on(store.face(source), self._appearance_of(reference))
        if self.lab:
            return self._lab_change(source, from_log(to_log(store.crop[source]) + change), flip)
        return self.cut(change * _TAUGHT[store.regions[source]][..., None], flip)

    def taken_off(self, row: int, flip: bool) -> NDArray[np.float32]:
        """float32 (3, S, S), RGB: what takes a face's makeup off, whoever lends the bare skin.

        A painted face goes back to its own bare one, a bare one stays. Real makeup hides what is
        below it: such a face comes to wear the mean look of bare faces of like skin.
        """
        store = self.store
        if store.kind[row] == BARE:
            return np.zeros((3, self.size, self.size), np.float32)
        if store.kind[row] == PAINTED:
            bare = int(store.person[row])
            if self.lab:
                return self._lab_change(row, store.crop[bare], flip)
            return self.cut(to_log(store.crop[bare]) - to_log(store.crop[row]), flip)
        if row not in self._bare:
            self._bare[row] = self._bare_look(row)
        change = change_on(store.face(row), self._bare[row])
        if self.lab:
            return self._lab_change(row, from_log(to_log(store.crop[row]) + change), flip)
        return self.cut(change, flip)

    def _lab_change(self, row: int, after: NDArray[np.uint8], flip: bool) -> NDArray[np.float32]:
        """What leads from a face's crop to another of it, (3, S, S) in CIELAB over `LAB_UNIT`."""
        before, regions = self.store.crop[row], self.store.regions[row]
        light = CheekLight.measure(before, regions)
        change = light.relative(light.lab(after)) - light.relative(light.lab(before))
        return self.cut(change[..., ::-1] * np.float32(1 / LAB_UNIT), flip)

    def _appearance_of(self, row: int) -> Appearance | None:
        if row not in self._lent:
            self._lent[row] = appearance_of(self.store.face(row))
        return self._lent[row]

    def _bare_look(self, row: int) -> Appearance | None:
        """The mean appearance of the bare faces whose skin is nearest in log light."""
        store, rows = self.store, self.rows[BARE]
        away = np.linalg.norm(store.skin_mean[rows] - store.skin_mean[row], axis=1)
        found = [self._appearance_of(int(rows[near])) for near in np.argsort(away)[:_ALIKE]]
        alike = [(look, 1.0) for look in found if look is not None]
        return Appearance.mix(dict.fromkeys(REGIONS, alike)) if alike else None

    def cut(self, values: NDArray[np.float32], flip: bool) -> NDArray[np.float32]:
        """Maps of the crop (C, C, 3), BGR, as the networks see them: (3, S, S), RGB."""
        left, top, side = (value * len(values) // CROP_SIZE for value in WINDOW)
        values = values[top : top + side, left : left + side]
        if self.size != side:
            values = cv2.resize(values, (self.size, self.size), interpolation=cv2.INTER_AREA)
        if flip:
            values = values[:, ::-1]
        return np.ascontiguousarray(values[..., ::-1].transpose(2, 0, 1))


def reference_image(faces: FaceBatch, skin: float) -> Tensor:
    """Images (B, 3, S, S) of faces that lend: bare skin where they show no region.

    A cell at the hairline would lend the hair's colour else. As `View.reference` has it.

    Args:
        faces: that lend.
        skin: value of bare skin.
    """
    off = functional.max_pool2d((faces.regions == 0)[:, None].to(faces.image.dtype), 3, 1, 1)
    return faces.image * (1 - off) + off * skin


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


def lab_image(crop: NDArray[np.uint8], light: CheekLight, size: int) -> NDArray[np.float32]:
    """A crop in CIELAB relative to its cheeks: float32 (3, S, S), L*, a*, b* in [-1, 1].

    Args:
        crop: uint8 (256, 256, 3), BGR.
        light: that it stands in.
        size: side S.
    """
    left, top, side = WINDOW
    window = crop[top : top + side, left : left + side]
    small = np.asarray(cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    relative = light.relative(light.lab(small)) / np.float32(LAB_UNIT * LIGHT_RANGE)
    return np.clip(relative.transpose(2, 0, 1), -1, 1)


def _stack(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def stacked(faces: list[tuple[NDArray[np.float32], ...]]) -> FaceBatch:
    """Faces of `PairSampler.face` as one batch."""
    return FaceBatch(*(torch.from_numpy(np.stack(part)) for part in zip(*faces, strict=True)))
