"""What all kinds of makeup have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

from numpy.typing import NDArray

from makeup_kernels import Region

MAKEUP_REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)
"""Regions that can wear makeup."""

TONE: Final = "tone"
"""What a strength calls the shade of the whole face, which is an amount of its own."""

DETAIL: Final = "detail"
"""Fine detail that small faces lack: no amount of its own, it is worn as far as the makeup is."""

Part: TypeAlias = Region | Literal["tone", "detail"]
"""What is painted apart: a makeup region, the shade of the face, or the face's detail."""

MAX_STRENGTH = 1.5
"""Most that a strength may be; 1 is the whole look, more goes on in its direction."""


class Makeup(Protocol):
    """What a look consists of, for the models of one kind. Immutable.

    Attributes:
        kind: models that wear the same kind can exchange looks.
    """

    kind: ClassVar[str]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a look file keeps: arrays without objects, by name."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Makeup":
        """The inverse of `to_arrays`, on arrays of unknown origin.

        Raises:
            ValueError, KeyError: an array is missing, or has another dtype, shape or range.
        """
        ...

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple[Any, float]]]) -> "Makeup":
        """Average makeups region by region; the shares of a region are normalised to sum 1."""
        ...
