"""The training loop of all recipes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop
from torch.utils.data import DataLoader, Dataset

from makeup_kernels.errors import InvalidInputError, MakeupError
from makeup_kernels.files import write_atomically
from makeup_training.data.examples import ExampleOptions, collate, moved
from makeup_training.data.portraits import BadDataError, PortraitFile
from makeup_training.data.readers import Collection
from makeup_training.interruptions import interruptions
from makeup_training.precision import mixed_precision
from makeup_training.recipes import make_recipe
from makeup_training.trainer.checkpoint import (
    checkpoints,
    load_checkpoint,
    origin_of,
    save_checkpoint,
)
from makeup_training.trainer.config import Config, ConfigError, OptimiserConfig, check_same_run
from makeup_training.trainer.metrics import LearnedMetrics, Sample, measure
from makeup_training.trainer.run_log import RunLog

NORM_EXAMPLES = 8
"""Number of examples for the batch norms' statistics when these become fixed."""

VALIDATION_SEED = 1_000_003
"""Added to a run's seed to draw the validation examples."""


class TrainingError(MakeupError):
    """A training cannot start, or a loss is not finite."""


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not belong to the recipe.

    Attributes:
        folder: folder of checkpoints, log, sheets and TensorBoard events.
        device: `cpu`, `cuda`, or `auto`.
        precision: `float32`, `bfloat16` (mixed), or `auto`: mixed if the CPU or GPU has bfloat16
            hardware.
        resume: continue from the newest checkpoint.
        workers: processes that prepare examples; 0: in the loop.
        origin: `licence` and `training_data` (a name and a licence each), saved with the weights;
            missing ones are taken from the resumed checkpoint.
    """

    folder: Path
    device: str = "auto"
    precision: str = "auto"
    resume: bool = False
    workers: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)


class Trainer:
    """One run of a recipe on a collection of faces.

    Args:
        config: what to train.
        collection: the faces.
        options: how to run.

    Raises:
        TrainingError: the folder already contains a run, or the device is missing.
        ConfigError: values that are invalid, or differ from those of the resumed run.
        BadDataError: too few faces.
    """

    def __init__(self, config: Config, collection: Collection, options: RunOptions) -> None:
        self.config, self.options = config, options
        self.device = _device(options.device)
        self.mixed = mixed_precision(options.precision, self.device)
        self._check_folder()
        torch.manual_seed(config.seed)
        self.recipe = make_recipe(config)
        self.networks = {**self.recipe.generators, **self.recipe.judges}
        for group in (self.recipe.generators, self.recipe.judges, self.recipe.fixed):
            group.to(self.device)
        self.optimisers = {
            "generators": _optimiser(config.optimiser, self.recipe.generators),
            "judges": _optimiser(config.optimiser, self.recipe.judges),
        }
        self.examples, self.held_back = self._datasets(collection)
        self.learned_metrics = LearnedMetrics(asdict(config.files))
        self.step, self.origin = 0, dict(options.origin)
        if newest := checkpoints(options.folder / "checkpoints")[-1:]:
            self.step = load_checkpoint(newest[0], self.networks, self.optimisers)
            self.origin = {**origin_of(newest[0], self.recipe.generators), **self.origin}
        self._claim_folder()

    def run(self, console: Console) -> dict[str, float]:
        """Train to `config.steps`; returns the last validation's figures.

        On Ctrl-C, finishes the step and writes a checkpoint before it raises.

        Raises:
            TrainingError: a loss that is not finite.
        """
        config = self.config
        figures: dict[str, float] = {}
        console.print(
            f"{config.recipe}: width {config.width}, size {config.size}, {self.device}, "
            f"{'bfloat16' if self.mixed else 'float32'}, step {self.step} of {config.steps}"
        )
        with (
            RunLog(self.options.folder, self.step) as log,
            _progress(console) as progress,
            interruptions() as interrupted,
        ):
            task = progress.add_task(config.recipe, total=config.steps, completed=self.step)
            if self.step == 0:
                figures = self._validate(log, console)
            for batch in self._batches():
                losses = self._train_step(moved(batch, self.device))
                self.step += 1
                log.losses(self.step, losses)
                progress.update(task, completed=self.step)
                last = self.step == config.steps
                if last or self.step % config.validate_every == 0:
                    figures = self._validate(log, console)
                if last or interrupted or self.step % config.checkpoint_every == 0:
                    self._save(log)
                if interrupted:
                    raise KeyboardInterrupt
        return figures

    def _train_step(self, batch: Any) -> dict[str, float]:
        config = self.config.optimiser
        self._set_rate()
        self._fix_norms()
        losses = {}
        if not self._truth_alone():
            terms = self._move("judges", batch)
            losses.update({f"judges/{name}": value for name, value in terms.items()})
        if self.step % config.generator_every == 0:
            with _frozen(self.recipe.judges):
                terms = self._move("generators", batch)
            losses.update({f"generators/{name}": value for name, value in terms.items()})
        return losses

    def _move(self, side: str, batch: Any) -> dict[str, float]:
        """One optimiser step of the judges or the generators."""
        optimiser = self.optimisers[side]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            terms = self._terms(side, batch)
            total = torch.stack([term.float() for term in terms.values()]).sum()
        values = {name: float(term.detach()) for name, term in terms.items()}
        if not math.isfinite(float(total.detach())):
            listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            raise TrainingError(
                f"step {self.step}: the {side}' loss is not finite ({listed}); start "
                "anew in another --out with a lower --set optimiser.rate=…"
            )
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        return {**values, "total": float(total.detach())}

    def _fix_norms(self) -> None:
        """Fix the batch norms' statistics, measured on a few examples, once it is time.

        Source: Wu & Johnson, Rethinking "Batch" in BatchNorm (2021).
        """
        first = math.ceil(self.config.norms_fixed_from * self.config.steps)
        norms = [m for m in self.recipe.generators.modules() if isinstance(m, nn.BatchNorm2d)]
        if self.step == first:
            momenta = [norm.momentum for norm in norms]
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # average over all passes
            examples = [self.examples[i] for i in range(NORM_EXAMPLES)]
            batch = moved(collate(examples), self.device)
            with (
                torch.no_grad(),
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed),
            ):
                self._terms("generators", batch)
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
        if self.step >= first:
            for norm in norms:
                norm.eval()

    def _terms(self, side: str, batch: Any) -> dict[str, Tensor]:
        if side == "judges":
            return self.recipe.judge_terms(batch, self.step)
        if self._truth_alone():
            return self._truth_terms(batch)
        return self.recipe.generator_terms(batch, self.step)

    def _truth_alone(self) -> bool:
        return self.step < self.config.truth_alone_until * self.config.steps

    def _truth_terms(self, batch: Any) -> dict[str, Tensor]:
        terms = self.recipe.truth_terms(batch)
        if not terms:
            raise ConfigError(
                f"truth_alone_until = {self.config.truth_alone_until}: there is no truth to learn "
                "from; give a supervised_weight and --set data.pairs=renderer"
            )
        return terms

    @torch.no_grad()
    def _validate(self, log: RunLog, console: Console) -> dict[str, float]:
        self.recipe.generators.eval()
        samples: list[Sample] = []
        for index in range(self.config.validation_examples):
            batch = moved(collate([self.held_back[index]]), self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                samples += self.recipe.sample(batch)
        self.recipe.generators.train()
        figures = {**measure(samples), **self.learned_metrics.measure(samples)}
        log.validation(self.step, figures, samples)
        shown = " ".join(f"{k} {v:.2f}" for k, v in figures.items() if "before" not in k)
        console.print(f"step {self.step}: {shown}")
        return figures

    def _save(self, log: RunLog) -> None:
        log.flush()
        config = self.config
        facts = {"recipe": config.recipe, "width": config.width, "size": config.size}
        facts |= self.recipe.facts | self.origin
        folder = self.options.folder / "checkpoints"
        save_checkpoint(folder, self.step, self.networks, self.optimisers, facts)

    def _batches(self) -> Iterator[Any]:
        """Batches from the current step on; example numbers continue."""
        first, last = (step * self.config.batch for step in (self.step, self.config.steps))
        return iter(
            DataLoader(
                self.examples,
                batch_size=self.config.batch,
                sampler=range(first, last),
                collate_fn=collate,
                num_workers=self.options.workers,
                # its own generator: the loader must not draw from the run's random state
                generator=torch.Generator().manual_seed(self.config.seed),
            )
        )

    def _set_rate(self) -> None:
        config = self.config.optimiser
        done = self.step / self.config.steps
        share = 1.0
        if done > config.decay_from:
            share = (1 - done) / (1 - config.decay_from)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = config.rate * share

    def _datasets(self, collection: Collection) -> tuple[Dataset[Any], Dataset[Any]]:
        """Training and validation examples; an overfit check validates on its training examples."""
        config = self.config
        photos = {"photos": True, "renderer": False, "auto": bool(collection.made_up)}
        if config.data.pairs not in photos:
            raise ConfigError(
                f"data.pairs = {config.data.pairs!r}: expected one of {', '.join(photos)}"
            )
        from_photos = photos[config.data.pairs]

        def made(bare: Sequence[PortraitFile], made_up: Sequence[PortraitFile], o: ExampleOptions):
            return self.recipe.dataset(bare, made_up if from_photos else None, o)

        options = ExampleOptions(
            config.size, config.seed, config.data.regions, config.data.augment, config.triples
        )
        examples = made(collection.bare, collection.made_up, options)
        if config.triples:
            return examples, examples
        held = replace(
            options, seed=config.seed + VALIDATION_SEED, triples=config.validation_examples
        )
        try:
            return examples, made(collection.held_bare, collection.held_made_up, held)
        except BadDataError as error:
            raise BadDataError(
                f"validation: {error}; a tenth of the faces is held back, or the test lists"
            ) from error

    def _check_folder(self) -> None:
        folder, path = self.options.folder, self.options.folder / "config.json"
        if not path.is_file():
            return
        if not self.options.resume:
            raise TrainingError(
                f"{folder}: holds a run already; go on with it with --resume, "
                "or choose another folder with --out"
            )
        check_same_run(path.read_text(), self.config, folder)

    def _claim_folder(self) -> None:
        path = self.options.folder / "config.json"
        write_atomically(path, self.config.to_json().encode(), make_parents=True)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise InvalidInputError(f"device {name!r}: expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "device cuda: this PyTorch sees no NVIDIA GPU; install a CUDA build of PyTorch and "
            "check nvidia-smi, or use --device cpu"
        )
    return torch.device(name)


def _optimiser(config: OptimiserConfig, networks: nn.ModuleDict) -> Optimizer:
    parameters = [p for p in networks.parameters() if p.requires_grad]
    if config.name == "adam":
        return Adam(parameters, config.rate, config.betas, weight_decay=config.weight_decay)
    if config.name == "rmsprop":
        return RMSprop(parameters, config.rate, weight_decay=config.weight_decay)
    raise ConfigError(f"optimiser.name = {config.name!r}: expected adam or rmsprop")


@contextmanager
def _frozen(networks: nn.ModuleDict) -> Iterator[None]:
    """Disable gradients of these networks' weights inside the block."""
    trained = [p for p in networks.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
