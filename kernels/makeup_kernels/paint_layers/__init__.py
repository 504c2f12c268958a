"""Paint layers: put pigments, factors and shine over a ground and compute how its colours change.

A cell of the ground reflects the light B (linear, per channel) under an illuminant L. Its luminance
Y(B), relative to the ground's luminance in even light Y₀, separates shading and reflectance:

    s = max(Y(B) / Y₀, 0.001)        d = min(s, 0.6325 + 0.45 · s)        R = clip(B / (s · L))

R is within [0.004, 0.97]. d is the shading without specular reflections. Layers are applied in
order; G is the reflectance so far, initially R, and v the levelling, initially 0.

- A pigment with colour C (Kubelka & Munk, 1931) and opacity o = min(opacity, 1) · min(amount, 1):

      C' = clip(C · max(Y(C) / max(Y(G), 0.01), 1)^(hiding − 1))        within [0.012, 0.95]
      a = (1/C' + C') / 2,  b = (1/C' − C') / 2
      P = (o · (1 − a · G) + b · G) / (o · (a − G) + b)
      G ← P · (P / G)^max(amount − 1, 0),     v ← v + leveling · max(amount, 1) · o

  where o > 0; elsewhere nothing changes.
- A factor f: G ← G · max(f, 0.02).
- Shine of amount m and colour T: H ← H + m · T, H initially 0.

The ratio of the painted cell's light to the bare cell's is

    F = clip(1 + (G / R · d^(−v) − 1) · d / s + H / (s · R))        within [0.004, 12]

The result expresses F on sRGB code values, as `apply_color_map` expects: the gain F^(1/2.4) − 1 and
the offset 0.055 · 255 · gain; 0 where no channel's gain exceeds 6e-4, and on the border.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.dispatch import _cpu, cpu_isa
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array

__all__ = ["Factor", "Layer", "Pigment", "Shine", "paint_layers"]


class Pigment(NamedTuple):
    """A paint.

    Attributes:
        opacity: float32 (n, w), at least 0, of n rows of the ground.
        color: float32 (3,) or (3, n, w), linear, of a thick layer.
        amount: strength in [0, 1.5]; above 1 it extrapolates beyond the paint's own effect.
        hiding: in [0, 1]: 1 hides darker grounds like chalk; near 0 it barely lightens them.
        leveling: how much full coverage evens out the ground's light and dark.
        top: the first row that it covers.
    """

    opacity: NDArray[np.float32]
    color: NDArray[np.float32]
    amount: float = 1.0
    hiding: float = 1.0
    leveling: float = 0.0
    top: int = 0


class Factor(NamedTuple):
    """A factor on reflectance: float32 (h, w) or (3, h, w)."""

    values: NDArray[np.float32]


class Shine(NamedTuple):
    """Reflected light.

    Attributes:
        amount: float32 (n, w), fraction of the incident light, for n rows of the ground.
        color: float32 (3,), of the reflection.
        top: the first row that it covers.
    """

    amount: NDArray[np.float32]
    color: NDArray[np.float32]
    top: int = 0


Layer: TypeAlias = Pigment | Factor | Shine


def paint_layers(
    bare: NDArray[np.float32],
    light: NDArray[np.float32],
    base: float,
    layers: Sequence[Layer],
) -> NDArray[np.float32]:
    """Colour change of a ground under layers of paint, in the form `apply_color_map` expects.

    The formula is in the module's docstring. One pass over the cells, on the calling thread.

    Args:
        bare: float32 (h, w, 3), linear blue, green, red of the bare ground.
        light: float32 (3,), above 0: the illuminant.
        base: luminance of the ground in even light, above 0.
        layers: in order of application; values must be finite (not checked).

    Returns:
        float32 (6, h, w): gains − 1, then offsets in pixel values; blue, green, red.

    Raises:
        InvalidInputError: wrong dtype, rank or shape, or a light or base that is not above 0.
    """
    ground = np.ascontiguousarray(check_array("bare", bare, np.float32, ("h", "w", 3)))
    lamp = check_array("light", light, np.float32, (3,))
    if not (np.isfinite(lamp).all() and (lamp > 0).all() and 0 < base < np.inf):
        raise InvalidInputError(
            f"light, base: got {lamp.tolist()} and {base}, expected finite numbers above 0"
        )
    shape = ground.shape[:2]
    packed = [_packed(number, layer, shape) for number, layer in enumerate(layers)]
    change = np.empty((6, *shape), np.float32)
    _cpu.paint_layers(ground, lamp.tolist(), base, packed, change, cpu_isa())
    return change


_Packed: TypeAlias = tuple[int, int, NDArray[np.float32], NDArray[np.float32], float, float, float]


def _packed(number: int, layer: Layer, shape: tuple[int, ...]) -> _Packed:
    """Kind, first row, weights (1 or 3, n, w), colours (3, 1, 1) or (3, n, w), and parameters."""
    name = f"layers[{number}]."
    if isinstance(layer, Factor):
        planes: tuple[int, ...] = (3,) if getattr(layer.values, "ndim", 0) == 3 else ()
        values = check_array(name + "values", layer.values, np.float32, (*planes, *shape))
        return 1, 0, _gapless(values if planes else values[None]), _WHITE, 0.0, 0.0, 0.0
    weights = check_array(name + layer._fields[0], layer[0], np.float32, ("n", shape[1]))
    rows = len(weights)
    if not 0 <= layer.top <= shape[0] - rows:
        raise InvalidInputError(
            f"{name}top: got {layer.top} with {rows} rows, expected rows of the ground's {shape[0]}"
        )
    planes = (rows, shape[1]) if getattr(layer.color, "ndim", 0) == 3 else ()
    color = check_array(name + "color", layer.color, np.float32, (3, *planes))
    color = _gapless(color if planes else color[:, None, None])
    if isinstance(layer, Pigment):
        numbers = float(layer.amount), float(layer.hiding), float(layer.leveling)
        return 0, layer.top, _gapless(weights[None]), color, *numbers
    if planes:
        raise InvalidInputError(f"{name}color: got float32 {color.shape}, expected float32 (3)")
    return 2, layer.top, _gapless(weights[None]), color, 0.0, 0.0, 0.0


_gapless = np.ascontiguousarray
_WHITE = np.ones((3, 1, 1), np.float32)
