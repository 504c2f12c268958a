"""Cosmetic products: kind, colour, finish and amount, independent of the face.

A colour is that of a thick layer of the product under white light: `"#b3123a"`, a CSS name, or a
tuple of red, green and blue in 0–255. `opacity` is how much the product hides what is below it;
`intensity` scales the product's effect. Both are fractions; 0 means "nothing".
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.colors import Color, parse_color, to_hex

FINISHES = ("matte", "satin", "gloss", "metallic", "shimmer", "glitter")
"""How a product's surface shines: not at all; like skin; like a wet film; like metal foil; with
fine mica; with single flakes."""

BLUSH_PLACEMENTS = ("apple", "lifted", "draped", "sunkissed")
"""Placement of blush: round on the apple of the cheek; along the cheekbone; up to the temple; over
the nose."""

_CHOICES = {"finish": FINISHES, "placement": BLUSH_PLACEMENTS}
_RANGES = {"lightness": (-1.0, 1.0), "warmth": (-1.0, 1.0), "angle": (0.0, 60.0)}
_COLORS = ("color", "crease", "outer", "inner", "lower_color")


@dataclass(frozen=True)
class Product:
    """Base of all products: validated values, and the region whose strength scales them."""

    region: ClassVar[Region]
    optional: ClassVar[tuple[str, ...]] = ()
    """Colours that may be None."""

    def __post_init__(self) -> None:
        for field in fields(self):
            place = f"{type(self).__name__}.{field.name}"
            value = getattr(self, field.name)
            if field.name in _COLORS:
                if value is None and field.name in self.optional:
                    continue
                object.__setattr__(self, field.name, _hex(value, place))
            elif field.name in _CHOICES:
                _check_choice(value, _CHOICES[field.name], place)
            else:
                number = _number(value, *_RANGES.get(field.name, (0.0, 1.0)), place)
                object.__setattr__(self, field.name, number)

    @property
    def strength(self) -> float:
        """The product's `intensity`."""
        return float(vars(self)["intensity"])

    def weaker(self, share: float) -> "Product":
        """The same product with its intensity times `share`, in [0, 1]."""
        changed: dict[str, Any] = {"intensity": self.strength * share}
        return replace(self, **changed)


@dataclass(frozen=True)
class Lipstick(Product):
    """Lip colour.

    Attributes:
        color: colour of the lipstick.
        finish: one of `FINISHES`.
        opacity: 0.2 is a balm, 0.5 a sheer stick, 0.9 a full-cover lipstick.
        intensity: scales the whole effect.
        shine: strength of a shining finish.
        blur: 0 is a crisp edge, 1 a "blurred lips" gradient that fades towards the outline.
    """

    region: ClassVar[Region] = Region.LIPS

    color: Color
    finish: str = "satin"
    opacity: float = 0.8
    intensity: float = 1.0
    shine: float = 0.7
    blur: float = 0.0


@dataclass(frozen=True)
class LipLiner(Product):
    """A line along the lips' outline, blended inward.

    Attributes:
        color: colour of the pencil.
        width: 0 is a hairline, 1 reaches halfway into the lips.
        opacity: opacity of the line.
        intensity: scales the whole effect.
    """

    region: ClassVar[Region] = Region.LIPS

    color: Color
    width: float = 0.3
    opacity: float = 0.75
    intensity: float = 1.0


@dataclass(frozen=True)
class EyeShadow(Product):
    """Eye shadow: up to five colours, blended.

    Attributes:
        color: on the lid.
        crease: along the crease, or None.
        outer: in the outer corner ("outer V"), or None.
        inner: highlight at the inner corner, or None.
        lower_color: smudged under the lower lashes; None: `outer`, else `color`.
        lower: how much is smudged under the lower lashes.
        finish: finish of the lid, one of `FINISHES`.
        opacity: overall opacity.
        intensity: scales the whole effect.
        extent: 0 covers only the lid, 1 reaches the brow.
        shine: strength of a shining finish.
    """

    region: ClassVar[Region] = Region.EYES
    optional: ClassVar[tuple[str, ...]] = ("crease", "outer", "inner", "lower_color")

    color: Color
    crease: Color | None = None
    outer: Color | None = None
    inner: Color | None = None
    lower_color: Color | None = None
    lower: float = 0.0
    finish: str = "matte"
    opacity: float = 0.6
    intensity: float = 1.0
    extent: float = 0.5
    shine: float = 0.7


@dataclass(frozen=True)
class Eyeliner(Product):
    """A line along the lashes.

    Attributes:
        color: colour of the liner.
        width: 0 is a hairline, 1 a bold line.
        wing: length of the wing; 1 is 45 % of the eye's width.
        angle: angle of the wing above the line through the eye's corners, degrees in [0, 60].
        lower: line under the lower lashes.
        opacity: opacity of the line.
        intensity: scales the whole effect.
    """

    region: ClassVar[Region] = Region.EYES

    color: Color = "#14100f"
    width: float = 0.3
    wing: float = 0.0
    angle: float = 28.0
    lower: float = 0.0
    opacity: float = 0.85
    intensity: float = 1.0


