"""The protocol of all kinds of makeup, and its parts and strengths."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

from numpy.typing import NDArray

from makeup_kernels import Region

MAKEUP_REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)
"""Regions that can have makeup."""

TONE: Final = "tone"
"""Key, in strengths, of the shade of the whole face."""

DETAIL: Final = "detail"
"""Key of the fine detail that is added to small faces; it has no strength of its own."""

Part: TypeAlias = Region | Literal["tone", "detail"]
"""A part that is painted separately: a makeup region, the shade of the face, or its detail."""

MAX_STRENGTH = 1.5
"""Maximum strength; 1 is the full look, more extrapolates it."""


class Makeup(Protocol):
    """The data of a look, for the models of one kind. Immutable.

    Attributes:
        kind: models with the same kind can exchange looks.
    """

    kind: ClassVar[str]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The content of a look file: arrays by name, without objects."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Makeup":
        """The inverse of `to_arrays`; validates untrusted arrays.

        Raises:
            ValueError, KeyError: an array is missing, or has the wrong dtype, shape or range.
        """
        ...

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple[Any, float]]]) -> "Makeup":
        """Average makeups region by region; the shares of a region are normalised to sum 1."""
        ...
