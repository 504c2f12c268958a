"""Mask-guided portrait editing (Gu et al., 2019): components swapped between faces."""

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn

from makeup_training.checkpoints import load_weights
from makeup_training.data.examples import Pair
from makeup_training.data.parsing_classes import FROM_MT
from makeup_training.losses.perceptual import masked_perceptual_loss
from makeup_training.losses.portrait_edit import PortraitBatch, PortraitObjective, PortraitWeights
from makeup_training.losses.supervised import parsing_cross_entropy
from makeup_training.networks.blocks import initialise
from makeup_training.networks.portrait_edit import PARTS, PortraitEditor
from makeup_training.networks.portrait_edit_inputs import (
    enlarge_label,
    part_centres,
    part_crops,
    part_masks,
)
from makeup_training.networks.portrait_edit_judges import FaceParser, MultiScaleDiscriminator
from makeup_training.recipes.base import Recipe
from makeup_training.trainer.config import Config
from makeup_training.trainer.metrics import Sample

PUBLISHED_PARSER_WIDTH = 64


class PortraitEditRecipe(Recipe):
    """Paired and unpaired steps alternate; both faces of a pair are faces of the batch.

    The fixed parser comes from a file; without one, a parser is trained on the real faces as well.
    With `supervised_weight`, some parts come from the same person with the other makeup (bare for
    painted, painted for bare), so the truth is known for every pixel.
    """

    fixed_size = 256

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        options = self.options(start="normal", first_log_variance=0.0)
        editor = PortraitEditor(config.width)
        self.generators["editor"] = editor
        self.judges["paired"] = MultiScaleDiscriminator(config.width)
        self.judges["shuffled"] = MultiScaleDiscriminator(config.width)
        initialise(editor, options["start"])
        for name in PARTS:
            log_variance = editor.get_submodule(f"encoder_{name}.fc_var.2")
            nn.init.constant_(log_variance.bias, options["first_log_variance"])
        for network in self.judges.values():
            initialise(network, "normal")
        if config.files.parser:
            parser = FaceParser(PUBLISHED_PARSER_WIDTH)
            load_weights(parser, config.files.parser)
            self.fixed["parser"] = parser.requires_grad_(False).eval()
        else:
            parser = FaceParser(config.width)
            initialise(parser, "normal")
            self.judges["parser"] = parser
        self.fixed["perceptual"] = masked_perceptual_loss(config.files.vgg or None)
        self.objective = PortraitObjective(
            editor,
            self.judges["paired"],
            self.judges["shuffled"],
            parser,
            self.fixed["perceptual"],
            self.weights(PortraitWeights),
        )

    def judge_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        faces = portraits(batch)
        terms = self.objective.discriminator_terms(faces, paired=step % 2 == 0)
        if "parser" in self.judges:
            terms["parser"] = parsing_cross_entropy(self.judges["parser"](faces.image), faces.label)
        return terms

    def generator_terms(self, batch: Pair, step: int) -> dict[str, Tensor]:
        terms = self.objective.generator_terms(portraits(batch), paired=step % 2 == 0)
        return terms | self.truth_terms(batch)

    def truth_terms(self, batch: Pair) -> dict[str, Tensor]:
        if not self.config.supervised_weight or batch.transfer is None:
            return {}
        scene = Scene.of(batch)
        chosen = [name for name in PARTS if torch.rand(()) < 0.5]
        result, truth = self.swapped(scene, chosen)
        distance = part_distance(result, truth, scene.label)
        return {"supervised": self.config.supervised_weight * distance}

    def sample(self, batch: Pair) -> list[Sample]:
        """Swaps with the same person's other makeup (truth known), and with another's mouth."""
        count = len(batch.source.image)
        regions = torch.cat([batch.source.regions, batch.reference.regions])
        if batch.transfer is None:
            scene = Scene.of(
                batch._replace(transfer=batch.source.image, removal=batch.reference.image)
            )
        else:
            scene = Scene.of(batch)
        samples = []
        if batch.transfer is not None:
            for task, first, parts in (
                ("makeup_on", 0, tuple(PARTS)),
                ("mouth_on", 0, ("mouth",)),
                ("makeup_off", count, tuple(PARTS)),
            ):
                result, truth = self.swapped(scene, parts)
                some = slice(first, first + count)
                samples.append(
                    Sample(
                        task,
                        scene.image[some],
                        scene.other[some],
                        result[some],
                        truth[some],
                        regions[some],
                    )
                )
        samples.append(
            Sample(
                "mouth_of_other",
                batch.source.image,
                batch.reference.image,
                self._with_parts_of_others(scene, count, ("mouth",)),
                None,
                batch.source.regions,
            )
        )
        return samples

    def swapped(self, scene: "Scene", chosen: Collection[str]) -> tuple[Tensor, Tensor]:
        """The faces with the chosen parts in their other makeup, and the ground truth."""
        editor = self.generators["editor"]
        latents = {name: mean for name, (mean, _) in editor.embed(scene.crops()).items()}
        other = {name: mean for name, (mean, _) in editor.embed(scene.crops(other=True)).items()}
        mixed = {name: (other if name in chosen else latents)[name] for name in PARTS}
        truth = scene.image
        for name, mask in part_masks(scene.label).items():
            if name in chosen:
                truth = torch.where(mask[:, None], scene.other, truth)
        return self._rendered(mixed, scene), truth

    def _with_parts_of_others(self, scene: "Scene", count: int, chosen: Collection[str]) -> Tensor:
        """The sources, with the chosen parts from the references."""
        embedded = self.generators["editor"].embed(scene.crops())
        latents = {
            name: torch.cat([mean[count:], mean[count:]]) if name in chosen else mean
            for name, (mean, _) in embedded.items()
        }
        return self._rendered(latents, scene)[:count]

    def _rendered(self, latents: dict[str, Tensor], scene: "Scene") -> Tensor:
        editor = self.generators["editor"]
        image: Tensor = editor.G(
            editor.decode_features(latents), scene.label, scene.centres, scene.image
        )
        return image


