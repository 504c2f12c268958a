"""How the codes of a look are laid out: on the template face, and from there on any other.

The position-only attentive morph (C = 0), one call for each part of the face, placed by that
part's own landmarks. All grids have a stride of 4 crop pixels.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_sdk.faces import layout
from makeup_sdk.faces.layout import FaceLayout, LaidFields, Placement
from makeup_sdk.faces.types import CropGrid
from makeup_sdk.makeup.codes import GRID, STRIDE

FloatArray = NDArray[np.float32]

CHANGE_GRIDS = {
    "face": CropGrid(0, 0, 128, 128, cell=2),
    "lips": CropGrid(160, 88, 48, 80, cell=1),
    "eyes": CropGrid(80, 64, 56, 128, cell=1),
}
"""Of the changes that the painter answers with: skin and brows, lips, eyes. The windows of lips and
eyes hold 999 of 1000 of their pixels on the training faces."""

_SKIN_TEMPERATURE = 150.0
"""A standard deviation of about 6 pixels: skin codes are smooth, and lie 8 pixels apart."""


def _coarser(placement: Placement) -> Placement:
    if placement.regions == (Region.SKIN,):
        return replace(placement, stride=STRIDE, temperature=_SKIN_TEMPERATURE)
    return replace(placement, stride=STRIDE)


PLACEMENTS = tuple(_coarser(placement) for placement in layout.PLACEMENTS)


class LaidCodes:
    """The codes of one face, packed so that they can be laid out on any other.

    Args:
        codes: float32 (V, 64, 64).
        face: where they lie.
        threads: CPU threads; None: one per core.
    """

    def __init__(self, codes: FloatArray, face: FaceLayout, threads: int | None = None) -> None:
        self._fields = LaidFields(codes, face, PLACEMENTS, STRIDE, threads)
        self._count = codes.shape[0]

    def on(self, face: FaceLayout) -> FloatArray:
        """float32 (V, 64, 64): the codes on another face; 0 outside its regions."""
        laid = np.zeros((self._count, GRID, GRID), np.float32)
        for _, _, values in self._fields.on(face):
            laid += values
        return laid
