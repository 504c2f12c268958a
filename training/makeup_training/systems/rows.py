"""Memory-mapped rows of arrays on disk: storage of preprocessed faces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from makeup_training.data.portraits import BadDataError

COUNT = "count.txt"
"""File with the number of rows; written last."""

Fields: TypeAlias = Mapping[str, tuple[tuple[int, ...], type]]
"""Shape of a row and dtype, by name."""


def create_rows(folder: Path, fields: Fields, rows: int) -> dict[str, NDArray[Any]]:
    """Create arrays to fill, one file each, with at most `rows` rows."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=kind, shape=(rows, *shape)
        )
        for name, (shape, kind) in fields.items()
    }


def close_rows(folder: Path, arrays: Mapping[str, NDArray[Any]], count: int) -> None:
    """Flush the arrays, then store the number of filled rows."""
    for array in arrays.values():
        assert isinstance(array, np.memmap)
        array.flush()
    (folder / COUNT).write_text(str(count))


def open_rows(folder: Path, fields: Fields, what: str) -> dict[str, NDArray[Any]]:
    """The filled rows, read-only.

    Args:
        folder: folder of the arrays.
        fields: see `Fields`.
        what: name of the rows, for messages.

    Raises:
        BadDataError: the folder holds none.
    """
    if not (folder / COUNT).is_file():
        raise BadDataError(f"{folder}: no {what}; `makeup-train` writes them")
    count = int((folder / COUNT).read_text())
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r")[:count] for name in fields}
