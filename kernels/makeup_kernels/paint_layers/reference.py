"""Paint layers in plain NumPy float64, step for step as the formula reads."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.paint_layers import Factor, Layer, Shine

_LUMINANCE = np.array([0.0722, 0.7152, 0.2126])[:, None, None]


def paint_layers_reference(
    bare: NDArray[np.float32],
    light: NDArray[np.float32],
    base: float,
    layers: Sequence[Layer],
    dtype: type[np.floating] = np.float64,
) -> NDArray[np.floating]:
    """`paint_layers` in precision `dtype`; arguments as there.

    Returns:
        `dtype` (6, h, w).
    """
    sent = bare.astype(dtype).transpose(2, 0, 1)
    lamp = light.astype(dtype)[:, None, None]
    to_luminance = _LUMINANCE.astype(dtype)
    s = np.maximum((to_luminance * sent).sum(axis=0) / dtype(base), dtype(0.001))
    d = np.minimum(s, dtype(0.6325) + dtype(0.45) * s)
    r = np.clip(sent / (s * lamp), dtype(0.004), dtype(0.97))
    g, v, h = r.copy(), np.zeros_like(s), np.zeros_like(r)
    for layer in layers:
        if isinstance(layer, Factor):
            g *= np.maximum(layer.values.astype(dtype), dtype(0.02))
            continue
        color = layer.color.astype(dtype)
        color = color[:, None, None] if color.ndim == 1 else color
        rows = slice(layer.top, layer.top + len(layer[0]))
        if isinstance(layer, Shine):
            h[:, rows] += layer.amount.astype(dtype) * color
            continue
        amount, below = dtype(layer.amount), g[:, rows]
        o = np.minimum(layer.opacity.astype(dtype), 1) * min(amount, dtype(1))
        lighter = (to_luminance * color).sum(axis=0) / np.maximum(
            (to_luminance * below).sum(axis=0), dtype(0.01)
        )
        color = color * np.maximum(lighter, 1) ** dtype(layer.hiding - 1)
        color = np.clip(color, dtype(0.012), dtype(0.95))
        a, b = (1 / color + color) / 2, (1 / color - color) / 2
        p = (o * (1 - a * below) + b * below) / (o * (a - below) + b)
        p = p * (p / below) ** max(amount - 1, dtype(0))
        g[:, rows] = np.where(o > 0, p, below)
        v[rows] += np.where(o > 0, dtype(layer.leveling) * max(amount, dtype(1)) * o, 0)
    f = 1 + (g / r * d ** (-v) - 1) * (d / s) + h / (s * r)
    gain = np.clip(f, dtype(0.004), dtype(12)) ** dtype(1 / 2.4) - 1
    gain = gain * (np.abs(gain).max(axis=0) > dtype(6e-4))
    gain[:, [0, -1]] = 0
    gain[:, :, [0, -1]] = 0
    return np.concatenate([gain, dtype(0.055 * 255) * gain])
