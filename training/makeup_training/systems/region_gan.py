"""The region-sensitive GAN in training: six styles, each the mean of one makeup on many faces."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from makeup_kernels import Region
from makeup_sdk.faces.light import to_log
from makeup_training.cosmetics import (
    Blush,
    BrowTint,
    Contour,
    EyeShadow,
    Foundation,
    Liner,
    Lipstick,
    Makeup,
    render,
)
from makeup_training.data.parsing_classes import region_gan_classes
from makeup_training.networks.blocks import initialise
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.region_gan import LabelLayout, MaskNetwork, RegionGenerator
from makeup_training.systems.appearance import (
    MAP_SIZE,
    REGIONS,
    FaceWarp,
    read_appearance,
    wanted_change,
)
from makeup_training.systems.faces import BARE, FaceStore
from makeup_training.systems.learner import Learner, Passes
from makeup_training.systems.pairs import LIGHT_RANGE, PairSampler, stacked

STYLES: Mapping[str, Makeup] = {
    "bare": Makeup(),
    "retro": Makeup(
        lipstick=Lipstick("#a8101f", opacity=0.92, gloss=0.1, matte=0.5),
        shadow=EyeShadow("#d2b08e", "#a87a58", None, "#f0dcc4", opacity=0.45, extent=0.45),
        liner=Liner("#14100f", 0.95, width=0.7, wing=0.8, wing_angle=30, lashes=0.8),
        brows=BrowTint("#3a2a22", 0.4),
        blush=Blush("#c96a60", 0.22, "lifted"),
        foundation=Foundation(0.5, 0.1, 0.0, 0.6),
    ),
    "korean": Makeup(
        lipstick=Lipstick("#d8405c", opacity=0.75, gloss=0.6, blur=0.75),
        shadow=EyeShadow(
            "#dba596", "#b87868", None, "#f6e2d2", opacity=0.5, extent=0.4, shimmer=0.6
        ),
        liner=Liner("#2a1a14", 0.8, width=0.25, wing=0.2, wing_angle=18, lashes=0.5),
        brows=BrowTint("#4a3628", 0.3),
        blush=Blush("#e38fa0", 0.3, "apple"),
        foundation=Foundation(0.6, 0.2, -0.1, 0.1),
    ),
    "japanese": Makeup(
        lipstick=Lipstick("#e0785e", opacity=0.6, gloss=0.7),
        shadow=EyeShadow(
            "#c98a5c", "#a0603c", "#8f4632", None, opacity=0.5, extent=0.35, lower=0.5
        ),
        liner=Liner("#2a1a14", 0.85, width=0.3, lashes=0.7, lower=0.2),
        brows=BrowTint("#5c4432", 0.3),
        blush=Blush("#e8805f", 0.5, "draped"),
        foundation=Foundation(0.5, 0.1, 0.1, 0.3),
    ),
    "smoky": Makeup(
        lipstick=Lipstick("#a06a5a", opacity=0.7, gloss=0.1, matte=0.4),
        shadow=EyeShadow(
            "#3a3638", "#4a3a34", "#1e1a1c", None, opacity=0.9, extent=0.75, lower=0.9
        ),
        liner=Liner("#14100f", 0.95, width=0.7, wing=0.3, lashes=1.0, lower=0.8),
        brows=BrowTint("#2a201c", 0.5),
        blush=Blush("#b07058", 0.2, "lifted"),
        contour=Contour(0.5, 0.3),
    ),
    "colourful": Makeup(
        lipstick=Lipstick("#c2187e", opacity=0.9, gloss=0.3),
        shadow=EyeShadow(
            "#2a6fb8", "#7a3fb0", "#4a2a90", "#7ad0e0", opacity=0.85, extent=0.85, lower=0.6
        ),
        liner=Liner("#1a1f3a", 0.9, width=0.5, wing=0.5, lashes=0.8),
        brows=BrowTint("#3a2a22", 0.4),
        blush=Blush("#d94f8a", 0.35, "lifted"),
        foundation=Foundation(0.4, 0.0, 0.0, 0.2),
    ),
}  # fmt: skip
"""The styles by name, in the order of the label; the first is bare skin."""

_COVER = {Region.LIPS: 0.85, Region.SKIN: 0.7, Region.EYES: 0.85, Region.BROWS: 0.0}
"""How far a style's mean takes the place of what the face has; brows stay bare."""
_BITS = (Region.EYES, Region.LIPS, Region.SKIN)
_FACES = 20
_MASKS = 0.1
_LABEL_GAIN = 30.0
"""Gain of the label's first weights: only the border of the picture shows them to the network."""


@dataclass(frozen=True)
class StyleBatch:
    """B faces in a style, and another that some of their regions shall wear.

    Attributes:
        face: images as `PairSampler.face` gives them.
        label, nothing: float (B, L): what is asked for; and the same with no region.
        change: float (B, 3, S, S): the change of log light that is wanted.
        classes: uint8 (B, S, S): of the mask network.
    """

    face: FaceBatch
    label: Tensor
    nothing: Tensor
    change: Tensor
    classes: Tensor


