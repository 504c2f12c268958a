"""The bare face: the median fields of many faces that wear no makeup.

Lips are darker than skin, lids and brows lie in shade, on every face. Only what goes beyond this is
makeup. Made by `python -m makeup_sdk.models.classic.build_bare_face`.
"""

from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import MakeupError
from makeup_sdk.makeup.fields import FIELD_SIZE

FILE = "bare_face.npz"


@cache
def bare_face() -> NDArray[np.float32]:
    """float32 (3, 128, 128): `MakeupFields.fields` of a typical bare face, read-only."""
    with (
        resources.as_file(resources.files(__package__) / FILE) as path,
        np.load(path, allow_pickle=False) as data,
    ):
        fields: NDArray[np.float32] = data["fields"].astype(np.float32)
    if fields.shape != (3, FIELD_SIZE, FIELD_SIZE):
        raise MakeupError(f"{FILE}: shape {fields.shape}; the package is damaged, reinstall it")
    fields.setflags(write=False)
    return fields
