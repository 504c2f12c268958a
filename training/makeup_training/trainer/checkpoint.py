"""Checkpoints from which a run resumes exactly: networks, optimisers, random states, step.

A checkpoint is a folder `step-00001000` of safetensors. It is written atomically, so the newest
folder of that name is always complete.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from makeup_kernels.files import aside
from makeup_training.checkpoints import (
    CheckpointError,
    assign,
    check_fit,
    read_metadata,
    read_tensors,
    save_weights,
)

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
        folder: folder of the run's checkpoints; created if missing.
        step: number of steps done.
        networks: networks by name; one file `NAME.safetensors` each.
        optimisers: optimisers by name, whose state is saved.
        facts: metadata of each network's file (width, size, data, ...).

    Returns:
        the checkpoint's folder.
    """
    target = folder / f"step-{step:08d}"
    if target.exists():
        return target
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
    with aside(target) as place:
        place.mkdir()
        for name, network in networks.items():
            save_weights(network, place / f"{name}.safetensors", metadata={**facts, "step": step})
        save_file({key: value.contiguous() for key, value in tensors.items()}, place / STATE)
        (place / FACTS).write_text(json.dumps({"step": step, "groups": groups}))
    for old in checkpoints(folder)[:-1]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def origin_of(path: Path, networks: Iterable[str]) -> dict[str, object]:
    """Licence and training data from a checkpoint's metadata, if stored.

    Args:
        path: the checkpoint's folder.
        networks: names of its networks; any of them may have the metadata.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    facts = read_metadata(path / f"{next(iter(networks))}.safetensors")
    return {key: facts[key] for key in ("licence", "training_data") if key in facts}


def load_checkpoint(
    path: Path, networks: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]
) -> int:
    """Restore networks, optimisers and random states from a checkpoint.

    On any error, all of them stay unchanged.

    Returns:
        the number of steps done.

    Raises:
        CheckpointError: a file is missing or damaged, or belongs to other networks.
    """
    weights = {name: read_tensors(path / f"{name}.safetensors") for name in networks}
    for name, network in networks.items():
        check_fit(network, weights[name], f"{path / name}.safetensors")
    before = {name: optimiser.state_dict() for name, optimiser in optimisers.items()}
    try:
        facts: dict[str, Any] = json.loads((path / FACTS).read_text())
        tensors = load_file(path / STATE)
        step = facts["step"]
        if type(step) is not int or step < 0:
            raise ValueError(f"step is {step!r}, expected a whole number")
        random = _random_streams(tensors)
        for name, optimiser in optimisers.items():
            state = _optimiser_state(name, tensors, optimiser)
            optimiser.load_state_dict({"state": state, "param_groups": facts["groups"][name]})
    except Exception as error:  # the readers raise almost any class on damaged bytes
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(before[name])
        raise CheckpointError(
            f"{path}: cannot read the state of the run ({FACTS}, {STATE}), damaged or of another "
            f"recipe: {type(error).__name__}: {error}"
        ) from error
    for name, network in networks.items():
        assign(network, weights[name], f"{path / name}.safetensors")
    for device, value in random.items():
        if device == "cpu":
            torch.set_rng_state(value)
        else:
            torch.cuda.set_rng_state(value, device)
    return step


def _optimiser_state(
    name: str, tensors: Mapping[str, Tensor], optimiser: Optimizer
) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state of each parameter: scalars, or tensors of the parameter's shape."""
    shapes = [value.shape for group in optimiser.param_groups for value in group["params"]]
    prefix = f"optimiser/{name}/"
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, field = key.removeprefix(prefix).split("/")
            if value.ndim and value.shape != shapes[int(index)]:
                raise ValueError(f"{key} has shape {tuple(value.shape)}")
            state.setdefault(int(index), {})[field] = value
    return state


def _random_streams(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Validated random states by device: of the CPU and of the GPUs present."""
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    states = {device: tensors.get(f"random/{device.replace(':', '/')}") for device in here}
    if states["cpu"] is None:
        raise ValueError("no state of the random stream")
    found = {device: state for device, state in states.items() if state is not None}
    for device, state in found.items():
        torch.Generator(device).set_state(state)
    return found
