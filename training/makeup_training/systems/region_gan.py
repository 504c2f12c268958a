"""Training of the region-sensitive GAN: six named styles, from any style to any other."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from makeup_kernels import Region
from makeup_training.data.parsing_classes import region_gan_classes
from makeup_training.networks.blocks import initialise
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.region_gan import LabelLayout, MaskNetwork, StyledRegionGenerator
from makeup_training.systems.learner import Learner, Passes
from makeup_training.systems.pairs import LIGHT_RANGE
from makeup_training.systems.styles import STYLES, StyleFaces

_BITS = (Region.EYES, Region.LIPS, Region.SKIN)
_MASKS = 0.1
_SQUARES = {Region.LIPS: 1.0, Region.EYES: 2.5, Region.SKIN: 2.0}
_STYLED, _PARTLY, _EASY = 0.5, 0.4, 500
"""Probability that a face already has a style, and that only some regions are requested; and the
steps over which both rise to this. At first all faces are bare: otherwise the network learns to
change nothing."""
_REMOVED = 0.4
"""Extra probability that the target of a styled face is bare skin."""
_STILL = 0.1
"""Probability that the target of a bare face may be bare. If more often, or from the start, the
network learns to change nothing for that style, and never removes makeup."""
_COVER = -1.0
"""Bias of the cover at first, before its sigmoid."""
_CAST, _EXPOSURE = 0.04, 0.06
"""Spread of the residual light in the pictures, of each channel and of all together."""


@dataclass(frozen=True)
class StyleBatch:
    """B faces in a style, and a target style for some of their regions.

    Attributes:
        face: images RGB in [-1, 1], log light (`LIGHT_RANGE`); without landmarks.
        label: float (B, L): the target.
        change: float (B, 3, S, S): the target change of log light.
        classes: uint8 (B, S, S): targets of the mask network.
    """

    face: FaceBatch
    label: Tensor
    change: Tensor
    classes: Tensor


@dataclass(frozen=True)
class Asked:
    """One face of a batch.

    Attributes:
        row: index of the face.
        own, style: numbers of its style and of its target style.
        bits: int64 (3,), of eyes, lips and skin.
        flip: whether it is mirrored.
    """

    row: int
    own: int
    style: int
    bits: NDArray[np.int64]
    flip: bool = False


class StyleSampler:
    """Draws faces in styles; batch `step` is a pure function of the step.

    Args:
        faces: faces in all styles.
        size: side S of the crops.
        batch: number of faces B.
        held: draw held-back faces.
    """

    def __init__(self, faces: StyleFaces, size: int, batch: int, *, held: bool = False) -> None:
        self.faces, self.size, self.batch = faces, size, batch
        self.layout = LabelLayout(len(STYLES))
        self.rows = np.flatnonzero(np.asarray(faces.held) == held)

    def __call__(self, step: int) -> StyleBatch:
        rng = np.random.default_rng([7, step])
        ease = min(1.0, step / _EASY)
        return self.of([self._drawn(rng, ease) for _ in range(self.batch)], rng)

    def _drawn(self, rng: np.random.Generator, ease: float) -> Asked:
        own = 0 if rng.random() >= _STYLED * ease else int(rng.integers(len(STYLES)))
        bits = np.ones(3, np.int64) if rng.random() >= _PARTLY * ease else rng.integers(0, 2, 3)
        row, style = int(rng.choice(self.rows)), int(rng.integers(len(STYLES)))
        if own and rng.random() < _REMOVED:
            style = 0
        elif not own and rng.random() >= _STILL * ease:
            style = int(rng.integers(1, len(STYLES)))
        return Asked(row, own, style, bits, bool(rng.random() < 0.5))

    def of(self, asked: list[Asked], rng: np.random.Generator | None = None) -> StyleBatch:
        """A batch of these faces; `rng` varies the residual light in the pictures."""
        images, regions, changes = [], [], []
        for one in asked:
            image, there, change = (self._cut(part, one.flip) for part in self._styled(one))
            if rng is not None:
                image += (rng.normal(0, _CAST, (3, 1, 1)) + rng.normal(0, _EXPOSURE)) / LIGHT_RANGE
            images.append(np.clip(image, -1, 1).astype(np.float32))
            regions.append(there[0].astype(np.uint8))
            changes.append(change)
        label = self.layout.makeup(
            torch.tensor([one.style for one in asked]),
            torch.from_numpy(np.stack([one.bits for one in asked])),
        )
        face = FaceBatch(
            torch.from_numpy(np.stack(images)),
            torch.from_numpy(np.stack(regions)),
            torch.zeros(len(asked), 68, 2),
        )
        classes = np.stack([region_gan_classes(one) for one in regions])
        return StyleBatch(
            face, label, torch.from_numpy(np.stack(changes)), torch.from_numpy(classes)
        )

    def _styled(self, one: Asked) -> tuple[NDArray[np.float32], ...]:
        """Image (3, 96, 96), regions (1, 96, 96) and target change (3, 96, 96)."""
        faces = self.faces
        regions = np.asarray(faces.regions[one.row])
        chosen = np.zeros(len(Region), np.float32)
        chosen[list(_BITS)] = one.bits
        light = faces.light[one.row]
        change = light[one.style].astype(np.float32) - light[one.own]
        image = faces.image[one.row, one.own].astype(np.float32)
        return image, regions[None].astype(np.float32), change * chosen[regions]

    def _cut(self, planes: NDArray[np.float32], flip: bool) -> NDArray[np.float32]:
        if planes.shape[-1] != self.size:
            how = cv2.INTER_NEAREST if len(planes) == 1 else cv2.INTER_AREA
            side = (self.size, self.size)
            planes = np.stack([cv2.resize(plane, side, interpolation=how) for plane in planes])
        return np.ascontiguousarray(planes[:, :, ::-1] if flip else planes)


class RegionMakeupNetwork(nn.Module):
    """Generator and mask network together."""

    def __init__(self, layout: LabelLayout, width: int) -> None:
        super().__init__()
        self.generator = StyledRegionGenerator(layout.channels, width)
        self.masks = MaskNetwork(width)


def _squares(change: Tensor, batch: StyleBatch) -> Tensor:
    """Squared error of the change in each region, weighted.

    With absolute differences alone, making no change is optimal until the network distinguishes the
    styles.
    """
    error = (LIGHT_RANGE * change.float() - batch.change).square().mean(1)
    total = error.new_zeros(())
    for region, weight in _SQUARES.items():
        here = batch.face.regions == region
        total = total + weight * (error * here).sum() / here.sum().clamp(min=1)
    return total


class RegionGANLearner(Learner):
    """Trains generator and mask network; without region bits the face must stay unchanged."""

    name = "region-gan"
    folder = "styles"
    facts: ClassVar[Mapping[str, Any]] = {"styles": list(STYLES), "generator": "mobile"}

    def __init__(self, width: int) -> None:
        self.network: RegionMakeupNetwork = RegionMakeupNetwork(LabelLayout(len(STYLES)), width)
        initialise(self.network, "xavier")
        with torch.no_grad():
            self.network.generator.norms[-1].weight *= 0.3
            for layer in (self.network.generator.last, self.network.generator.cover):
                layer.weight *= 0.1
            self.network.generator.cover.bias.fill_(_COVER)
        self._terms: dict[str, Tensor] = {}

    @property
    def files(self) -> Mapping[str, nn.Module]:
        return {"generator": self.network.generator, "masks": self.network.masks}

    @staticmethod
    def open_faces(folder: Path) -> StyleFaces:
        return StyleFaces.open(folder)

    @staticmethod
    def build_faces(data: Path, folder: Path, progress: Callable[[str], None]) -> None:
        StyleFaces.build(data, folder, progress=progress)

    def sampler(
        self, store: StyleFaces, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> StyleSampler:
        return StyleSampler(store, size, batch[0] * batch[1], held=held)

    def passes(self, batch: StyleBatch) -> Iterator[Passes]:
        image, generator = batch.face.image, self.network.generator
        norms = generator.norms(batch.label)
        features = generator.encode(image, norms)
        found = functional.cross_entropy(self.network.masks(features).float(), batch.classes.long())
        change = generator.decode(features, norms, image)
        self._terms = {"masks": _MASKS * found, "squares": _squares(change, batch)}
        yield Passes(batch.face, image + change, image, batch.change)

    def extra_terms(self) -> dict[str, Tensor]:
        return self._terms
