"""Checkpoints from which a run goes on exactly: networks, optimisers, random streams, step.

A checkpoint is a folder `step-00001000` of safetensors. It is written aside and renamed into place,
so at any moment the newest folder of that name is whole.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from makeup_training.checkpoints import CheckpointError, load_weights, save_weights

STATE = "state.safetensors"
FACTS = "state.json"


def save_checkpoint(
    folder: Path,
    step: int,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, Optimizer],
    facts: Mapping[str, object],
) -> Path:
    """Write a checkpoint and remove older ones.

    Args:
        folder: of the run's checkpoints; made.
        step: steps done.
        networks: one file each, `NAME.safetensors`.
        optimisers: their state.
        facts: metadata of each network's file (width, size, data, ...).

    Returns:
        the checkpoint's folder.
    """
    target = folder / f"step-{step:08d}"
    if target.exists():
        return target
    aside = folder / f".writing-{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, network in networks.items():
        save_weights(network, aside / f"{name}.safetensors", metadata={**facts, "step": step})
    tensors: dict[str, Tensor] = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        for i, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{i}"] = state
    groups = {}
    for name, optimiser in optimisers.items():
        state_dict = optimiser.state_dict()
        groups[name] = state_dict["param_groups"]
        for index, values in state_dict["state"].items():
            for key, value in values.items():
                tensors[f"optimiser/{name}/{index}/{key}"] = torch.as_tensor(value).cpu()
    save_file({key: value.contiguous() for key, value in tensors.items()}, aside / STATE)
    (aside / FACTS).write_text(json.dumps({"step": step, "groups": groups}))
    os.replace(aside, target)
    for old in checkpoints(folder)[:-1]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def load_checkpoint(
    path: Path, networks: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]
) -> int:
    """Take up networks, optimisers and random streams where a checkpoint left them.

    Returns:
        steps done.

    Raises:
        CheckpointError: a file is missing or damaged, or belongs to other networks.
    """
    for name, network in networks.items():
        load_weights(network, path / f"{name}.safetensors")
    try:
        facts: dict[str, Any] = json.loads((path / FACTS).read_text())
        tensors = load_file(path / STATE)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot read the state of the run: {error}") from error
    for name, optimiser in optimisers.items():
        prefix = f"optimiser/{name}/"
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, field = key.removeprefix(prefix).split("/")
                state.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({"state": state, "param_groups": facts["groups"][name]})
    torch.set_rng_state(tensors["random/cpu"])
    cuda = [value for key, value in sorted(tensors.items()) if key.startswith("random/cuda/")]
    if cuda and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(cuda)
    return int(facts["step"])
