"""What lips and eyes wear, as numbers: what a reader would say that knew the makeup."""

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_training.cosmetics import EyeShadow, Liner, Lipstick, Makeup
from makeup_training.cosmetics.makeup import linear_rgb

NUMBERS = {Region.LIPS: 12, Region.EYES: 32}


def numbers(makeup: Makeup, region: Region) -> NDArray[np.float32]:
    """float32 (12,) of lips, (32,) of eyes: log colours and amounts; 0 for what is not worn.

    An amount that another one scales is given by itself and as the product.
    """
    if region == Region.LIPS:
        found = _lipstick(makeup.lipstick)
    else:
        found = [*_shadow(makeup.shadow), *_liner(makeup.liner)]
    assert len(found) == NUMBERS[region]
    return np.array(found, np.float32)


def _lipstick(lips: Lipstick | None) -> list[float]:
    if lips is None:
        return [0.0] * 12
    amounts = [lips.opacity, lips.gloss, lips.matte]
    return [1.0, *_color(lips.color), *amounts, *_layer(lips.liner_color), lips.blur]


def _shadow(shadow: EyeShadow | None) -> list[float]:
    if shadow is None:
        return [0.0] * 20
    crease, outer = _layer(shadow.crease_color), _layer(shadow.outer_color)
    amounts = [shadow.opacity, shadow.extent, shadow.shimmer, shadow.lower]
    products = [shadow.opacity * share for share in (crease[0], outer[0], shadow.lower)]
    inner = float(shadow.inner_color is not None)
    return [1.0, *_color(shadow.lid_color), *crease, *outer, inner, *amounts, *products]


def _liner(liner: Liner | None) -> list[float]:
    if liner is None:
        return [0.0] * 12
    amounts = [liner.opacity, liner.width, liner.wing, liner.wing_angle / 30, liner.lower]
    products = [liner.opacity * liner.width, liner.wing * liner.width]
    return [1.0, *_color(liner.color), *amounts, liner.lashes, *products]


def _layer(color: str | None) -> list[float]:
    """Whether it is there, and its colour."""
    return [0.0] * 4 if color is None else [1.0, *_color(color)]


def _color(color: str) -> list[float]:
    """Log light, moved so that lip colours lie around 0."""
    light: list[float] = (np.log(linear_rgb(color) + 0.02) + 2).tolist()
    return light
