"""What a `classic` look consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.layout import FINE_STRIDE
from makeup_sdk.faces.template import template_regions

FIELD_SIZE = CROP_SIZE // FINE_STRIDE
DETAIL_SIDE = 32

CARD_SKIN = np.array([143, 165, 208], np.uint8)
"""BGR of the medium skin on which colours are read and looks are shown."""


_ARRAYS: dict[str, tuple[tuple[int, ...], type, tuple[float, float]]] = {
    "fields": ((3, FIELD_SIZE, FIELD_SIZE), np.float32, (-6.0, 6.0)),
    "lip_detail": ((DETAIL_SIDE, DETAIL_SIDE, 3), np.uint8, (0, 255)),
    "skin": ((3,), np.float32, (-5.0, 0.5)),
    "cover": ((len(Region),), np.float32, (0.0, 1.0)),
    "lip_presence": ((), np.float32, (0.0, 1.0)),
}
"""Shape, dtype and range; log light lies in [-4.43, 0.02]."""


@dataclass(frozen=True)
class MakeupFields:
    """The makeup of one reference on the template face, in log light (`light.py`). A `Makeup`.

    Attributes:
        fields: float32 (3, 128, 128): B, G, R of the made-up face minus its bare skin; 0 outside
            the regions.
        lip_detail: uint8 (32, 32, 3): sorted samples of the lips' fine structure (128 + 80 ·
            difference to their blur): folds and gloss. Only its distribution matters.
        skin: float32 (3,): mean log light of the reference's bare skin.
        cover: float32 (5,), by region id, in [0, 1]: how far the makeup keeps its own colour (1, an
            opaque pigment) instead of following the skin and light it is put on (0, a
            translucent one).
        lip_presence: float32 (), in [0, 1]: how surely the lips wear makeup at all; bare ones are
            not copied.
    """

    kind: ClassVar[str] = "classic"

    fields: FloatArray
    lip_detail: NDArray[np.uint8]
    skin: FloatArray
    cover: FloatArray
    lip_presence: FloatArray

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See `Makeup.to_arrays`."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {**arrays, "fields": self.fields.astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "MakeupFields":
        """See `Makeup.from_arrays`."""
        read: dict[str, Any] = {}
        for name, (shape, kind, (least, most)) in _ARRAYS.items():
            array = arrays[name]
            stored = (np.float16, np.float32) if kind is np.float32 else (kind,)
            if array.shape != shape or array.dtype not in stored:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {kind} {shape}")
            if not ((array >= least) & (array <= most)).all():
                raise ValueError(f"{name} has values out of [{least:g}, {most:g}]")
            read[name] = array.astype(kind)
        return cls(**read)

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple["MakeupFields", float]]]) -> "MakeupFields":
        """Average looks region by region; the shares of a region are normalised to sum 1.

        Sorted samples average to the samples of the mean distribution in the optimal-transport
        sense, so two glosses mix to a gloss in between.
        """
        cells = template_regions()[::FINE_STRIDE, ::FINE_STRIDE]
        fields = np.zeros((3, FIELD_SIZE, FIELD_SIZE), np.float32)
        detail = np.full((DETAIL_SIDE, DETAIL_SIDE, 3), 128.0)
        skin, skin_weight = np.zeros(3), 0.0
        cover = np.zeros(len(Region), np.float32)
        lip_presence = 0.0
        for region, parts in shares.items():
            total = sum(weight for _, weight in parts)
            normal = [(makeup, weight / total) for makeup, weight in parts]
            inside = cells == region
            fields[:, inside] = sum(makeup.fields[:, inside] * weight for makeup, weight in normal)
            cover[region] = sum(float(makeup.cover[region]) * weight for makeup, weight in normal)
            if region is Region.LIPS:
                details = (makeup.lip_detail * weight for makeup, weight in normal)
                detail = sum(details, np.zeros(()))
                lip_presence = sum(float(makeup.lip_presence) * weight for makeup, weight in normal)
            skin += sum((makeup.skin * weight for makeup, weight in normal), np.zeros(3))
            skin_weight += 1
        return cls(
            fields,
            np.round(detail).astype(np.uint8),
            (skin / max(skin_weight, 1)).astype(np.float32),
            cover,
            np.array(lip_presence, np.float32),
        )
