"""The data of a `mobile` look: the appearance of a reference's regions, as maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.canonical import Window

_AROUND_EYES = Window(70, 44, 34, 85, 2)

WINDOWS: Mapping[Region, Window] = {
    Region.LIPS: Window(158, 80, 32, 49, 2),
    Region.SKIN: Window(0, 0, 33, 33, 8),
    Region.EYES: _AROUND_EYES,
    Region.BROWS: _AROUND_EYES,
}
"""Window of each region's map on the canonical face."""

EXPOSURE_SHARE = 0.35
"""Fraction of a reference's brightness that is attributed to the light, so that a dark photo of
deep colours keeps them deep. Painted faces are normalised to standard light completely."""

_LARGEST = 150.0
"""Maximum difference of two colours, per axis of CIELAB."""


@dataclass(frozen=True)
class RegionAppearance:
    """One region of a reference, on its canonical window.

    Attributes:
        lab: float32 (rows, columns, 3): CIELAB relative to the cheeks.
        seen: float32 (rows, columns) in [0, 1]: visible fraction of each cell in the photo.
    """

    lab: FloatArray
    seen: FloatArray


@dataclass(frozen=True)
class Appearance:
    """Appearance of one reference's regions, relative to its own skin.

    Attributes:
        maps: maps of the regions that the reference shows.
        skin: float32 (3,): CIELAB of its cheeks in standard light (`faces.skin_light`).
    """

    kind: ClassVar[str] = "mobile"

    maps: Mapping[Region, RegionAppearance]
    skin: FloatArray

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See `Makeup.to_arrays`."""
        arrays: dict[str, NDArray[Any]] = {"skin": self.skin}
        for region, part in self.maps.items():
            name = region.name.lower()
            arrays[f"{name}_lab"] = part.lab.astype(np.float16)
            arrays[f"{name}_seen"] = np.round(part.seen * 255).astype(np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Appearance":
        """See `Makeup.from_arrays`."""
        skin = _checked(arrays["skin"], "skin", np.float32, (3,))
        maps = {}
        for region, window in WINDOWS.items():
            name = region.name.lower()
            if f"{name}_lab" not in arrays:
                continue
            shape = (window.rows, window.columns)
            lab = _checked(arrays[f"{name}_lab"], f"{name}_lab", np.float16, (*shape, 3))
            seen = _checked(arrays[f"{name}_seen"], f"{name}_seen", np.uint8, shape)
            maps[region] = RegionAppearance(
                lab.astype(np.float32), seen.astype(np.float32) * np.float32(1 / 255)
            )
        if not maps:
            raise ValueError("no region has a map")
        return cls(maps, skin)

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple["Appearance", float]]]) -> "Appearance":
        """Average maps region by region; the shares of a region are normalised to sum 1."""
        maps = {}
        skins, weights = [], []
        for region, parts in shares.items():
            shown = [
                (makeup.maps[region], share) for makeup, share in parts if region in makeup.maps
            ]
            skins += [makeup.skin for makeup, _ in parts]
            weights += [share for _, share in parts]
            if not shown:
                continue
            total = sum(share for _, share in shown)
            seen = sum(part.seen * np.float32(share / total) for part, share in shown)
            lab = sum(
                part.lab * (part.seen * np.float32(share / total))[..., None]
                for part, share in shown
            )
            maps[region] = RegionAppearance(
                np.asarray(lab / np.maximum(seen, 1e-3)[..., None], np.float32),
                np.asarray(seen, np.float32),
            )
        skin = np.average(np.stack(skins), axis=0, weights=weights).astype(np.float32)
        return cls(maps, skin)


def _checked(values: NDArray[Any], name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    if values.shape != shape or values.dtype != dtype:
        raise ValueError(
            f"{name} is {values.dtype} {values.shape}, expected {np.dtype(dtype)} {shape}"
        )
    if dtype is not np.uint8 and not (np.abs(values.astype(np.float32)) <= _LARGEST).all():
        raise ValueError(f"{name} has values out of [-{_LARGEST:g}, {_LARGEST:g}]")
    return values
