"""A part of a face that layers of paint are put on, and the change of its light they make.

Pigment changes reflectance alone, so pores, folds, shadows and highlights of the skin stay where
they are. Coverage follows Kubelka-Munk theory: a pastel covers dark skin as chalk does and a dark
stain sinks into light skin as wine does, from one opacity.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import apply_color_map
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.light import kubelka_munk, luminance, planar_luminance

_HIGHLIGHT = (1.15, 0.45)
"""Shading from which light counts as a reflection off the surface, which paint does not change, and
the share of it beyond that still is shading."""
_DARKEST_FACTOR, _BRIGHTEST_FACTOR = 0.004, 12.0
_FAINTEST = 6e-4
"""Gain below which no pixel moves by a whole step."""
_OFFSET = np.float32(0.055 * 255)
"""sRGB is (1.055 · light^(1/2.4) − 0.055): a factor on light is a factor on code + this."""


@dataclass(frozen=True)
class Patch:
    """A factor on linear light over a part of the crop.

    Attributes:
        change: float32 (6, rows, columns), as `makeup_kernels.apply_color_map` takes it, BGR.
        matrix: float64 (2, 3), crop pixel to cell.
    """

    change: FloatArray
    matrix: NDArray[np.float64]

    def put(
        self, image: Image, to_crop: NDArray[np.float64], *, color: str, threads: int | None
    ) -> None:
        """Multiply the light of an image, in place.

        Args:
            image: uint8 (H, W, 3).
            to_crop: float64 (2, 3), image pixel to crop pixel.
            color: channel order of the image, "bgr" or "rgb".
            threads: CPU threads; None: one per core.
        """
        change = self.change
        if color == "rgb":
            change = np.ascontiguousarray(change[[2, 1, 0, 5, 4, 3]])
        matrix = self.matrix[:, :2] @ to_crop
        matrix[:, 2] += self.matrix[:, 2]
        apply_color_map(image, change, matrix, out=image, threads=threads)


class Canvas:
    """Layers of paint over a part of a face.

    Args:
        bare: float32 (h, w, 3), linear BGR of the bare skin there.
        light: float32 (3,), the light that falls on it.
        base: luminance that the bare ground sends in even light. What differs is shading.
        allowed: float32 (h, w) in [0, 1], scales every layer.
    """

    def __init__(
        self, bare: FloatArray, light: FloatArray, base: float, allowed: FloatArray
    ) -> None:
        self.allowed = allowed
        self.shade = np.maximum(luminance(bare) * np.float32(1 / base), 1e-3)
        start, share = _HIGHLIGHT
        self._diffuse = np.minimum(self.shade, (1 - share) * start + share * self.shade)
        planes = np.stack(cv2.split(bare))
        planes /= self.shade * light[:, None, None]
        self._bare = cv2.max(cv2.min(planes.reshape(-1), 0.97), 4e-3).reshape(planes.shape)
        self._ground = self._bare
        self._levelled: FloatArray | None = None
        self._shine: FloatArray | None = None

    def paint(
        self,
        opacity: FloatArray,
        color: FloatArray,
        *,
        amount: float = 1.0,
        hiding: float = 1.0,
        leveling: float = 0.15,
    ) -> None:
        """Lay a pigment.

        Args:
            opacity: float32 (h, w) in [0, 1].
            color: float32 (3,) or (3, h, w), linear BGR of a thick layer.
            amount: strength of the layer in [0, 1.5]; beyond 1 it goes further than the paint.
            hiding: 1 for a product full of white filler, which hides darker skin as chalk does;
                toward 0 for a sheer one, which tints skin darker than itself but barely lightens.
            leveling: how far a full cover evens out the ground's light and dark.
        """
        opacity = opacity * self.allowed
        rows, columns = _box(opacity)
        if rows.stop <= rows.start:
            return
        opacity = np.minimum(opacity[rows, columns], 1.0) * np.float32(min(amount, 1.0))
        color = color[:, None, None] if color.ndim == 1 else color[:, rows, columns]
        ground = self._ground[:, rows, columns]
        if hiding < 1:
            lighter = planar_luminance(color) / np.maximum(planar_luminance(ground), 0.01)
            color = color * cv2.pow(np.maximum(lighter, 1.0), hiding - 1.0)
        painted = kubelka_munk(ground, color, opacity)
        if amount > 1:
            painted *= np.power(painted / ground, amount - 1.0)
        if self._ground is self._bare:
            self._ground = self._bare.copy()
        self._ground[:, rows, columns] = painted
        if leveling > 0:
            if self._levelled is None:
                self._levelled = np.zeros_like(self.shade)
            self._levelled[rows, columns] += np.float32(leveling * max(amount, 1.0)) * opacity

    def scale(self, factor: FloatArray, amount: float = 1.0) -> None:
        """Multiply reflectance by factor (h, w) or (3, h, w) where paint is allowed."""
        change = (factor - 1.0) * (self.allowed * np.float32(amount))
        change += 1.0
        self._ground = self._ground * np.maximum(change, 0.02)

    def shine(self, amount: FloatArray, color: FloatArray | None = None) -> None:
        """Add reflected light: `amount` (h, w) times the light, times a colour (3,) if given."""
        if self._shine is None:
            self._shine = np.zeros_like(self._bare)
        tint = np.ones(3, np.float32) if color is None else color.astype(np.float32)
        self._shine += (amount * self.allowed) * tint[:, None, None]

    @property
    def lit(self) -> FloatArray:
        """float32 (h, w): how much light falls on each place, in [0.1, 1.5]; what shine follows."""
        lit: FloatArray = np.minimum(np.maximum(self.shade, 0.1), 1.5)
        return lit

    def factor(self) -> FloatArray:
        """float32 (3, h, w): the light of the painted face over that of the bare one."""
        change = self._ground / self._bare
        if self._levelled is not None:
            change *= cv2.exp(-self._levelled * cv2.log(self._diffuse))
        change -= 1.0
        change *= self._diffuse / self.shade
        change += 1.0
        if self._shine is not None:
            change += self._shine / (self.shade * self._bare)
        limited: FloatArray = np.minimum(np.maximum(change, _DARKEST_FACTOR), _BRIGHTEST_FACTOR)
        return limited

    def patch(self, matrix: NDArray[np.float64]) -> Patch:
        """The change as a patch; `matrix` (2, 3) is crop pixel to cell."""
        factor = self.factor()
        shape = factor.shape
        gain = cv2.pow(factor.reshape(-1, shape[2]), 1 / 2.4).reshape(shape)
        gain -= 1.0
        gain *= np.abs(gain).max(axis=0) > _FAINTEST
        gain[:, [0, -1]] = 0.0
        gain[:, :, [0, -1]] = 0.0
        return Patch(np.concatenate([gain, gain * _OFFSET]), matrix)


def _box(weights: FloatArray) -> tuple[slice, slice]:
    """Rows and columns in which weights are above 0.002; both empty if none are."""
    there = weights > 0.002
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
