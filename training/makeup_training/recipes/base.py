"""What a recipe is: networks, the losses of a step, and samples. The trainer owns all else."""

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
        generators: what is trained and kept.
        judges: what is trained against them; kept in checkpoints only.
        fixed: frozen helpers (VGG, a teacher), moved to the device, never saved.
        config: the run.
        facts: what the weights' users must know, kept with them.
    """

    fixed_size: ClassVar[int | None] = None
    """The one crop side that the system works with, or None for any."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.facts: dict[str, Any] = {}
        self.generators = nn.ModuleDict()
        self.judges = nn.ModuleDict()
        self.fixed = nn.ModuleDict()

    def dataset(self, bare: Files, made_up: Files | None, options: ExampleOptions) -> Dataset[Any]:
        """Examples of these faces; pairs unless a recipe says otherwise."""
        return PairDataset(bare, made_up, options)

    @abstractmethod
    def judge_terms(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Weighted losses of the judges; none may reach a generator."""

    @abstractmethod
    def generator_terms(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Weighted losses of the generators; the judges are frozen meanwhile."""

    @abstractmethod
    def truth_terms(self, batch: Any) -> dict[str, Tensor]:
        """The term on the renderer's truth alone, by passes of its own; none where there is none.

        What moves the generators until `Config.truth_alone_until`; see `supervised`.
        """

    @abstractmethod
    def sample(self, batch: Any) -> list[Sample]:
        """Results for a batch, as at inference; networks are in evaluation mode."""

    def options(self, **defaults: Any) -> dict[str, Any]:
        """The recipe file's `[model]` values in place of these defaults.

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
        """The system's loss weights: published, but for those that the recipe file sets."""
        values = dict(self.config.weights)
        if isinstance(values.get("regions"), Mapping):
            values["regions"] = {Region[k.upper()]: v for k, v in values["regions"].items()}
        return weights_of(kind, values, self.config.recipe)


def supervised(
    config: Config, results: Sequence[tuple[Tensor, Tensor | None, Tensor]]
) -> dict[str, Tensor]:
    """Our own term on the renderer's ground truth: mean L1 of the picture plus that of each region.

    The mean of a region runs over its pixels alone, so that lips count as much as the whole face.

    Args:
        config: gives the weight; with 0, or where no truth is known, there is no term.
        results: result (B, 3, H, W), truth (B, 3, H, W) or None, region ids (B, H, W).

    Returns:
        `{"supervised": …}`, or nothing.
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
    """Mean L1 of the picture plus the mean L1 of each region that is there; see `supervised`."""
    distance = (result - truth).abs().mean(1)
    total = distance.mean()
    for region in (Region.LIPS, Region.SKIN, Region.EYES):
        here = regions == region
        total = total + (distance * here).sum() / here.sum().clamp(min=1)
    return total


@contextmanager
def recorded(network: nn.Module) -> Iterator[list[Any]]:
    """Keeps what a network's calls return, so that a loss can use a pass that another one ran."""
    outputs: list[Any] = []
    handle = network.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()
