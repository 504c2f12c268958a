"""Parse colours."""

import re
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_sdk.css_colors import CSS_COLORS

Color: TypeAlias = str | tuple[int, int, int]
"""A colour argument; see `parse_color`."""

_HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def parse_color(color: object, name: str = "color") -> NDArray[np.uint8]:
    """Parse a colour to uint8 (3,), BGR.

    Args:
        color: "#rrggbb" or "#rgb", with or without the #; a CSS name ("crimson"); or a tuple of
            red, green and blue, integers in 0–255.
        name: purpose of the colour, for messages.

    Raises:
        InvalidInputError: not such a colour.
    """
    digits = _digits(color.strip().lower()) if isinstance(color, str) else None
    if digits is not None:
        return np.array([int(digits[i : i + 2], 16) for i in (4, 2, 0)], np.uint8)
    if isinstance(color, tuple) and len(color) == 3 and all(map(_is_byte, color)):
        return np.array(color[::-1], np.uint8)
    raise InvalidInputError(
        f"{name}: {color!r} is not a colour; expected a hex colour such as '#b3123a', a CSS name "
        "such as 'crimson', or red, green and blue such as (179, 18, 58)"
    )


def to_hex(color: NDArray[np.generic]) -> str:
    """A colour (3,), BGR in 0–255, as "#rrggbb".

    >>> to_hex(np.array([58, 18, 179]))
    '#b3123a'
    """
    blue, green, red = (round(float(value)) for value in color)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _digits(text: str) -> str | None:
    if text in CSS_COLORS:
        return CSS_COLORS[text]
    match = _HEX.fullmatch(text)
    if match is None:
        return None
    return match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])


def _is_byte(value: object) -> bool:
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return is_integer and 0 <= int(value) <= 255  # type: ignore[call-overload]
