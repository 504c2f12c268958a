"""Colours as apps write them."""

import re

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError

_HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def parse_color(text: str, name: str = "color") -> NDArray[np.uint8]:
    """A CSS hex colour to uint8 (3,), BGR.

    Args:
        text: "#rrggbb", "#rgb", with or without the #.
        name: what the colour is for, named in the message.

    Raises:
        InvalidInputError: not such a colour.
    """
    match = _HEX.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise InvalidInputError(
            f"{name}: {text!r} is not a colour; expected a hex colour such as '#b3123a'"
        )
    digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
    return np.array([int(digits[i : i + 2], 16) for i in (4, 2, 0)], np.uint8)
