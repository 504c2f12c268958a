"""Memory-mapped rows of arrays on disk: storage of preprocessed faces."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from makeup_training.data.portraits import BadDataError

COUNT = "count.txt"
"""File with the number of rows; written last."""

Fields: TypeAlias = Mapping[str, tuple[tuple[int, ...], type]]
"""Shape of a row and dtype, by name."""


def write_rows(
    folder: Path, fields: Fields, at_most: int, rows: Iterable[Mapping[str, Any]]
) -> int:
    """Write rows to a folder, one file per array; returns the number of rows.

    Args:
        folder: created if missing.
        fields: see `Fields`.
        at_most: upper bound of the number of rows; the files' size.
        rows: each has a value for every field.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=kind, shape=(at_most, *shape)
        )
        for name, (shape, kind) in fields.items()
    }
    count = 0
    for row in rows:
        for name, value in row.items():
            arrays[name][count] = value
        count += 1
    for array in arrays.values():
        assert isinstance(array, np.memmap)
        array.flush()
    (folder / COUNT).write_text(str(count))
    return count


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
