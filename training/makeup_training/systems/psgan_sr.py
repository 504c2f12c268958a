"""Low-resolution transfer in training: makeup and detail of faces as far cameras show them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from makeup_kernels import CROP_SIZE
from makeup_sdk.faces.light import to_log
from makeup_training.networks.inputs import FEATURE_STRIDE, feature_regions
from makeup_training.networks.psgan_sr_mobile import (
    HALF,
    MAPS,
    MobileSuperResolution,
    bicubic,
    halfway,
)
from makeup_training.systems.faces import FaceStore
from makeup_training.systems.learner import Passes
from makeup_training.systems.pairs import (
    LIGHT_OFFSET,
    LIGHT_RANGE,
    WINDOW,
    Draw,
    PairBatch,
    PairSampler,
    light_image,
    taken,
)
from makeup_training.systems.psgan import PSGANLearner, start

_DETAIL, _EDGES, _PRIOR, _PARSING = 10.0, 0.2, 20.0, 0.02
"""Weights of the detail's error, of that of its differences from pixel to pixel, and of the prior's
side outputs."""
_SPOT = 1.0
"""Standard deviation of a landmark's spot, in cells."""
_SEEN_FAR = 0.5
"""Share of the faces that a camera's faults are laid on."""
_MAKEUP_RATE = 0.25
"""Times the learning rate: the makeup part starts from PSGAN's weights."""
_GAMMA = 2.4


@dataclass(frozen=True)
class SmallBatch(PairBatch):
    """Pairs whose sources are seen small.

    Attributes:
        small: float (M, 3, S/2, S/2), log light of the sources (`LIGHT_RANGE`), whose bicubic
            enlargement ×2 is the image of `source`.
        sharp: float (M, 3, 2S, 2S), the same faces in full.
        makeup: whether the makeup part learns from this batch; if not, no change is wanted, and
            the detail alone learns.
    """

    small: Tensor
    sharp: Tensor
    makeup: bool


class SmallSampler(PairSampler):
    """Pairs whose sources are seen small; half of them through a camera's faults in training.

    Two of three batches are for the detail alone.
    """

    held = False
    _makeup = True

    def __call__(self, step: int) -> PairBatch:
        self._makeup = self.held or step % 3 == 0
        return super().__call__(step)

    def change(self, source: int, reference: int, flip: bool) -> NDArray[np.float32]:
        """See `PairSampler.change`; nothing in batches for the detail."""
        if self._makeup:
            return super().change(source, reference, flip)
        return np.zeros((3, 0, 0), np.float32)

    def pairs(
        self, sources: Sequence[Draw], references: Sequence[Draw], *, removal: bool = False
    ) -> SmallBatch:
        """See `PairSampler.pairs`."""
        batch = super().pairs(sources, references, removal=removal)
        rng = np.random.default_rng([self.seed, *(row for row, _ in [*sources, *references])])
        seen = [self._seen(*face, rng) for face in sources]
        small, sharp = (torch.from_numpy(np.stack(part)) for part in zip(*seen, strict=True))
        small = functional.avg_pool2d(small, HALF)
        return SmallBatch(
            batch.source.with_image(halfway(small)),
            *(
                batch.reference,
                batch.source_rows,
                batch.reference_rows,
                batch.change,
                batch.removal,
            ),
            small,
            sharp,
            self._makeup,
        )

    def _seen(
        self, row: int, flip: bool, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A face as it is seen, (3, S, S), and in full, (3, 2S, 2S)."""
        crop, skin = np.asarray(self.store.crop[row]), self.store.tone(row).over_crop()
        far = seen_far(crop, rng) if not self.held and rng.random() < _SEEN_FAR else crop
        seen = light_image(far, skin, self.size), full_image(crop, skin, HALF * self.size)
        if flip:
            seen = seen[0][..., ::-1], seen[1][..., ::-1]
        return np.ascontiguousarray(seen[0]), np.ascontiguousarray(seen[1])


def full_image(crop: NDArray[np.uint8], skin: NDArray[np.float32], size: int) -> NDArray[Any]:
    """As `pairs.light_image`, enlarged bicubically: float32 (3, S, S)."""
    left, top, side = WINDOW
    part = np.s_[top : top + side, left : left + side]
    large = cv2.resize(crop[part], (size, size), interpolation=cv2.INTER_CUBIC)
    above = to_log(np.asarray(large, np.uint8)) - cv2.resize(skin[part], (size, size))
    relative = (above + LIGHT_OFFSET) / LIGHT_RANGE
    return np.clip(relative[..., ::-1].transpose(2, 0, 1), -1, 1)


def seen_far(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop as a camera some way off gives it: few pixels, soft, noisy, compressed."""
    side = int(rng.integers(75, 200))
    few = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:
        few = cv2.GaussianBlur(few, (0, 0), rng.uniform(0.3, 0.9))
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(0.5, 4), few.shape)
        few = np.clip(few + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))]
        few = cv2.imdecode(cv2.imencode(".jpg", few, quality)[1], cv2.IMREAD_COLOR)
    whole = cv2.resize(few, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole, np.uint8)


