"""Lay colour fields of one face out on another with the position-only attentive morph.

Without visual features (C = 0) the morph sends each cell to the cell of the same region that lies
most alike relative to the landmarks (MODELS: "attentive makeup morphing"). Lips and eyes are each
placed by their own landmarks on a fine grid, the rest of the face by all 68 on a coarse one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE, MorphReference, Region
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_kernels.types import FloatArray, RegionMap

FINE_STRIDE = 2
COARSE_STRIDE = 4


@dataclass(frozen=True)
class Placement:
    """Regions that are placed together, and the landmarks that place them.

    Attributes:
        regions: ids of the region map.
        points: iBUG indices of the placing landmarks.
        side: -1 the half of the face at the image's left, 1 its right, 0 both.
        stride: crop pixels per grid cell.
        temperature: sharpness of the morph; the weight of a cell falls off by distance with a
            standard deviation of about (spread of the landmarks) / √temperature.
    """

    regions: tuple[Region, ...]
    points: tuple[int, ...]
    side: int
    stride: int
    temperature: float


_RIGHT = (*range(36, 42), *range(17, 22))
_LEFT = (*range(42, 48), *range(22, 27))
PLACEMENTS = (
    Placement((Region.LIPS,), tuple(range(48, 68)), 0, FINE_STRIDE, 200.0),
    Placement((Region.EYES, Region.BROWS), _RIGHT, -1, FINE_STRIDE, 250.0),
    Placement((Region.EYES, Region.BROWS), _LEFT, 1, FINE_STRIDE, 250.0),
    Placement((Region.SKIN,), tuple(range(68)), 0, COARSE_STRIDE, 400.0),
)


@dataclass(frozen=True)
class FaceLayout:
    """Where the regions and landmarks of a face are, in crop pixels.

    Attributes:
        landmarks: float32 (68, 2), x then y.
        regions: uint8 (256, 256) region map.
    """

    landmarks: FloatArray
    regions: RegionMap

    def grid(self, placement: Placement) -> RegionMap:
        """uint8 (256/stride, 256/stride): the placement's regions on its grid, others 0."""
        cells = self.regions[:: placement.stride, :: placement.stride]
        member = np.zeros(256, bool)
        member[list(placement.regions)] = True
        wanted = member[cells]
        if placement.side:
            right = self.landmarks[36:42].mean(axis=0)
            left = self.landmarks[42:48].mean(axis=0)
            axis, middle = left - right, (left + right) / 2
            size = cells.shape[0]
            steps = np.arange(size, dtype=np.float64) * placement.stride
            across = (steps[None, :] - middle[0]) * axis[0] + (steps[:, None] - middle[1]) * axis[1]
            wanted &= (across > 0) == (placement.side > 0)
        return np.where(wanted, cells, 0).astype(np.uint8)

    def points(self, placement: Placement) -> FloatArray:
        """float32 (K, 2): the placing landmarks."""
        return np.ascontiguousarray(self.landmarks[list(placement.points)])

    def mirrored(self) -> "FaceLayout":
        """The same face, its crop flipped left to right."""
        regions = np.ascontiguousarray(self.regions[:, ::-1])
        return FaceLayout(mirrored_landmarks(self.landmarks), regions)


def mirrored_landmarks(landmarks: FloatArray) -> FloatArray:
    """float32 (68, 2), crop pixels: those of the same face in a flipped crop."""
    mirrored: FloatArray = landmarks[MIRRORED_POINTS]
    mirrored[:, 0] = CROP_SIZE - 1 - mirrored[:, 0]
    return mirrored


class LaidFields:
    """Colour fields of one face, packed so that they can be laid out on any other.

    Args:
        fields: float32 (V, 256/stride, 256/stride), one value per cell.
        face: where those fields lie.
        placements: how regions are placed; their strides are multiples of `stride`.
        stride: crop pixels per cell of the fields.
        threads: CPU threads; None: one per core.
    """

    def __init__(
        self,
        fields: FloatArray,
        face: FaceLayout,
        placements: tuple[Placement, ...] = PLACEMENTS,
        stride: int = FINE_STRIDE,
        threads: int | None = None,
    ) -> None:
        self._placements = placements
        self._threads = threads
        self._references = []
        for placement in placements:
            step = placement.stride // stride
            grid = face.grid(placement)
            self._references.append(
                MorphReference(
                    np.empty((0, *grid.shape), np.float32),
                    face.points(placement),
                    grid,
                    np.ascontiguousarray(fields[:, ::step, ::step]),
                    temperature=placement.temperature,
                    pixel_stride=placement.stride,
                )
            )

    def on(self, face: FaceLayout) -> Iterator[tuple[Placement, RegionMap, FloatArray]]:
        """Lay the fields out on a face: yields placement, its grid, float32 (V, h, w) per group."""
        for placement, reference in zip(self._placements, self._references, strict=True):
            grid = face.grid(placement)
            empty = np.empty((0, *grid.shape), np.float32)
            values = reference.morph(empty, face.points(placement), grid, threads=self._threads)
            yield placement, grid, values


def masked_blur(values: FloatArray, mask: FloatArray, sigma: float) -> FloatArray:
    """Gaussian mean of the values inside a mask only, defined (and extended) beyond it.

    blur(values · mask) / blur(mask)

    Args:
        values: float32 (H, W) or (H, W, V).
        mask: float32 (H, W), weights in [0, 1].
        sigma: in cells.

    Returns:
        float32 of the shape of `values`; where no weight is near, 0.
    """
    weight = cv2.GaussianBlur(mask, (0, 0), sigma)
    weighted = values * (mask if values.ndim == 2 else mask[..., None])
    total = cv2.GaussianBlur(weighted, (0, 0), sigma).reshape(values.shape)
    scale = 1.0 / np.maximum(weight, 1e-4)
    blurred: FloatArray = total * (scale if values.ndim == 2 else scale[..., None])
    return blurred