@dataclass(frozen=True)
class Lashes(Product):
    """Mascara or false lashes.

    Attributes:
        color: colour of the mascara.
        length: 0 is short and natural, 1 is false lashes.
        volume: number and thickness of the lashes.
        lower: amount on the lower lashes.
        intensity: scales the whole effect.
    """

    region: ClassVar[Region] = Region.EYES

    color: Color = "#0d0a09"
    length: float = 0.4
    volume: float = 0.4
    lower: float = 0.0
    intensity: float = 1.0


@dataclass(frozen=True)
class Brows(Product):
    """Brow pencil or gel.

    Attributes:
        color: colour of the pencil.
        opacity: 1 fills the brow fully.
        intensity: scales the whole effect.
    """

    region: ClassVar[Region] = Region.BROWS

    color: Color = "#3a2a22"
    opacity: float = 0.4
    intensity: float = 1.0


@dataclass(frozen=True)
class Blush(Product):
    """Blush.

    Attributes:
        color: colour of the powder.
        placement: one of `BLUSH_PLACEMENTS`.
        finish: one of `FINISHES`.
        opacity: opacity at its strongest point.
        intensity: scales the whole effect.
        shine: strength of a shining finish.
    """

    region: ClassVar[Region] = Region.SKIN

    color: Color
    placement: str = "apple"
    finish: str = "matte"
    opacity: float = 0.3
    intensity: float = 1.0
    shine: float = 0.5


@dataclass(frozen=True)
class Contour(Product):
    """Shading of the face's hollows, relative to the wearer's own skin.

    Attributes:
        opacity: depth of the shading.
        cheeks, jaw, temples, nose: amount in the hollows below the cheekbones, along the jaw, at
            the temples and beside the ridge of the nose.
        intensity: scales the whole effect.
    """

    region: ClassVar[Region] = Region.SKIN

    opacity: float = 0.3
    cheeks: float = 1.0
    jaw: float = 0.7
    temples: float = 0.6
    nose: float = 0.45
    intensity: float = 1.0


@dataclass(frozen=True)
class Highlighter(Product):
    """Sheen on cheekbones, the ridge of the nose and the cupid's bow.

    Attributes:
        color: colour of the powder.
        finish: one of `FINISHES`.
        opacity: brightness.
        cheeks, nose, bow: amount on each.
        intensity: scales the whole effect.
    """

    region: ClassVar[Region] = Region.SKIN

    color: Color = "#ffe9d2"
    finish: str = "satin"
    opacity: float = 0.4
    cheeks: float = 1.0
    nose: float = 0.55
    bow: float = 0.6
    intensity: float = 1.0


@dataclass(frozen=True)
class Foundation(Product):
    """Foundation.

    Attributes:
        color: colour of the shade; None: the wearer's own.
        finish: one of `FINISHES`; matte removes the skin's shine, gloss ("dewy") adds to it.
        opacity: coverage: how much blotches are evened out and the shade is applied.
        lightness: -1 is two shades darker, 1 two shades lighter than `color`.
        warmth: -1 cooler (pink), 1 warmer (golden) than `color`.
        intensity: scales the whole effect.
    """

    region: ClassVar[Region] = Region.SKIN
    optional: ClassVar[tuple[str, ...]] = ("color",)

    color: Color | None = None
    finish: str = "satin"
    opacity: float = 0.4
    lightness: float = 0.0
    warmth: float = 0.0
    intensity: float = 1.0


PRODUCTS: Mapping[str, type[Product]] = {
    "foundation": Foundation,
    "contour": Contour,
    "blush": Blush,
    "highlighter": Highlighter,
    "brows": Brows,
    "eyeshadow": EyeShadow,
    "eyeliner": Eyeliner,
    "lashes": Lashes,
    "lipliner": LipLiner,
    "lipstick": Lipstick,
}
"""Products by their name in JSON and catalogues, in order of application."""

NAMES: Mapping[type[Product], str] = {kind: name for name, kind in PRODUCTS.items()}


def nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"


def _hex(value: object, place: str) -> str:
    return to_hex(parse_color(value, place))


def _check_choice(value: object, choices: tuple[str, ...], place: str) -> None:
    if value not in choices:
        raise InvalidInputError(f"{place}: got {value!r}; {nearest(str(value), choices)}")


def _number(value: object, low: float, high: float, place: str) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise InvalidInputError(f"{place}: got {value!r}, expected a number in [{low:g}, {high:g}]")
    return float(value)  # type: ignore[arg-type]
