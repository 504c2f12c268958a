"""A smooth model of a face's bare skin and light, fitted robustly to the skin.

Makeup is the difference from this model. The model includes side light and colour casts, so that
these are not transferred.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.light import luminance

_STEP = 4
_MIN_CELLS = 40
_ROUNDS = 4
_RIDGE = np.array([1e-3, 0.02, 0.02, 0.3, 0.3, 0.3], np.float32)
"""Ridge penalty of each term, per cell: stabilises the model where no skin is visible."""
_DARKEST, _BRIGHTEST = 1.6, 1.2
"""Log light: maximum deviation from the mean skin, for extrapolation."""


@cache
def _basis(size: int) -> FloatArray:
    """float32 (size², 6): 1, x, y, x², xy, y² at the cells' centres, x and y in [-1, 1]."""
    steps = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1
    x, y = np.meshgrid(steps, steps)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    return terms.reshape(-1, 6)


@dataclass(frozen=True)
class SkinTone:
    """Bare skin as a polynomial of the crop position, in log light.

    Lightness is of second order because a face is round. Colour is of first order: coloured light
    from two sides shades it from side to side, and any curvature is blush.

    Attributes:
        coefficients: float32 (6, 3), of 1, x, y, x², xy, y² per channel.
        mean: float32 (3,), log light of the typical skin cell.
    """

    coefficients: FloatArray
    mean: FloatArray

    @classmethod
    def fit(cls, light: FloatArray, regions: NDArray[np.uint8]) -> "SkinTone | None":
        """Fit to the skin of a crop; None if fewer than 40 cells of 4×4 pixels show skin.

        Iteratively re-weighted ridge regression with Tukey's biweight, so that shadows, beards,
        jewellery and blush have little weight.

        Args:
            light: float32 (256, 256, 3), log light.
            regions: uint8 (256, 256) region map.
        """
        size = CROP_SIZE // _STEP
        cells = cv2.resize(light, (size, size), interpolation=cv2.INTER_AREA).reshape(-1, 3)
        skin = (regions[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP] == Region.SKIN).reshape(-1)
        if int(skin.sum()) < _MIN_CELLS:
            return None
        basis, colors = _basis(size)[skin], cells[skin]
        ridge = np.diag(_RIDGE * len(colors))
        weights = np.ones(len(colors), np.float32)
        coefficients = np.zeros((6, 3), np.float32)
        for _ in range(_ROUNDS):
            weighted = basis * weights[:, None]
            normal, moments = weighted.T @ basis + ridge, weighted.T @ colors
            coefficients = np.linalg.solve(normal[:3, :3], moments[:3])
            coefficients = np.vstack([coefficients, np.zeros_like(coefficients)])
            lightness = luminance(colors) - basis @ luminance(coefficients)
            coefficients += np.linalg.solve(normal, weighted.T @ lightness)[:, None]
            residual = colors - basis @ coefficients
            distance = np.sqrt((residual * residual).sum(axis=1))
            width = max(3.0 * float(np.median(distance)), 0.15)
            weights = np.square(np.maximum(1 - np.square(distance / width), 0))
        mean = weights @ colors / max(float(weights.sum()), 1e-6)
        return cls(coefficients.astype(np.float32), mean.astype(np.float32))

    def over_crop(self) -> FloatArray:
        """float32 (256, 256, 3): the bare skin's log light over the whole crop.

        Computed on the cells and interpolated linearly.
        """
        size = CROP_SIZE // _STEP
        cells = (_basis(size) @ self.coefficients).reshape(size, size, 3)
        cells = np.clip(cells, self.mean - _DARKEST, self.mean + _BRIGHTEST)
        field: FloatArray = cv2.resize(cells, (CROP_SIZE, CROP_SIZE))
        return field
