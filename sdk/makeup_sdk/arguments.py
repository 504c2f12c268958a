"""Checks of arguments shared by several classes."""

from collections.abc import Iterable
from numbers import Real
from operator import index
from typing import Any, SupportsIndex

from makeup_kernels import InvalidInputError, Region
from makeup_kernels.errors import is_shown

_REGIONS = {region.name.lower(): region for region in Region if region}
_EXPECTED = "Region.LIPS, SKIN, EYES or BROWS, or such a name in lower case"


def as_region(value: object, name: str) -> Region:
    """A makeup region, given as `Region` or as its name, such as "lips".

    Raises:
        InvalidInputError: anything else.
    """
    found = _REGIONS.get(value) if isinstance(value, str) else value
    if not isinstance(found, Region) or found not in _REGIONS.values():
        raise InvalidInputError(f"{name}: {value!r} is no makeup region; expected {_EXPECTED}")
    return found


def as_regions(value: object, name: str) -> frozenset[Region]:
    """One makeup region or several, each as in `as_region`.

    Raises:
        InvalidInputError: anything else.
    """
    if isinstance(value, Iterable) and not isinstance(value, str):
        return frozenset(as_region(one, name) for one in value)
    return frozenset([as_region(value, name)])


def as_number(value: object, name: str) -> float:
    """A Python or NumPy number, which may be infinite or NaN.

    Raises:
        InvalidInputError: not a number; bool is not one either.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidInputError(f"{name}: got {_shown(value)}, expected a number")
    return float(value)


def as_count(value: object, name: str, expected: str = "an integer of at least 1") -> int:
    """A whole number of at least 1.

    Raises:
        InvalidInputError: smaller, or not a whole number.
    """
    number = 0
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        number = index(value)
    if number < 1:
        raise InvalidInputError(f"{name}: got {_shown(value)}, expected {expected}")
    return number


def as_title(value: object) -> str:
    """A title without control characters and without surrounding white space.

    Raises:
        InvalidInputError: not a text.
    """
    if not isinstance(value, str):
        raise InvalidInputError(f"title: got {type(value).__name__}, expected a text")
    return "".join(c for c in " ".join(value.split()) if is_shown(c))


def at_least(name: str, value: Any, least: float) -> None:
    """Raises InvalidInputError unless value ≥ least; NaN is refused too."""
    if not value >= least:
        raise InvalidInputError(f"{name}: got {value}, expected at least {least}")


def above(name: str, value: Any, bound: float) -> None:
    """Raises InvalidInputError unless value > bound; NaN is refused too."""
    if not value > bound:
        raise InvalidInputError(f"{name}: got {value}, expected more than {bound}")


def share(name: str, value: Any) -> None:
    """Raises InvalidInputError unless 0 ≤ value ≤ 1; NaN is refused too."""
    if not 0 <= value <= 1:
        raise InvalidInputError(f"{name}: got {value}, expected a number in [0, 1]")


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else type(value).__name__
