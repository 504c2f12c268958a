"""Base of recipes: networks, the losses of a step, and samples; the trainer does the rest."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from makeup_kernels import Region
from makeup_training.data.examples import ExampleOptions, PairDataset
from makeup_training.data.portraits import PortraitFile
from makeup_training.trainer.config import Config, ConfigError, weights_of
from makeup_training.trainer.metrics import Sample

Files = Sequence[PortraitFile]


class Recipe(ABC):
    """One published system, ready to train.

    Attributes:
        generators: the networks to train and export.
        judges: discriminators; saved only in checkpoints.
        fixed: frozen helpers (VGG, a teacher), moved to the device, never saved.
        config: the run's configuration.
        facts: facts for users of the weights, saved with them.
    """

    fixed_size: ClassVar[int | None] = None
    """The only crop side that the system supports, or None for any."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.facts: dict[str, Any] = {}
        self.generators = nn.ModuleDict()
        self.judges = nn.ModuleDict()
        self.fixed = nn.ModuleDict()

    def dataset(self, bare: Files, made_up: Files | None, options: ExampleOptions) -> Dataset[Any]:
        """Examples from these faces; pairs by default."""
        return PairDataset(bare, made_up, options)

    @abstractmethod
    def judge_terms(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Weighted losses of the judges; none may reach a generator."""

    @abstractmethod
    def generator_terms(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Weighted losses of the generators; the judges are frozen."""

    @abstractmethod
    def truth_terms(self, batch: Any) -> dict[str, Tensor]:
        """Only the term on the renderer's ground truth, from its own passes; empty without truth.

        The generators' only loss until `Config.truth_alone_until`; see `supervised`.
        """

    @abstractmethod
    def sample(self, batch: Any) -> list[Sample]:
        """Results for a batch, as in inference; networks are in evaluation mode."""

    def options(self, **defaults: Any) -> dict[str, Any]:
        """These defaults, overridden by the recipe file's `[model]` values.

        Raises:
            ConfigError: an unknown name.
        """
        unknown = sorted(set(self.config.model) - set(defaults))
        if unknown:
            raise ConfigError(
                f"{self.config.recipe}, model: unknown {', '.join(unknown)}; "
                f"it has {', '.join(defaults) or 'none'}"
            )
        return {**defaults, **self.config.model}

    def weights(self, kind: type) -> Any:
        """The system's published loss weights, overridden by the recipe file's."""
        values = dict(self.config.weights)
        if isinstance(values.get("regions"), Mapping):
            values["regions"] = {Region[k.upper()]: v for k, v in values["regions"].items()}
        return weights_of(kind, values, self.config.recipe)


def supervised(
    config: Config, results: Sequence[tuple[Tensor, Tensor | None, Tensor]]
) -> dict[str, Tensor]:
    """Our own term on the renderer's ground truth: mean L1 of the picture plus that of each region.

    The mean of a region runs only over its pixels, so that lips count as much as the whole face.

    Args:
        config: has the weight; with 0, or without truth, there is no term.
        results: result (B, 3, H, W), truth (B, 3, H, W) or None, region ids (B, H, W).

    Returns:
        `{"supervised": …}`, or an empty dict.
    """
    terms = [
        picture_distance(result, truth, regions)
        for result, truth, regions in results
        if truth is not None
    ]
    if not config.supervised_weight or not terms:
        return {}
    return {"supervised": config.supervised_weight * torch.stack(terms).sum()}


def picture_distance(result: Tensor, truth: Tensor, regions: Tensor) -> Tensor:
    """Mean L1 of the picture plus the mean L1 of each region present; see `supervised`."""
    distance = (result - truth).abs().mean(1)
    total = distance.mean()
    for region in (Region.LIPS, Region.SKIN, Region.EYES):
        here = regions == region
        total = total + (distance * here).sum() / here.sum().clamp(min=1)
    return total


@contextmanager
def recorded(network: nn.Module) -> Iterator[list[Any]]:
    """Record a network's results, so that a loss can reuse another loss's pass."""
    outputs: list[Any] = []
    handle = network.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()
