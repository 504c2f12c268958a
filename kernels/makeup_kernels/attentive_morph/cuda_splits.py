"""How many warps share the keys of one tile of queries: a rule, or measured once per GPU.

`python -m makeup_kernels.attentive_morph.cuda_measure` measures on the first GPU and stores the
choices beside the compiled kernels. The choice changes only the last bits of results.
"""

import json

from makeup_kernels.cuda.code import compiled_folder
from makeup_kernels.cuda.driver import Gpu
from makeup_kernels.files import write_atomically

CANDIDATES = (1, 2, 4, 8)
"""A block has 8 warps."""

CHOICES = "attentive_morph.choices.json"

_known: dict[tuple[str, str], dict[str, int]] = {}


def choose_splits(gpu: Gpu, kernel: str, tiles: int) -> int:
    """The choice measured on this GPU for a kernel and number of tiles, else by rule."""
    place = str(compiled_folder() / CHOICES), gpu.name()
    if place not in _known:
        _known[place] = _read(*place)
    measured = _known[place].get(choice_key(kernel, tiles))
    return measured if measured in CANDIDATES else splits_by_rule(tiles, gpu.processors())


def splits_by_rule(tiles: int, processors: int) -> int:
    """The fewest splits that still give every multiprocessor two blocks.

    Fewer splits share more keys in the cache; too few blocks leave the GPU idle.
    """
    for splits in CANDIDATES:
        if tiles * splits >= 2 * CANDIDATES[-1] * processors:
            return splits
    return CANDIDATES[-1]


def choice_key(kernel: str, tiles: int) -> str:
    """The key under which a choice is stored."""
    return f"{kernel} {tiles}"


def _read(path: str, gpu: str) -> dict[str, int]:
    """The stored choices for a GPU; none if the file is missing or damaged."""
    try:
        with open(path) as file:
            found = json.load(file)[gpu]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def keep_choices(gpu: str, choices: dict[str, int]) -> None:
    """Store the choices for a GPU; those for other GPUs stay."""
    path = compiled_folder() / CHOICES
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        kept = {}
    write_atomically(path, (json.dumps({**kept, gpu: choices}, indent=1) + "\n").encode())
    _known.clear()
