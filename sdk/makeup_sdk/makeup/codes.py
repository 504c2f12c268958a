"""What a `mobile` look consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.layout import FaceLayout
from makeup_sdk.faces.template import template_landmarks, template_regions

CODES = 16
_LARGEST = 16
"""Of the reader's codes, which stay within 3 on photos."""
STRIDE = 4
"""Crop pixels per cell."""
GRID = CROP_SIZE // STRIDE


@cache
def template_layout() -> FaceLayout:
    """The template face that codes are stored on; of its skin, one cell in four.

    Blush and foundation are smooth, and a quarter of the cells makes the morph four times cheaper.
    """
    regions = template_regions().copy()
    rows, columns = np.indices(regions.shape) // STRIDE % 2
    regions[(regions == Region.SKIN) & ((rows > 0) | (columns > 0))] = Region.NONE
    regions.setflags(write=False)
    return FaceLayout(template_landmarks(), regions)


def template_cells() -> NDArray[np.uint8]:
    """uint8 (64, 64): the regions of the template's cells."""
    return template_layout().regions[::STRIDE, ::STRIDE]


@dataclass(frozen=True)
class MobileMakeup:
    """The makeup of one reference, as the reader network's codes on the template face.

    Attributes:
        codes: float32 (16, 64, 64); 0 outside the template's regions.
    """

    kind: ClassVar[str] = "mobile"

    codes: FloatArray

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See `Makeup.to_arrays`."""
        return {"codes": self.codes.astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "MobileMakeup":
        """See `Makeup.from_arrays`."""
        codes = arrays["codes"]
        if codes.shape != (CODES, GRID, GRID) or codes.dtype != np.float16:
            raise ValueError(
                f"codes is {codes.dtype} {codes.shape}, expected float16 {(CODES, GRID, GRID)}"
            )
        if not (np.abs(codes) <= _LARGEST).all():
            raise ValueError(f"codes has values out of [{-_LARGEST}, {_LARGEST}]")
        return cls(codes.astype(np.float32))

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple["MobileMakeup", float]]]) -> "MobileMakeup":
        """Average codes region by region; the shares of a region are normalised to sum 1."""
        cells = template_cells()
        codes = np.zeros((CODES, GRID, GRID), np.float32)
        for region, parts in shares.items():
            total = sum(share for _, share in parts)
            inside = cells == region
            for makeup, share in parts:
                codes[:, inside] += makeup.codes[:, inside] * np.float32(share / total)
        return cls(codes)
