"""Low-resolution makeup transfer: PSGAN on enlarged faces, a facial prior, super-resolution ×4."""

import itertools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from makeup_kernels.errors import InvalidInputError
from makeup_training.checkpoints import load_psgan
from makeup_training.data.examples import Pair
from makeup_training.data.parsing_classes import FROM_MT
from makeup_training.losses.perceptual import VGG16_RELU5_3, perceptual_loss
from makeup_training.losses.psgan_sr import (
    SharpTarget,
    SuperResolutionObjective,
    SuperResolutionWeights,
)
from makeup_training.networks.blocks import PatchDiscriminator, initialise
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.psgan_sr import (
    ENLARGEMENT,
    LANDMARK_MAPS,
    PSGANSuperResolution,
    SuperResolved,
    enlarge,
)
from makeup_training.recipes.base import Recipe, recorded, supervised
from makeup_training.trainer.config import Config
from makeup_training.trainer.metrics import Sample

TEACHER_WIDTH = 64
HEAT_SIGMA = 1.5
"""Spread of a landmark's heat map, in cells of half the crop's size."""

_CURVES = (
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
)
"""The contours that 68 points describe, and whether each is closed."""


class PSGANSuperResolutionRecipe(Recipe):
    """The target of the sharp result is the renderer's truth, or a PSGAN teacher's result."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.options()  # there are none
        generator = PSGANSuperResolution(config.width)
        self.generators["generator"] = generator
        for name in ("makeup", "bare", "sharp"):
            self.judges[name] = PatchDiscriminator(config.width)
        self.fixed["perceptual"] = perceptual_loss(config.files.vgg or None, layer=VGG16_RELU5_3)
        if config.files.teacher:
            teacher = PSGANGenerator(TEACHER_WIDTH)
            load_psgan(teacher, config.files.teacher)
            self.fixed["teacher"] = teacher.requires_grad_(False)
        for network in (generator.makeup, *self.judges.values()):
            initialise(network, "xavier")
        self.objective = SuperResolutionObjective(
            generator,
            *(self.judges[name] for name in ("makeup", "bare", "sharp")),
            self.fixed["perceptual"],
            self.weights(SuperResolutionWeights),
        )

    def judge_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        source, reference = small(batch.source), small(batch.reference)
        return self.objective.discriminator_terms(source, reference, self.target(batch))

    def generator_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        source, reference = small(batch.source), small(batch.reference)
        with recorded(self.generators["generator"]) as passes:
            terms = self.objective.generator_terms(source, reference, self.target(batch))
        return terms | self._distance(passes[0], batch)

    def truth_terms(self, batch: Pair) -> dict[str, Tensor]:
        made_up = self.generators["generator"](small(batch.source), small(batch.reference))
        return self._distance(made_up, batch)

    def _distance(self, made_up: SuperResolved, batch: Pair) -> dict[str, Tensor]:
        """Of the transfer and, as the published objective has no sharp removal, of one more pass.

        The makeup part's own result counts as the sharp one does.
        """
        if not self.config.supervised_weight or batch.transfer is None:
            return {}
        bared = self.generators["generator"](small(batch.reference), small(batch.source))
        tasks = (
            (made_up, batch.transfer, batch.source.regions),
            (bared, batch.removal, batch.reference.regions),
        )
        results = [
            (image, truth, regions)
            for result, truth, regions in tasks
            for image in (result.image, result.blurry)
        ]
        return supervised(self.config, results)

    def sample(self, batch: Pair) -> list[Sample]:
        generator = self.generators["generator"]
        tasks = (
            ("transfer", batch.source, batch.reference, batch.transfer),
            ("removal", batch.reference, batch.source, batch.removal),
        )
        return [
            Sample(
                task,
                enlarge(small(own).image),
                other.image,
                generator(small(own), small(other)).image,
                truth,
                own.regions,
            )
            for task, own, other, truth in tasks
        ]

    def target(self, batch: Pair) -> SharpTarget:
        """What the sharp result is compared with.

        Raises:
            InvalidInputError: neither truth nor teacher.
        """
        if batch.transfer is not None:
            image = batch.transfer
        elif "teacher" in self.fixed:
            with torch.no_grad():
                image = self.fixed["teacher"](batch.source, batch.reference)
        else:
            raise InvalidInputError(
                "psgan-sr: photos have no ground truth; give PSGAN's weights with "
                "--set files.teacher=PATH, or train on renderer pairs (--set data.pairs=renderer)"
            )
        # the made-up face has the source's shape
        table = torch.tensor(FROM_MT["raw19"], device=image.device)
        parsing = table[batch.source_parsing[:, ::2, ::2].long()]
        return SharpTarget(image, heat_maps(batch.source.landmarks, image.shape[2] // 2), parsing)


def small(face: FaceBatch) -> FaceBatch:
    """The face with its image reduced ×¼ bicubically; regions and landmarks stay."""
    image = functional.interpolate(
        face.image, scale_factor=1 / ENLARGEMENT, mode="bicubic", antialias=True
    )
    return face.with_image(image.clamp(-1, 1))


def heat_maps(landmarks: Tensor, side: int) -> Tensor:
    """Gaussian heat maps of 201 points spread evenly along the contours of 68.

    The paper's 201 points come from a service that is not public; these cover the same contours.

    Args:
        landmarks: float (B, 68, 2), x then y, pixels of a crop of 2·side.
        side: height and width of the maps.

    Returns:
        float32 (B, 201, side, side), 1 at the points.
    """
    segments = []
    for points, closed in _CURVES:
        ends = [*points, points[0]] if closed else list(points)
        segments += list(itertools.pairwise(ends))
    places = np.linspace(0, len(segments), LANDMARK_MAPS, endpoint=False)
    first, second = np.array(segments)[places.astype(int)].T
    share = torch.from_numpy(places % 1).to(landmarks)[None, :, None]
    dense = landmarks[:, first] * (1 - share) + landmarks[:, second] * share
    cells = torch.arange(side, device=landmarks.device) * 2.0
    along = [
        (-((cells - dense[..., axis, None]) / (2 * HEAT_SIGMA)).square() / 2).exp()
        for axis in (0, 1)
    ]
    return along[1][..., :, None] * along[0][..., None, :]
