"""Random, naturally varied makeups by style."""

import cv2
import numpy as np

from makeup_kernels.errors import InvalidInputError
from makeup_training.cosmetics.makeup import (
    Blush,
    BrowTint,
    Contour,
    EyeShadow,
    Foundation,
    Liner,
    Lipstick,
    Makeup,
)

STYLES = ("natural", "classic", "evening", "smoky", "colourful", "dark_lips", "editorial", "gloss")
"""Names accepted by `random_makeup`."""

_LIPS = {
    "nude": ("#b97a68", "#a8665a", "#c48a78", "#9a5a4c", "#8a5044", "#d09a8c"),
    "pink": ("#d0607c", "#c94f7a", "#e07a96", "#b8436a", "#d9447e", "#e58fa6"),
    "coral": ("#e0614a", "#d9503f", "#ec7a5c", "#e8694f"),
    "red": ("#b3101f", "#c1121f", "#a10d24", "#c8202e", "#9b0f1a", "#b3123a"),
    "dark": ("#5a0f24", "#4a1026", "#6b1230", "#3d0f1c", "#55203a", "#4b1a18", "#341018"),
    "odd": ("#6a2c91", "#8a2be2", "#1f6f78", "#2a3d8f", "#c2187e", "#ff5a1f", "#1a1216", "#7a4a2a"),
}
_SHADOWS = {
    "neutral": ("#c9a184", "#b08467", "#d8b8a0", "#a8775c", "#c79a8c", "#e0c4ae"),
    "warm": ("#b5623c", "#a04a30", "#c77a3a", "#c9823f", "#8f4632"),
    "rose": ("#b5657a", "#a84f66", "#c98a98", "#8f3f5c", "#b87a8c"),
    "gold": ("#c8a04a", "#b88a34", "#d6b66a", "#a87b3c"),
    "smoke": ("#3a3638", "#4a4442", "#2a2628", "#55494a", "#3a3f4a", "#4a3a34"),
    "plum": ("#5c2a4e", "#6e3560", "#4a2346", "#7a3f6a"),
    "colour": (
        "#1f8a8a", "#2a6fb8", "#2f9a5a", "#7a3fb0", "#d94f9a", "#f0c030", "#e0602a", "#2fb0c8",
        "#3a4fc0", "#c03a5a", "#7ac04a",
    ),
}  # fmt: skip
_BLUSH = ("#d9707a", "#e0806a", "#c9586a", "#d88a7a", "#b84f5c", "#e38fa0", "#c96a50")
_BROWS = ("#3a2a22", "#2a201c", "#4a3628", "#5c4432", "#1e1816", "#6b5138")
_LINERS = ("#14100f", "#14100f", "#14100f", "#2a1a14", "#1a1f3a")


def _vary(rng: np.random.Generator, color: str, spread: float = 4.0, darken: float = 0.0) -> str:
    """Shift a colour randomly by a few CIELAB units, and darken it."""
    bgr = np.array([[[int(color[i : i + 2], 16) for i in (5, 3, 1)]]], np.float32) / 255.0
    lab = cv2.cvtColor(bgr, cv2.COLOR_BGR2LAB)
    lab += rng.normal(0.0, spread, 3).astype(np.float32) - np.float32([darken, 0, 0])
    back = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)[0, 0], 0.0, 1.0)
    blue, green, red = np.round(back * 255).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _pick(rng: np.random.Generator, table: dict[str, tuple[str, ...]], *families: str) -> str:
    family = table[str(rng.choice(families))]
    return _vary(rng, str(rng.choice(family)))


def _span(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 3)


def random_makeup(rng: np.random.Generator, style: str | None = None) -> Makeup:
    """Draw a random makeup.

    Args:
        rng: source of all randomness; the same state gives the same makeup.
        style: one of `STYLES`, or None for any.

    Returns:
        A makeup with lipstick; other products appear as often as in the style.

    Raises:
        InvalidInputError: an unknown style.
    """
    if style is not None and style not in STYLES:
        raise InvalidInputError(f"style: got {style!r}, expected one of {', '.join(STYLES)}")
    style = style or str(rng.choice(STYLES))
    loud = style in ("evening", "smoky", "colourful", "editorial")
    return Makeup(
        lipstick=_lipstick(rng, style),
        shadow=_shadow(rng, style) if loud or rng.random() < 0.75 else None,
        liner=_liner(rng, loud) if loud or rng.random() < 0.75 else None,
        brows=BrowTint(_vary(rng, str(rng.choice(_BROWS))), _span(rng, 0.15, 0.6))
        if rng.random() < 0.7
        else None,
        blush=_blush(rng, style) if rng.random() < 0.85 else None,
        contour=Contour(_span(rng, 0.1, 0.6), _span(rng, 0.0, 0.7)) if rng.random() < 0.6 else None,
        foundation=_foundation(rng) if rng.random() < 0.8 else None,
    )