class Scene(NamedTuple):
    """Sources and references of a batch, 2·B faces, each also in its other makeup.

    Attributes:
        image: float (2B, 3, 256, 256): bare sources, then painted references.
        other: float (2B, 3, 256, 256): painted sources, then bare references.
        label: enlarged label, integer (2B, 256, 256).
        centres: int64 (2B, 3, 2).
    """

    image: Tensor
    other: Tensor
    label: Tensor
    centres: Tensor

    @classmethod
    def of(cls, batch: Pair) -> "Scene":
        faces = portraits(batch)
        assert batch.transfer is not None
        assert batch.removal is not None
        centres = part_centres(faces.label)
        label = enlarge_label(faces.label, centres)
        return cls(faces.image, torch.cat([batch.transfer, batch.removal]), label, centres)

    def crops(self, *, other: bool = False) -> dict[str, Tensor]:
        """The part encoders' inputs, from the faces or from their other makeup."""
        return part_crops(self.other if other else self.image, self.label, self.centres)


def portraits(batch: Pair) -> PortraitBatch:
    """All faces of a batch of pairs, sources first, with their 11-class labels."""
    table = torch.tensor(FROM_MT["helen11"], device=batch.source_parsing.device)
    parsing = torch.cat([batch.source_parsing, batch.reference_parsing]).long()
    return PortraitBatch(torch.cat([batch.source.image, batch.reference.image]), table[parsing])


def part_distance(result: Tensor, truth: Tensor, label: Tensor) -> Tensor:
    """Mean L1 of the picture plus the mean L1 of each part, (B, 3, H, W) and label (B, H, W)."""
    distance = (result - truth).abs().mean(1)
    total = distance.mean()
    for mask in part_masks(label).values():
        total = total + (distance * mask).sum() / mask.sum().clamp(min=1)
    return total
