"""Layers of paint on a part of a face, and the resulting change of its light.

Pigment changes only reflectance, so the skin's pores, folds, shadows and highlights stay. Coverage
follows Kubelka-Munk theory: with the same opacity, a pastel covers dark skin like chalk and a dark
stain tints light skin like wine.
"""

from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Factor, Pigment, Shine, apply_color_map, paint_layers
from makeup_kernels.paint_layers import Layer
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.light import luminance

_ALL = slice(None)


@dataclass(frozen=True)
class Patch:
    """A factor on linear light over a part of the crop.

    Attributes:
        change: float32 (6, rows, columns), input of `makeup_kernels.apply_color_map`, BGR.
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
        change, matrix = self.laid(to_crop, color)
        apply_color_map(image, change, matrix, out=image, threads=threads)

    def laid(
        self, to_crop: NDArray[np.float64], color: str
    ) -> tuple[FloatArray, NDArray[np.float64]]:
        """The change in an image's channel order, and float64 (2, 3), image pixel to cell."""
        change = self.change
        if color == "rgb":
            change = np.ascontiguousarray(change[[2, 1, 0, 5, 4, 3]])
        matrix = self.matrix[:, :2] @ to_crop
        matrix[:, 2] += self.matrix[:, 2]
        return change, matrix


class Canvas:
    """Layers of paint over a part of a face; see `makeup_kernels.paint_layers`.

    Args:
        bare: float32 (h, w, 3), linear BGR of the bare skin.
        light: float32 (3,), the illuminant.
        base: luminance of the bare ground in even light; differences from it are shading.
        allowed: float32 (h, w) in [0, 1], scales every layer.
    """

    def __init__(
        self, bare: FloatArray, light: FloatArray, base: float, allowed: FloatArray
    ) -> None:
        self.allowed = allowed
        self.shade = np.maximum(luminance(bare) * np.float32(1 / base), np.float32(1e-3))
        """float32 (h, w): shading of the ground, around 1."""
        self._bare, self._light, self._base = bare, light, base
        self._layers: list[Layer] = []

    def paint(
        self,
        opacity: FloatArray,
        color: FloatArray,
        rows: slice = _ALL,
        *,
        amount: float = 1.0,
        hiding: float = 1.0,
        leveling: float = 0.15,
    ) -> None:
        """Paint a pigment.

        Args:
            opacity: float32 (n, w) in [0, 1].
            color: float32 (3,) or (3, n, w), linear BGR of a thick layer.
            rows: the n rows to paint.
            amount: strength of the layer in [0, 1.5]; above 1 it extrapolates beyond the paint.
            hiding: 1 for a product with white filler, which hides darker skin like chalk; near 0
                for a sheer one, which tints darker skin but barely lightens it.
            leveling: how much full coverage evens out the ground's shading.
        """
        opacity = opacity * self.allowed[rows]
        top = rows.start or 0
        self._layers.append(Pigment(opacity, color, amount, hiding, leveling, top))

    def scale(self, factor: FloatArray, amount: float = 1.0) -> None:
        """Multiply reflectance by a factor (h, w) or (3, h, w), scaled by `allowed`."""
        change = factor - np.float32(1)
        change *= self.allowed * np.float32(amount)
        change += np.float32(1)
        self._layers.append(Factor(change))

    def shine(
        self, amount: FloatArray, color: FloatArray | None = None, rows: slice = _ALL
    ) -> None:
        """Add reflected light: `amount` (n, w) of `rows` times the light, times a colour (3,)."""
        tint = np.ones(3, np.float32) if color is None else color.astype(np.float32)
        self._layers.append(Shine(amount * self.allowed[rows], tint, rows.start or 0))

    def clean(self) -> "Canvas":
        """The same ground without paint; shares its arrays."""
        canvas = copy(self)
        canvas._layers = []
        return canvas

    @cached_property
    def lit(self) -> FloatArray:
        """float32 (h, w): light on each cell, in [0.1, 1.5]; scales shine."""
        lit: FloatArray = np.minimum(np.maximum(self.shade, np.float32(0.1)), np.float32(1.5))
        return lit

    def patch(self, matrix: NDArray[np.float64]) -> Patch:
        """The change as a patch; `matrix` (2, 3) is crop pixel to cell."""
        return Patch(paint_layers(self._bare, self._light, self._base, self._layers), matrix)
