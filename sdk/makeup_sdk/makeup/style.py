"""Looks given by the name of a style."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, Region

STYLE_REGIONS = frozenset((Region.EYES, Region.LIPS, Region.SKIN))
"""Regions that styles paint; brows stay bare."""

_LONGEST = 256


@dataclass(frozen=True)
class Style:
    """A style that a network has learned. A `Makeup`.

    Attributes:
        name: name of the style in the network's bundle.
    """

    kind: ClassVar[str] = "style"

    name: str

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See `Makeup.to_arrays`."""
        return {"style": np.frombuffer(json.dumps(self.name).encode(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Style":
        """See `Makeup.from_arrays`."""
        name = json.loads(arrays["style"].tobytes().decode())
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
            raise ValueError(f"style is {str(name)[:40]}, expected a name")
        return cls(name)

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple["Style", float]]]) -> "Style":
        """A single style; styles cannot be mixed.

        Raises:
            InvalidInputError: several styles.
        """
        styles = {style for parts in shares.values() for style, _ in parts}
        if len(styles) > 1:
            names = ", ".join(sorted(style.name for style in styles))
            raise InvalidInputError(f"mix: styles ({names}) cannot be mixed; wear one of them")
        return styles.pop()