class SuperResolutionLearner(PSGANLearner):
    """PSGAN on small faces with super-resolution: what enlargement has lost is learnt beside."""

    name = "psgan-sr"
    lab = False
    facts: ClassVar[Mapping[str, Any]] = {"maps": MAPS, "generator": "mobile"}
    network: MobileSuperResolution

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.network = MobileSuperResolution(width)
        self.branches = self.network.makeup
        start(self.branches)

    def rate_of(self, parameter: str) -> float:
        return _MAKEUP_RATE if parameter.startswith("makeup.") else 1.0

    def sampler(
        self, store: FaceStore, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> SmallSampler:
        draw = SmallSampler(store, size, batch, held=held)
        draw.held = held
        return draw

    def passes(self, batch: SmallBatch) -> Iterator[Passes]:
        network, count, sources = self.network, len(batch.source_rows), len(batch.small)
        references = count // sources
        chosen = torch.arange(sources) * references + torch.arange(sources) % references
        with torch.set_grad_enabled(batch.makeup and torch.is_grad_enabled()):
            features = network.encode_source(batch.small)
            laid = self.laid(batch, features)
            rows = batch.source_rows
            if not batch.makeup:
                laid, rows, chosen = laid[chosen], rows[chosen], torch.arange(sources)
            none = laid.new_zeros(sources if batch.makeup else 0, *laid.shape[1:])
            made_up = self.branches.apply_makeup(
                torch.cat([features[rows], features[: len(none)]]),
                *torch.cat([laid, none]).chunk(2, 1),
            )
            images = self.branches.render(made_up)
        prior = network.prior(images[chosen].detach())
        detail = network.super_resolution(prior, made_up[chosen].detach(), batch.small)
        self._terms = self._terms if batch.makeup else {}
        self._terms |= detail_terms(detail, batch)
        self._terms |= self._prior_terms(prior, batch)
        if batch.makeup:
            result, nothing = images[:count], images[count:]
            faces = taken(batch.source, batch.source_rows)
            yield Passes(faces, result, nothing[batch.source_rows], batch.change)

    def _prior_terms(self, prior: Tensor, batch: SmallBatch) -> dict[str, Tensor]:
        maps, parsing = self.network.prior.predict(prior)
        cells = (batch.source.landmarks + 0.5) / FEATURE_STRIDE - 0.5
        spots = heat_maps(cells, maps.shape[-1])
        classes = feature_regions(batch.source.regions).long()
        return {
            "landmarks": _PRIOR * functional.mse_loss(maps.float(), spots),
            "parsing": _PARSING * functional.cross_entropy(parsing.float(), classes),
        }


def detail_terms(detail: Tensor, batch: SmallBatch) -> dict[str, Tensor]:
    """The weighted error of the detail; an error of light counts as it is seen in pixel values."""
    seen = (((LIGHT_RANGE * batch.sharp) - LIGHT_OFFSET) / _GAMMA).exp()
    error = detail.float() - (batch.sharp - bicubic(batch.small))
    steps = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return {"detail": _DETAIL * ((seen * error.abs()).mean() + _EDGES * steps)}


def heat_maps(landmarks: Tensor, size: int) -> Tensor:
    """Spots of height 1 at landmarks (B, K, 2), x then y, in cells: float (B, K, S, S)."""
    cells = torch.arange(size, dtype=landmarks.dtype)
    x, y = ((cells - landmarks[..., axis, None]) ** 2 for axis in (0, 1))
    return (-(y[..., :, None] + x[..., None, :]) / (2 * _SPOT**2)).exp()
