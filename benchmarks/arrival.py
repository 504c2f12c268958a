"""How much of a real reference's makeup arrives on a real face.

Source, reference and result are warped to the mean face by a thin-plate spline of their landmarks
and blurred a little. Colours are CIELAB relative to each picture's own cheeks. Lightness counts
half, since light differs, and on skin not at all. In each region

    arrival = ⟨result - source, reference - source⟩ / |reference - source|²    1: all, 0: none
    left    = |result - reference| / |source - reference|                      0: equal
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import Image
from makeup_sdk.faces.template import template_landmarks, template_regions

Map = NDArray[np.float32]

SIDE = 128
REGIONS = (Region.LIPS, Region.EYES, Region.SKIN, Region.BROWS)
_SMOOTHING = 20.0
_BLUR_SHARE = 1 / 90
"""Blur of a picture, in pupil distances."""
_REGION_BLUR = 1.5
_FOREHEAD, _CHIN = 50, 92
"""Rows of the mean face between which cheeks, and skin at all, are measured."""


class Arrival(NamedTuple):
    """One region of one result; see the module."""

    arrival: float
    left: float


def _bending(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return np.where(squared > 0, squared * np.log(squared + 1e-12), 0)


@dataclass(frozen=True)
class MeanFace:
    """The mean face that pictures are compared on.

    Attributes:
        regions: uint8 (128, 128), `Region` ids.
        points: float64 (68, 2), its landmarks in pixels of a 256 × 256 crop.
    """

    regions: Image
    points: NDArray[np.float64]

    @classmethod
    def make(cls) -> "MeanFace":
        """The product's template face; skin without the forehead, where hair falls."""
        regions = template_regions()[::2, ::2].copy()
        regions[:_FOREHEAD][regions[:_FOREHEAD] == Region.SKIN] = Region.NONE
        return cls(regions, template_landmarks().astype(np.float64))

    def colors(self, image: Image, landmarks: NDArray[np.floating]) -> Map:
        """float32 (128, 128, 3): CIELAB relative to the cheeks, lightness halved.

        Args:
            image: uint8 (H, W, 3), BGR.
            landmarks: float (68, 2), pixels of it.
        """
        pupils = landmarks[36:42].mean(0) - landmarks[42:48].mean(0)
        sigma = max(float(np.hypot(*pupils)) * _BLUR_SHARE, 0.3)
        soft = cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32) / 255
        places = self._places(landmarks.astype(np.float64))
        border = cv2.BORDER_REPLICATE
        warped = cv2.remap(soft, places, None, cv2.INTER_LINEAR, borderMode=border)
        lab = cv2.cvtColor(warped, cv2.COLOR_BGR2LAB)
        cheeks = self.regions == Region.SKIN
        cheeks[_CHIN:] = False
        relative = (lab - np.median(lab[cheeks], axis=0)) * np.float32([0.5, 1, 1])
        smooth = np.zeros_like(relative)
        for region in REGIONS:
            here = (self.regions == region).astype(np.float32)
            total = cv2.GaussianBlur(relative * here[..., None], (0, 0), _REGION_BLUR)
            share = np.maximum(cv2.GaussianBlur(here, (0, 0), _REGION_BLUR), 1e-3)
            smooth[here > 0] = (total / share[..., None])[here > 0]
        return smooth

    def compare(self, source: Map, reference: Map, result: Map) -> dict[Region, Arrival]:
        """Arrival in each region, of maps of `colors`."""
        found = {}
        for region in REGIONS:
            here = self.regions == region
            axes = slice(1, 3) if region is Region.SKIN else slice(0, 3)
            wanted = (reference - source)[here][:, axes]
            made = (result - source)[here][:, axes]
            size = float((wanted**2).sum())
            left = float(np.sqrt(((made - wanted) ** 2).sum() / size))
            found[region] = Arrival(float((wanted * made).sum() / size), left)
        return found

    def _places(self, landmarks: NDArray[np.float64]) -> Map:
        count = len(self.points)
        affine = np.c_[np.ones(count), self.points]
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _bending(self.points, self.points) + _SMOOTHING * np.eye(count)
        system[:count, count:], system[count:, :count] = affine, affine.T
        solved = np.linalg.solve(system, np.r_[landmarks, np.zeros((3, 2))])
        rows, columns = np.mgrid[0:SIDE, 0:SIDE]
        grid = np.c_[columns.ravel(), rows.ravel()] * 2.0
        bent = _bending(grid, self.points) @ solved[:count]
        places = bent + np.c_[np.ones(len(grid)), grid] @ solved[count:]
        return places.astype(np.float32).reshape(SIDE, SIDE, 2)
