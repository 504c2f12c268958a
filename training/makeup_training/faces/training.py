"""Shared by the face trainings: batches prepared ahead, and the loop."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from makeup_training.faces.checkpoints import (
    WeightAverage,
    learning_rate,
    load_training,
    save_training,
)

LOG_EVERY = 100

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a training.

    Attributes:
        steps: number of steps.
        rate: the highest learning rate.
        clip: maximum norm of the gradient.
        save_every: steps between checkpoints.
        report_every: steps between reports.
    """

    steps: int
    rate: float
    clip: float
    save_every: int
    report_every: int = 1000


class Ahead(Generic[Batch]):
    """Draws the next step's batch in its own thread while the current one is used.

    Args:
        draw: draws the batch of a step.
    """

    def __init__(self, draw: Callable[[int], Batch]) -> None:
        self._draw = draw
        self._painter = ThreadPoolExecutor(max_workers=1)
        self._following: Future[Batch] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of `step`, which must be one more than at the last call."""
        batch = self._following.result() if self._following else self._draw(step)
        self._following = self._painter.submit(self._draw, step + 1)
        return batch


class Training:
    """AdamW training of a network with averaged weights; resumes from a checkpoint.

    Args:
        network: in channels-last form.
        path: path of the checkpoint.
        schedule: see `Schedule`.
        facts: saved with the weights and the step.

    Attributes:
        first: the step it resumes from.
        average: moving average of the weights.
    """

    def __init__(
        self, network: nn.Module, path: Path, schedule: Schedule, facts: Mapping[str, int]
    ) -> None:
        self.network, self.path, self.schedule, self.facts = network, path, schedule, facts
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=schedule.rate, weight_decay=0.02
        )
        self.average = WeightAverage(network)
        self.first = load_training(path, network, self.optimiser, self.average)

    def run(
        self,
        losses_of: Callable[[int], Mapping[str, Tensor]],
        report: Callable[[Mapping[str, Tensor]], Mapping[str, float]],
    ) -> None:
        """Train to the last step, printing mean losses and reports.

        Args:
            losses_of: returns a step's losses by name; their sum is minimised.
            report: returns figures of averaged weights on held-back pictures.
        """
        steps = self.schedule.steps
        totals: dict[str, float] = {}
        began = time.time()
        for step in range(self.first, steps):
            for name, value in self._step(step, losses_of).items():
                totals[name] = totals.get(name, 0.0) + value
            done, last = step + 1, step + 1 == steps
            if done % LOG_EVERY == 0:
                line = " ".join(f"{name} {v / LOG_EVERY:.4f}" for name, v in totals.items())
                print(f"{done}/{steps} {time.time() - began:.0f}s {line}", flush=True)
                totals = {}
            if last or done % self.schedule.save_every == 0:
                facts = {"step": done, **self.facts}
                save_training(self.path, self.network, self.optimiser, self.average, facts)
            if last or done % self.schedule.report_every == 0:
                print(json.dumps({"step": done, **report(self.average.state)}), flush=True)

    def _step(
        self, step: int, losses_of: Callable[[int], Mapping[str, Tensor]]
    ) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, self.schedule.steps, self.schedule.rate)
        self.network.train()
        losses = losses_of(step)
        self.optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip)
        self.optimiser.step()
        self.average.update(self.network, step)
        return {name: float(value.detach()) for name, value in losses.items()}
