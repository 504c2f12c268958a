"""Block shapes: timed once per device and problem, remembered on disk.

One JSON file per device, written aside and renamed, so that it is whole or absent; a damaged one
is ignored and written anew. Where nothing can be timed (in the interpreter, while a CUDA graph is
captured, while launches are only recorded) the first candidate is taken.
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
    """The fastest of some block shapes for an operation.

    Args:
        operation: its name.
        facts: what the choice depends on, besides the device: sizes, dtypes.
        tiles: candidates; one that needs more than the device has is passed over.
        run: runs the operation with a candidate, to be timed.
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
    """Where the choices for the current device lie.

    In MAKEUP_CACHE, else in `makeup-sdk` of the user's cache folder; named by the device and by
    the versions of Triton and of its CUDA driver interface.
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
    """A folder that cannot be written costs a timing per process."""
    text = json.dumps({key: dict(tile) for key, tile in choices.items()}, indent=1)
    with contextlib.suppress(OutputError):
        write_atomically(path, text.encode(), make_parents=True)
