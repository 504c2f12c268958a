"""Checks of options, with one wording."""

from typing import Any

from makeup_kernels import InvalidInputError


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
