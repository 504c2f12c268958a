"""Block shapes: timed once per device and problem, cached on disk.

One JSON file per device, written atomically; a damaged file is ignored and rewritten. When timing
is impossible (in the interpreter, during CUDA graph capture, while launches are recorded) the first
candidate is used.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from makeup_kernels.errors import OutputError
from makeup_kernels.files import write_atomically
from makeup_kernels.triton import interpreted, recording

Tile = Mapping[str, int]

_known: dict[Path, dict[str, Tile]] = {}


def tuned(
    operation: str, facts: Sequence[object], tiles: Sequence[Tile], run: Callable[[Tile], None]
) -> Tile:
    """The fastest block shape for an operation.

    Args:
        operation: its name.
        facts: what the choice depends on besides the device: sizes, dtypes.
        tiles: candidates; those that need more than the device has are skipped.
        run: runs the operation with a candidate.
    """
    import torch

    if interpreted() or recording():
        return tiles[0]
    path = choices_file()
    choices = _known.setdefault(path, _read(path))
    key = " ".join([operation, *map(str, facts)])
    chosen = choices.get(key)
    if chosen is not None and chosen in tiles:
        return chosen
    if torch.cuda.is_current_stream_capturing():
        return tiles[0]
    choices[key] = _fastest(tiles, run)
    _write(path, choices)
    return choices[key]


def choices_file() -> Path:
    """Path of the current device's choices.

    In MAKEUP_CACHE, else in `makeup-sdk` of the user's cache folder; named after the device and the
    versions of Triton and of its CUDA driver interface.
    """
    import torch
    import triton

    own = os.environ.get("MAKEUP_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(own) if own else (Path(base) if base else Path.home() / ".cache") / "makeup-sdk"
    name = f"{torch.cuda.get_device_name()} triton {triton.__version__}"
    return folder / "triton" / (re.sub(r"[^A-Za-z0-9.]+", "-", name) + ".json")


def _fastest(tiles: Sequence[Tile], run: Callable[[Tile], None]) -> Tile:
    from triton.runtime.errors import OutOfResources, PTXASError
    from triton.testing import do_bench

    times: list[tuple[float, int]] = []
    for number, tile in enumerate(tiles):
        try:
            times.append((float(do_bench(lambda tile=tile: run(tile), warmup=5, rep=20)), number))
        except (OutOfResources, PTXASError):
            continue
    return tiles[min(times)[1]] if times else tiles[0]


def _read(path: Path) -> dict[str, Tile]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _write(path: Path, choices: Mapping[str, Tile]) -> None:
    """Store the choices; if the folder is not writable, each process times again."""
    text = json.dumps({key: dict(tile) for key, tile in choices.items()}, indent=1)
    with contextlib.suppress(OutputError):
        write_atomically(path, text.encode(), make_parents=True)
