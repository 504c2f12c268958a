"""Shared by the face trainings: moving-average weights, atomic checkpoints, learning rates."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from makeup_kernels.files import aside


class WeightAverage:
    """Exponential moving average of a network's state (EMA), warmed up over the first steps."""

    def __init__(self, network: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the network's current weights."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value.detach(), share)
            else:
                self.state[name].copy_(value)


def learning_rate(step: int, steps: int, peak: float, warm_up: int = 200) -> float:
    """Linear warm-up, then cosine decay to 1 % of the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically."""
    with aside(path) as place:
        torch.save(state, place)


def save_training(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: WeightAverage,
    facts: dict[str, int],
) -> None:
    """Save what `load_training` and export need; `facts` includes at least the step."""
    states = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
    save_atomically(states | {"average": average.state} | facts, path)


def load_training(
    path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, average: WeightAverage
) -> int:
    """Resume a training from its checkpoint; returns the step, 0 without a checkpoint."""
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True)
    network.load_state_dict(saved["network"])
    optimiser.load_state_dict(saved["optimiser"])
    average.state = saved["average"]
    step = int(saved["step"])
    print(f"resumed at step {step}", flush=True)
    return step
