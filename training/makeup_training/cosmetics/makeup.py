"""Description of a makeup: products, their colours and amounts, independent of the face.

Colours are sRGB `"#rrggbb"` strings: the colour of a thick layer of the product under light that
exposes medium skin normally. Amounts are fractions in [0, 1] unless stated otherwise; opacity 0
means "nothing". A missing product is `None`.
"""

import re
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.errors import InvalidInputError
from makeup_sdk import cosmetics as products
from makeup_sdk.faces.light import decode_srgb

_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def linear_rgb(color: str) -> NDArray[np.float32]:
    """Convert `"#rrggbb"` to linear light.

    Args:
        color: sRGB hex string.

    Returns:
        float32 (3,): red, green, blue in [0, 1], linear light (IEC 61966-2-1).

    Raises:
        InvalidInputError: not a `#rrggbb` string.
    """
    if not isinstance(color, str) or _HEX.fullmatch(color) is None:
        raise InvalidInputError(f"color: got {color!r}, expected an sRGB string such as '#b3123a'")
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float64) / 255.0
    return decode_srgb(srgb).astype(np.float32)


def _check(product: object) -> None:
    """Validate all fields of a product: hex colours, and numbers within their ranges."""
    name = type(product).__name__
    for field in fields(product):  # type: ignore[arg-type]
        value = getattr(product, field.name)
        if field.name == "color" or field.name.endswith("_color"):
            if value is not None:
                linear_rgb(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = _RANGES.get(f"{name}.{field.name}", (0.0, 1.0))
            if not low <= value <= high:
                raise InvalidInputError(
                    f"{name}.{field.name}: got {value}, expected a number in [{low:g}, {high:g}]"
                )
        elif isinstance(value, str) and value not in BLUSH_PLACEMENTS:
            raise InvalidInputError(
                f"{name}.{field.name}: got {value!r}, expected one of {', '.join(BLUSH_PLACEMENTS)}"
            )


BLUSH_PLACEMENTS = ("apple", "lifted", "draped", "sunkissed")
"""Placement of blush: round on the apple of the cheek; along the cheekbone; up to the temple; over
the nose."""

_RANGES = {
    "Foundation.lightness": (-1.0, 1.0),
    "Foundation.warmth": (-1.0, 1.0),
    "Liner.wing_angle": (0.0, 60.0),
}


@dataclass(frozen=True)
class Lipstick:
    """Lip colour.

    Attributes:
        color: colour of the lipstick.
        opacity: 0.2 is a balm, 0.5 a satin, 0.9 a full-cover lipstick.
        gloss: 0 keeps the lips' own shine, 1 is lacquer.
        matte: how much of the lips' own shine is removed.
        liner_color: colour of a lip liner, or None.
        blur: 0 is a crisp edge, 1 a "blurred lips" gradient that fades toward the outline.
    """

    color: str
    opacity: float = 0.7
    gloss: float = 0.2
    matte: float = 0.0
    liner_color: str | None = None
    blur: float = 0.0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class EyeShadow:
    """Eye shadow: up to four colours, blended.

    Attributes:
        lid_color: on the mobile lid.
        crease_color: along the crease, or None.
        outer_color: in the outer corner ("outer V"), or None.
        inner_color: highlight at the inner corner, or None.
        opacity: overall opacity.
        extent: 0 covers only the lid, 1 reaches the brow.
        shimmer: sparkle of the lid colour.
        lower: how much of the outer colour (else the lid colour) is smudged under the lower lashes.
    """

    lid_color: str
    crease_color: str | None = None
    outer_color: str | None = None
    inner_color: str | None = None
    opacity: float = 0.6
    extent: float = 0.5
    shimmer: float = 0.0
    lower: float = 0.0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Liner:
    """Eye liner and mascara.

    Attributes:
        color: colour of the liner.
        opacity: opacity of the liner.
        width: 0 is a hairline along the lashes, 1 a bold line.
        wing: length of the wing; 1 is 45 % of the eye's width.
        wing_angle: angle of the wing above the line through the eye's corners, degrees in [0, 60].
        lower: line under the lower lashes.
        lashes: mascara.
    """

    color: str = "#14100f"
    opacity: float = 0.85
    width: float = 0.3
    wing: float = 0.0
    wing_angle: float = 28.0
    lower: float = 0.0
    lashes: float = 0.4

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class BrowTint:
    """Brow colour.

    Attributes:
        color: colour of the pencil or gel.
        opacity: 1 fills the brow fully.
    """

    color: str
    opacity: float = 0.4

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Blush:
    """Blush.

    Attributes:
        color: colour of the powder.
        opacity: opacity at its strongest point.
        placement: one of `BLUSH_PLACEMENTS`.
    """

    color: str
    opacity: float = 0.3
    placement: str = "apple"

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Contour:
    """Contour and highlighter; relative to the wearer's own skin.

    Attributes:
        shade: darkening of cheek hollows, jaw line, temples and the sides of the nose.
        highlight: sheen on cheekbones, nose ridge, brow bone and cupid's bow.
        highlight_color: colour of the highlighter.
    """

    shade: float = 0.3
    highlight: float = 0.0
    highlight_color: str = "#ffe9d2"

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Foundation:
    """Foundation; relative to the wearer's own skin.

    Attributes:
        coverage: how much blotches are evened out.
        lightness: -1 is two shades darker, 1 two shades lighter.
        warmth: -1 cooler (pink), 1 warmer (golden).
        matte: how much of the skin's shine is removed.
    """

    coverage: float = 0.4
    lightness: float = 0.0
    warmth: float = 0.0
    matte: float = 0.2

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Makeup:
    """A complete makeup; any product may be missing."""

    lipstick: Lipstick | None = None
    shadow: EyeShadow | None = None
    liner: Liner | None = None
    brows: BrowTint | None = None
    blush: Blush | None = None
    contour: Contour | None = None
    foundation: Foundation | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not is_dataclass(value):
                raise InvalidInputError(
                    f"Makeup.{field.name}: got {type(value).__name__}, "
                    "expected a product of makeup_training.cosmetics or None"
                )

    def products(self) -> tuple[products.Product, ...]:
        """The same makeup as the SDK's products."""
        worn = (
            _foundation(self.foundation),
            _contour(self.contour),
            _blush(self.blush),
            _brows(self.brows),
            _shadow(self.shadow),
            _liner(self.liner),
            _lips(self.lipstick),
        )
        return tuple(product for part in worn for product in part)


Products = tuple[products.Product, ...]


def _foundation(worn: Foundation | None) -> Products:
    if worn is None:
        return ()
    finish = "matte" if worn.matte >= 0.45 else "satin"
    return (
        products.Foundation(
            finish=finish, opacity=worn.coverage, lightness=worn.lightness, warmth=worn.warmth
        ),
    )


def _contour(worn: Contour | None) -> Products:
    if worn is None:
        return ()
    light = products.Highlighter(worn.highlight_color, opacity=worn.highlight)
    return (products.Contour(worn.shade), light)


def _blush(worn: Blush | None) -> Products:
    return (products.Blush(worn.color, worn.placement, opacity=worn.opacity),) if worn else ()


def _brows(worn: BrowTint | None) -> Products:
    return (products.Brows(worn.color, worn.opacity),) if worn else ()


def _shadow(worn: EyeShadow | None) -> Products:
    if worn is None:
        return ()
    return (
        products.EyeShadow(
            worn.lid_color,
            worn.crease_color,
            worn.outer_color,
            worn.inner_color,
            lower=worn.lower,
            finish="shimmer" if worn.shimmer > 0 else "matte",
            opacity=worn.opacity,
            extent=worn.extent,
            shine=worn.shimmer,
        ),
    )


def _liner(worn: Liner | None) -> Products:
    if worn is None:
        return ()
    line = products.Eyeliner(
        worn.color,
        width=worn.width,
        wing=worn.wing,
        angle=worn.wing_angle,
        lower=worn.lower,
        opacity=worn.opacity,
    )
    if worn.lashes == 0:
        return (line,)
    return (line, products.Lashes(length=worn.lashes, volume=worn.lashes))


def _lips(worn: Lipstick | None) -> Products:
    if worn is None:
        return ()
    matte = worn.matte >= 0.3 and worn.matte > worn.gloss
    lipstick = products.Lipstick(
        worn.color,
        finish="matte" if matte else "gloss",
        opacity=worn.opacity,
        shine=worn.gloss,
        blur=worn.blur,
    )
    if worn.liner_color is None:
        return (lipstick,)
    return (products.LipLiner(worn.liner_color), lipstick)