def _lipstick(rng: np.random.Generator, style: str) -> Lipstick:
    families = {
        "natural": ("nude", "pink"),
        "classic": ("red",),
        "evening": ("red", "pink", "dark"),
        "smoky": ("nude", "nude", "dark"),
        "colourful": ("pink", "coral", "nude", "odd"),
        "dark_lips": ("dark",),
        "editorial": ("odd", "red", "dark", "coral"),
        "gloss": ("pink", "coral", "nude"),
    }[style]
    color = _pick(rng, _LIPS, *families)
    sheer = style in ("natural", "gloss")
    finish = rng.random()
    gloss = _span(rng, 0.5, 1.0) if style == "gloss" or finish < 0.25 else _span(rng, 0.0, 0.3)
    matte = _span(rng, 0.4, 1.0) if finish > 0.6 and style != "gloss" else 0.0
    return Lipstick(
        color=color,
        opacity=_span(rng, 0.3, 0.6) if sheer else _span(rng, 0.6, 0.95),
        gloss=gloss,
        matte=matte,
        liner_color=_vary(rng, color, 3.0, darken=14.0) if rng.random() < 0.2 else None,
        blur=_span(rng, 0.3, 0.8) if rng.random() < 0.12 else 0.0,
    )


def _shadow(rng: np.random.Generator, style: str) -> EyeShadow:
    lid, deep = {
        "natural": (("neutral",), ("neutral", "warm")),
        "classic": (("neutral", "gold"), ("neutral", "warm")),
        "evening": (("gold", "rose", "plum", "warm"), ("plum", "smoke", "warm")),
        "smoky": (("smoke", "plum", "smoke"), ("smoke",)),
        "colourful": (("colour",), ("colour", "plum", "smoke")),
        "dark_lips": (("neutral", "plum", "rose"), ("warm", "plum")),
        "editorial": (("colour", "smoke", "gold"), ("colour", "smoke")),
        "gloss": (("rose", "neutral", "gold"), ("rose", "warm")),
    }[style]
    soft = style in ("natural", "classic", "gloss", "dark_lips")
    shimmering = rng.random() < (0.3 if soft else 0.55)
    return EyeShadow(
        lid_color=_pick(rng, _SHADOWS, *lid),
        crease_color=_pick(rng, _SHADOWS, *deep) if rng.random() < 0.75 else None,
        outer_color=_pick(rng, _SHADOWS, *deep, "smoke") if rng.random() < 0.6 else None,
        inner_color=_vary(rng, "#f2dcc4") if rng.random() < 0.35 else None,
        opacity=_span(rng, 0.25, 0.55) if soft else _span(rng, 0.55, 0.95),
        extent=_span(rng, 0.15, 0.6) if soft else _span(rng, 0.4, 1.0),
        shimmer=_span(rng, 0.2, 1.0) if shimmering else 0.0,
        lower=_span(rng, 0.3, 1.0) if rng.random() < (0.2 if soft else 0.65) else 0.0,
    )


def _liner(rng: np.random.Generator, loud: bool) -> Liner:
    winged = rng.random() < (0.6 if loud else 0.3)
    return Liner(
        color=_vary(rng, str(rng.choice(_LINERS)), 2.0)
        if rng.random() < 0.92
        else _pick(rng, _SHADOWS, "colour"),
        opacity=_span(rng, 0.6, 0.95),
        width=_span(rng, 0.15, 0.9) if loud else _span(rng, 0.0, 0.5),
        wing=_span(rng, 0.3, 1.0) if winged else 0.0,
        wing_angle=_span(rng, 18.0, 38.0),
        lower=_span(rng, 0.2, 0.9) if rng.random() < (0.5 if loud else 0.2) else 0.0,
        lashes=_span(rng, 0.2, 1.0),
    )


def _blush(rng: np.random.Generator, style: str) -> Blush:
    return Blush(
        color=_vary(rng, str(rng.choice(_BLUSH))),
        opacity=_span(rng, 0.3, 0.75)
        if style in ("editorial", "colourful")
        else _span(rng, 0.1, 0.45),
        placement=str(rng.choice(("apple", "apple", "lifted", "lifted", "draped", "sunkissed"))),
    )


def _foundation(rng: np.random.Generator) -> Foundation:
    return Foundation(
        coverage=_span(rng, 0.2, 0.9),
        lightness=_span(rng, -0.35, 0.35),
        warmth=_span(rng, -0.35, 0.35),
        matte=_span(rng, 0.0, 0.8),
    )
