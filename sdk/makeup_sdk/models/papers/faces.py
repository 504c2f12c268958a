"""Faces for published networks: their crop, and the mask of the change."""

from dataclasses import dataclass

import cv2
import numpy as np

from makeup_kernels import Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.base import Strength

_FEATHER = 2.0
"""Width of the makeup's soft edge in crop pixels, entirely inside the regions."""


@dataclass(frozen=True)
class NetworkFace:
    """A face on a crop of the network's size S.

    Attributes:
        image: uint8 (S, S, 3), BGR; or float32 in the same range (`views`).
        landmarks: float32 (68, 2), x then y, pixels of `image`.
        regions: uint8 (S, S), `makeup_kernels.Region` ids.
        skin: float32 (3,), log light of the bare skin, where `image` is relative to it.
    """

    image: Image | FloatArray
    landmarks: FloatArray
    regions: Image
    skin: FloatArray | None = None

    @classmethod
    def of(cls, face: FaceAnalysis, size: int) -> "NetworkFace":
        """The same face on a crop of side `size`."""
        side = face.crop.shape[0]
        if side == size:
            return cls(face.crop, face.crop_landmarks, face.regions)
        return cls(
            shrunk(face.crop, size),
            ((face.crop_landmarks + 0.5) * (size / side) - 0.5).astype(np.float32),
            np.asarray(
                cv2.resize(face.regions, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8
            ),
        )


def shrunk(image: Image | FloatArray, size: int) -> Image:
    """Resize a square image (S, S, 3), usually to a smaller side."""
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def makeup_mask(regions: Image, strength: Strength) -> FloatArray:
    """Weight of the change at each pixel, with soft edges inside the painted regions.

    Args:
        regions: uint8 (H, W) region map.
        strength: see `Strength`.

    Returns:
        float32 (H, W) in [0, 1], 0 outside the regions.
    """
    amounts = np.zeros(len(Region), np.float32)
    for region in MAKEUP_REGIONS:
        amounts[region] = strength.get(region, 0.0)
    painted = (amounts > 0).astype(np.float32)[regions]
    share = cv2.GaussianBlur(painted, (0, 0), _FEATHER)
    amount = cv2.GaussianBlur(amounts[regions], (0, 0), _FEATHER) / np.maximum(share, 1e-6)
    mask = np.clip(2 * share - 1, 0, 1) * painted * np.clip(amount, 0, 1)
    return np.asarray(mask, np.float32)


def beyond(regions: Image, strength: Strength) -> FloatArray | None:
    """Factor on the change of each pixel, for strengths above 1.

    Args:
        regions: uint8 (H, W) region map.
        strength: see `Strength`.

    Returns:
        float32 (H, W), at least 1; None if no strength is above 1.
    """
    amounts = np.ones(len(Region), np.float32)
    for region in MAKEUP_REGIONS:
        amounts[region] = max(1.0, strength.get(region, 0.0))
    return amounts[regions] if amounts.max() > 1 else None


def planes(classes: Image, count: int) -> FloatArray:
    """One-hot: uint8 (S, S) to float32 (1, count, S, S); an id ≥ `count` is in no plane."""
    ids = np.arange(count, dtype=np.uint8)[:, None, None]
    return np.ascontiguousarray((classes[None] == ids)[None].astype(np.float32))