class StyleSampler:
    """Draws faces in styles; batch `step` is a pure function of the step.

    Args:
        store: the faces.
        size: side S.
        batch: faces B.
        held: draw among held-back faces.
    """

    def __init__(self, store: FaceStore, size: int, batch: int, *, held: bool = False) -> None:
        self.pairs = PairSampler(store, size, (1, 1), held=held)
        self.store, self.size, self.batch = store, size, batch
        self.layout = LabelLayout(len(STYLES))
        self.worn = style_appearances(store)
        self.rows = self.pairs.rows

    def __call__(self, step: int) -> StyleBatch:
        rng = np.random.default_rng([7, step])
        faces, labels, nothing, changes, classes = [], [], [], [], []
        for _ in range(self.batch):
            row = int(rng.choice(self.rows[BARE]))
            own = 0 if rng.random() < 0.5 else int(rng.integers(len(STYLES)))
            asked = int(rng.integers(len(STYLES)))
            bits = np.ones(3, np.int64) if rng.random() < 0.5 else rng.integers(0, 2, 3)
            face, change = self.styled(row, own, asked, bits, bool(rng.random() < 0.5))
            faces.append(face)
            changes.append(change)
            classes.append(region_gan_classes(face[1]))
            style = torch.tensor([asked])
            labels.append(self.layout.makeup(style, torch.from_numpy(bits)[None]))
            nothing.append(self.layout.makeup(style, torch.zeros(1, 3)))
        return StyleBatch(
            stacked(faces),
            torch.cat(labels),
            torch.cat(nothing),
            torch.from_numpy(np.stack(changes)),
            torch.from_numpy(np.stack(classes)),
        )

    def styled(
        self, row: int, own: int, asked: int, bits: NDArray[np.int64], flip: bool
    ) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float32]]:
        """A bare face put into its own style, and the change that the asked one would make."""
        image, regions, landmarks = self.pairs.face(row, flip)
        first, second = (self._laid(row, style, flip) for style in (own, asked))
        chosen = np.zeros(len(Region), np.float32)
        for region, bit in zip(_BITS, bits, strict=True):
            chosen[region] = bit
        image = np.clip(image + first / LIGHT_RANGE, -1, 1)
        return (image, regions, landmarks), (second - first) * chosen[regions]

    def _laid(self, row: int, style: int, flip: bool) -> NDArray[np.float32]:
        store = self.store
        if style == 0:
            return np.zeros((3, self.size, self.size), np.float32)
        regions = store.regions[row][::2, ::2]
        change = wanted_change(
            self.worn[style], np.ones(len(REGIONS), np.float32), store.own[row],
            store.places[row], regions,
        )  # fmt: skip
        cover = np.zeros(len(Region), np.float32)
        cover[list(_COVER)] = list(_COVER.values())
        change *= cover[regions][..., None]
        return self.pairs.cut(change, flip)


def style_appearances(store: FaceStore) -> NDArray[np.float16]:
    """float16 (6, 4, 128, 128, 3): the mean appearance of each style on the template face."""
    bare = np.flatnonzero((store.kind == BARE) & ~store.held & (store.sure.min(1) > 0.5))
    rows = bare[:: max(1, len(bare) // _FACES)][:_FACES]
    worn = np.zeros((len(STYLES), len(REGIONS), MAP_SIZE, MAP_SIZE, 3), np.float32)
    for number, row in enumerate(rows):
        landmarks = np.asarray(store.landmarks[row])
        warp, skin = FaceWarp(landmarks), store.tone(int(row)).over_crop()
        for style, makeup in enumerate(STYLES.values()):
            rng = np.random.default_rng([style, number])
            crop = render(np.asarray(store.crop[row]), landmarks, makeup, rng)
            seen = read_appearance(to_log(crop) - skin, store.regions[row], landmarks, warp)
            worn[style] += seen.worn.astype(np.float32) / len(rows)
    return worn.astype(np.float16)


class RegionMakeupNetwork(nn.Module):
    """Generator and mask network together."""

    def __init__(self, layout: LabelLayout, width: int) -> None:
        super().__init__()
        self.generator = RegionGenerator(layout.channels, width)
        self.masks = MaskNetwork(width)


class RegionGANLearner(Learner):
    """Asked for no region, the network gives the face back."""

    name = "region-gan"
    facts: ClassVar[Mapping[str, Any]] = {"styles": list(STYLES)}

    def __init__(self, width: int) -> None:
        self.network: RegionMakeupNetwork = RegionMakeupNetwork(LabelLayout(len(STYLES)), width)
        initialise(self.network, "xavier")
        with torch.no_grad():
            self.network.generator.main[0].weight[:, 3:] *= _LABEL_GAIN
        self._terms: dict[str, Tensor] = {}

    @property
    def files(self) -> Mapping[str, nn.Module]:
        return {"generator": self.network.generator, "masks": self.network.masks}

    def sampler(
        self, store: FaceStore, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> StyleSampler:
        return StyleSampler(store, size, batch[0] * batch[1], held=held)

    def passes(self, batch: StyleBatch) -> Iterator[Passes]:
        image = batch.face.image
        features = self.network.generator.encode(
            torch.cat([image, image]), torch.cat([batch.label, batch.nothing])
        )
        logits = self.network.masks(features[: len(image)].detach())
        found = functional.cross_entropy(logits.float(), batch.classes.long())
        self._terms = {"masks": _MASKS * found}
        result, nothing = self.network.generator.decode(features).chunk(2)
        yield Passes(batch.face, result, nothing, batch.change)

    def extra_terms(self) -> dict[str, Tensor]:
        return self._terms
