"""Training targets of the systems: the `mobile` model's change, as factors on light."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, MakeupError, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.models.factors import GRIDS, NEAR_LIPS, SKIN_LIGHTNESS
from makeup_sdk.models.mobile.model import MobileModel
from makeup_sdk.models.mobile.paint import MobilePainter

__all__ = [
    "NEAR_LIPS",
    "REGIONS",
    "SKIN_LIGHTNESS",
    "appearance_of",
    "change_on",
    "lay_out",
    "on_its_crop",
]

REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)


def on_its_crop(
    crop: NDArray[np.uint8], regions: NDArray[np.uint8], landmarks: NDArray[np.float32]
) -> FaceAnalysis:
    """A face in its crop's coordinates."""
    return FaceAnalysis(np.asarray(landmarks), 1.0, np.eye(2, 3), np.asarray(crop), regions)


def appearance_of(face: FaceAnalysis) -> Appearance | None:
    """The appearance read from a reference face; None if too little of it is visible."""
    try:
        return MobileModel().encode(face)
    except MakeupError:
        return None


def change_on(face: FaceAnalysis, appearance: Appearance | None) -> FloatArray:
    """The change of log light that puts an appearance on a face.

    Args:
        face: the source face.
        appearance: from `appearance_of`; None changes nothing.

    Returns:
        float32 (256, 256, 3), B, G, R; 0 outside the regions.
    """
    change = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.float32)
    if appearance is None:
        return change
    lay_out(MobilePainter(appearance).factors(face), face.regions, change)
    return change


def lay_out(
    factors: Mapping[Region, FloatArray], regions: NDArray[np.uint8], change: FloatArray
) -> None:
    """Write log factors, (3, rows, columns) on the regions' grids, into a crop, inside regions."""
    for region, values in factors.items():
        grid = GRIDS[region]
        planes = values.transpose(1, 2, 0)
        if grid.cell > 1:
            planes = planes.repeat(grid.cell, 0).repeat(grid.cell, 1)
        here = regions[grid.pixels] == region
        change[grid.pixels][here] = planes[here]
