"""A cosmetics renderer: paints a described makeup onto a face, using its landmarks.

It generates unlimited training triples with exact ground truth: a bare source face, another person
with makeup, and the source with the same makeup.

    >>> import numpy as np
    >>> from makeup_training.cosmetics import random_makeup
    >>> random_makeup(np.random.default_rng(0), style="classic").lipstick.color.startswith("#")
    True
"""

from makeup_training.cosmetics.makeup import (
    BLUSH_PLACEMENTS,
    Blush,
    BrowTint,
    Contour,
    EyeShadow,
    Foundation,
    Liner,
    Lipstick,
    Makeup,
    linear_rgb,
)
from makeup_training.cosmetics.render import Face, Triple, render, triple
from makeup_training.cosmetics.styles import STYLES, random_makeup

__all__ = [
    "BLUSH_PLACEMENTS",
    "STYLES",
    "Blush",
    "BrowTint",
    "Contour",
    "EyeShadow",
    "Face",
    "Foundation",
    "Liner",
    "Lipstick",
    "Makeup",
    "Triple",
    "linear_rgb",
    "random_makeup",
    "render",
    "triple",
]
