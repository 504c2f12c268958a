"""Read published checkpoints and our own; write our own.

Published files are PyTorch pickles, read only with `weights_only=True`; our own are safetensors.
"""

import json
import os
import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from makeup_kernels.errors import MakeupError
from makeup_kernels.files import aside
from makeup_training.networks.portrait_edit import PortraitEditor
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.ssat import SSATGenerator

PSGAN_DEAD_KEYS = tuple(
    f"atten_bottleneck_{map_}.g.{leaf}" for map_ in "gb" for leaf in ("weight", "bias")
)
"""Unused weights in published PSGAN files."""


class CheckpointError(MakeupError):
    """A checkpoint is missing, unreadable, unsafe, or does not fit its network."""


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a flat checkpoint: a safetensors file or a pickled `state_dict`.

    Args:
        path: `.safetensors`, or any other suffix for a PyTorch file.

    Returns:
        tensors on the CPU by key.

    Raises:
        CheckpointError: missing, damaged, not safe to load, or not a flat table of tensors.
    """
    content = _read(Path(path))
    wrong = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointError(
            f"{path}: expected a table of tensors, but {_listed(wrong)} hold something else; "
            "if this is a checkpoint of several networks, use the loader of its system"
        )
    return content


def load_weights(
    network: nn.Module, path: str | os.PathLike[str], *, ignore: Iterable[str] = ()
) -> None:
    """Load a flat checkpoint into a network, in place.

    Args:
        network: the network; its device and dtype are kept.
        path: as in `read_tensors`.
        ignore: keys that only the file or only the network may have.

    Raises:
        CheckpointError: see `read_tensors` and `assign`.
    """
    assign(network, read_tensors(path), str(path), ignore=ignore)


def assign(
    network: nn.Module, tensors: Mapping[str, Tensor], origin: str, *, ignore: Iterable[str] = ()
) -> None:
    """Copy tensors into a network: all of them, or none if any does not fit.

    Args:
        network: the network to fill.
        tensors: by key of its `state_dict`.
        origin: names the tensors' source in an error.
        ignore: keys that only one side may have.

    Raises:
        CheckpointError: see `check_fit`.
    """
    check_fit(network, tensors, origin, ignore=ignore)
    state = network.state_dict()
    with torch.no_grad():
        for key in state.keys() & tensors.keys() - set(ignore):
            state[key].copy_(tensors[key])


def check_fit(
    network: nn.Module, tensors: Mapping[str, Tensor], origin: str, *, ignore: Iterable[str] = ()
) -> None:
    """Check that tensors fit a network; arguments as in `assign`.

    Raises:
        CheckpointError: naming missing keys, unexpected keys and wrong shapes, eight of each.
    """
    state = network.state_dict()
    ignored = set(ignore)
    missing = [k for k in state if k not in tensors and k not in ignored and not _optional(k)]
    unexpected = [k for k in tensors if k not in state and k not in ignored and not _optional(k)]
    shapes = [
        f"{k} {tuple(tensors[k].shape)} instead of {tuple(state[k].shape)}"
        for k in state
        if k in tensors and k not in ignored and tensors[k].shape != state[k].shape
    ]
    problems = [
        f"{name}: {_listed(keys)}"
        for name, keys in (("missing", missing), ("unexpected", unexpected), ("shape", shapes))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{origin} does not fit {type(network).__name__}: {'; '.join(problems)}. "
            "Check that the file belongs to this network and that the width is that of the file"
        )


def load_psgan(network: PSGANGenerator, path: str | os.PathLike[str]) -> None:
    """Load a PSGAN generator (`G.pth`); its unused keys are ignored.

    Raises:
        CheckpointError: see `load_weights`.
    """
    load_weights(network, path, ignore=PSGAN_DEAD_KEYS)


def load_ssat(network: SSATGenerator, path: str | os.PathLike[str]) -> None:
    """Load a published SSAT checkpoint: one `state_dict` for each of five sub-networks.

    The file does not say which soft-max axis it was trained with: `SSAT.pth` needs
    `SSATGenerator(softmax_dim=2)`, `00999.pth` needs 1.

    Raises:
        CheckpointError: a sub-network is missing, or see `assign`.
    """
    content = _read(Path(path))
    names = [name for name, _ in network.named_children()]
    missing = [name for name in names if not isinstance(content.get(name), Mapping)]
    if missing:
        raise CheckpointError(
            f"{path}: expected the sub-networks {_listed(names)}, missing: {_listed(missing)}"
        )
    tensors = {f"{name}.{key}": value for name in names for key, value in content[name].items()}
    assign(network, tensors, str(path))


def load_portrait_editor(network: PortraitEditor, directory: str | os.PathLike[str]) -> None:
    """Load the published files `latest_net_<name>.pth` of all sub-networks from a directory.

    The image decoders, needed only in training, may all be absent.

    Raises:
        CheckpointError: a file is missing, or see `load_weights`.
    """
    folder = Path(directory)
    files = {name: folder / f"latest_net_{name}.pth" for name, _ in network.named_children()}
    image_decoders = [path for name, path in files.items() if name.endswith("_image")]
    if not any(path.exists() for path in image_decoders):
        files = {name: path for name, path in files.items() if not name.endswith("_image")}
    missing = [path.name for path in files.values() if not path.exists()]
    if missing:
        raise CheckpointError(f"{folder}: expected one file a network, missing: {_listed(missing)}")
    for name, path in files.items():
        load_weights(network.get_submodule(name), path)


def save_weights(
    network: nn.Module,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, object] | None = None,
) -> None:
    """Write a network's `state_dict` as safetensors, atomically.

    Args:
        network: the network.
        path: the file, `.safetensors`; its folder is created.
        metadata: facts to store with the weights (width, step, training data, licence), as JSON
            values; `read_metadata` returns them.

    Raises:
        CheckpointError: a name that does not end in `.safetensors`.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target}: expected a name that ends in .safetensors")
    tensors = {
        key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()
    }
    texts = {key: json.dumps(value) for key, value in (metadata or {}).items()}
    with aside(target) as place:
        save_file(tensors, place, metadata=texts)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, object]:
    """The metadata that `save_weights` stored in a safetensors file.

    Raises:
        CheckpointError: no such file, or not one that `save_weights` wrote.
    """
    try:
        with safe_open(path, "pt") as file:
            return {key: json.loads(text) for key, text in (file.metadata() or {}).items()}
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot read its metadata: {_first_line(error)}") from error


def _read(path: Path) -> dict[str, object]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected a checkpoint")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: refused, as it holds more than tensors and plain containers "
            f"(weights_only): {_first_line(error)}"
        ) from error
    except Exception as error:  # the readers raise almost any class on damaged bytes
        raise CheckpointError(
            f"{path}: damaged or not a checkpoint: {_first_line(error)}"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a table of tensors, got {type(content).__name__}")
    return content


def _optional(key: str) -> bool:
    # counters of batch norms; older files lack them
    return key.endswith("num_batches_tracked")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])
