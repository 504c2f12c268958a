"""The same picture in other light, for measuring makeup under changing light."""

import numpy as np

from makeup_kernels.types import Image
from makeup_sdk.faces.light import decode_srgb, encode_srgb

LIGHTS = {
    "half": (0.5, 0.5, 0.5),
    "quarter": (0.25, 0.25, 0.25),
    "eighth": (0.125, 0.125, 0.125),
    "warm": (0.55, 0.8, 1.0),
    "cool": (1.0, 0.8, 0.6),
}
"""Factors on linear B, G, R."""


def relit(image: Image, factors: tuple[float, float, float]) -> Image:
    """A picture with its linear light multiplied, to 8 bits."""
    lit = encode_srgb(decode_srgb(image / 255) * np.array(factors))
    return np.round(255 * lit).clip(0, 255).astype(np.uint8)
