"""CIELAB and CIEDE2000."""

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab_of(linear: FloatArray) -> NDArray[np.float64]:
    """float (..., 3) linear blue, green, red, 1 = white, to CIELAB (D65)."""
    ratio = np.asarray(linear, np.float64)[..., ::-1] @ _TO_XYZ.T / _WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    lightness = 116 * f[..., 1] - 16
    return np.stack(
        [lightness, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    )


def ciede2000(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour difference of CIELAB colours (..., 3) (CIE 142, 2001; Sharma, Wu & Dalal, 2005)."""
    l1, a1, b1 = np.moveaxis(one, -1, 0)
    l2, a2, b2 = np.moveaxis(other, -1, 0)
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(c7 / (c7 + 25.0**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    gray = c1 * c2 == 0
    turn = (h2 - h1 + 180) % 360 - 180
    turn = np.where(gray, 0.0, np.where(turn == -180, 180.0, turn))
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    far = np.abs(h1 - h2) > 180
    mean_h = np.where(gray, h1 + h2, np.where(far, (h1 + h2 + 360) / 2 % 360, (h1 + h2) / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    away = (mean_l - 50) ** 2
    sl = 1 + 0.015 * away / np.sqrt(20 + away)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    c7 = mean_c**7
    rotation = -2 * np.sqrt(c7 / (c7 + 25.0**7))
    rotation = rotation * np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    dl, dc, dh = (l2 - l1) / sl, (c2 - c1) / sc, dh / sh
    difference: NDArray[np.float64] = np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh)
    return difference
