"""What a `mobile` look consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_sdk.faces.types import FloatArray, Image
from makeup_sdk.mobile.layout import GRID, template_cells

CODES = 16
_LARGEST = 16
"""Of the reader's codes, which stay within 3 on photos."""


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

    def swatch(self) -> Image:
        """uint8 (256, 256, 3), BGR: the look on a shipped bare face."""
        from makeup_sdk.mobile.model import swatch

        return swatch(self)
