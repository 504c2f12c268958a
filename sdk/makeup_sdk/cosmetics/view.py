"""A face prepared for painting: its picture in linear light, its light, its visible parts."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, TEMPLATE_LANDMARKS, Region, crop_matrix
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.light import SkinLight, luminance, to_linear
from makeup_sdk.cosmetics.maps import Points, blur, smoothstep, spline
from makeup_sdk.faces.types import FaceAnalysis, WorkedOut

_OUTER_CORNERS = float(TEMPLATE_LANDMARKS[45, 0] - TEMPLATE_LANDMARKS[36, 0])
"""Distance of the outer eye corners on the template, as a fraction of its side."""
_EYES = ([36, 37, 38, 39, 40, 41], [42, 43, 44, 45, 46, 47])
_MOUTH = [60, 61, 62, 63, 64, 65, 66, 67]
_BAND = 32
_FROM_HALF = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]])
"""Pixel of the half crop to crop pixel."""


@dataclass(frozen=True)
class FaceView(WorkedOut):
    """One face, prepared for painting. All positions are pixels of its 256×256 crop.

    Attributes:
        crop: uint8 (256, 256, 3), sRGB, BGR.
        points: float64 (68, 2), landmarks.
        regions: uint8 (256, 256), region map.
        light: the light on it.
        frame_pixel: side of a frame pixel, in crop pixels.
    """

    crop: Image
    points: Points
    regions: Image
    light: SkinLight
    frame_pixel: float

    @classmethod
    def of(cls, face: FaceAnalysis, light: SkinLight | None = None) -> "FaceView":
        """The view of an analysed face; measures its light unless given."""
        points = face.crop_landmarks.astype(np.float64)
        if light is None:
            light = SkinLight.measure(face.crop, points, face.regions)
        pixel = float(np.sqrt(abs(np.linalg.det(face.matrix[:, :2]))))
        return cls(face.crop, points, face.regions, light, pixel)

    @cached_property
    def half(self) -> FloatArray:
        """float32 (128, 128, 3), linear BGR, means of two by two pixels."""
        half = np.empty((CROP_SIZE // 2, CROP_SIZE // 2, 3), np.float32)
        for row in range(0, CROP_SIZE, _BAND):  # bands stay in the cache
            band = to_linear(self.crop[row : row + _BAND])
            to = half[row // 2 : (row + _BAND) // 2]
            cv2.resize(band, to.shape[1::-1], dst=to, interpolation=cv2.INTER_AREA)
        return half

    def bare(self, matrix: NDArray[np.float64], shape: tuple[int, int]) -> FloatArray:
        """float32 (*shape, 3): linear BGR on a patch; `matrix` (2, 3) is crop pixel to cell."""
        rows, columns, shifted = _part(matrix, shape, 2)
        return _warped(to_linear(self.crop[rows, columns]), shifted, shape)

    @cached_property
    def unit(self) -> float:
        """Distance of the outer eye corners of a frontal face of this size."""
        matrix = crop_matrix(self.points.astype(np.float32), size=1)
        return _OUTER_CORNERS / float(np.hypot(matrix[0, 0], matrix[1, 0]))

    @cached_property
    def light_skin(self) -> FloatArray:
        """float32 (128, 128) in [0, 1]: 0 where far darker than this face's skin: sunglasses,
        frames, thick hair."""
        tone = blur(luminance(self.half), 0.0075 * self.unit)
        return smoothstep(0.04 * self.light.luminance, 0.16 * self.light.luminance, tone)

    @cached_property
    def visible(self) -> FloatArray:
        """float32 (128, 128) in [0, 1]: 0 where hair, glasses, a hand or a mask cover the face.

        The region map excludes eyeballs and the inside of the mouth; their surroundings decide.
        """
        seen = np.where(self.regions > 0, np.uint8(255), np.uint8(0))
        for index in (*_EYES, _MOUTH):
            self._close(seen, self.points[index])
        grown = cv2.erode(seen, np.ones((3, 3), np.uint8))
        half = cv2.resize(grown, (CROP_SIZE // 2,) * 2, interpolation=cv2.INTER_AREA)
        visible: FloatArray = blur(half, 0.6) * np.float32(1 / 255)
        return visible

    def shut(self, left: bool) -> float:
        """How far an eye is closed, in [0, 1]; `left` as seen in the picture.

        Landmarks show a closed eye as open; the region map shows the lid between them.
        """
        outline = np.clip(self.points[_EYES[0 if left else 1]], 0, CROP_SIZE - 1)
        x0, y0 = np.floor(outline.min(axis=0)).astype(int)
        x1, y1 = np.ceil(outline.max(axis=0)).astype(int) + 1
        inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
        polygon = np.round((outline - (x0, y0)) * 16).astype(np.int32)
        cv2.fillPoly(inside, [polygon], 1, shift=4)
        lid = self.regions[y0:y1, x0:x1][inside > 0] > 0
        if lid.size < 12:
            return 0.0
        return float(smoothstep(0.35, 0.75, np.float32(lid.mean())))

    def _close(self, seen: Image, outline: Points) -> None:
        """Fill a hole of the region map if most of its surroundings are visible."""
        reach = max(2, round(0.05 * self.unit))
        outline = np.clip(outline, -999, 999)
        corner = np.floor(outline.min(axis=0)).astype(int) - 2 * reach - 2
        low = np.clip(corner, 0, CROP_SIZE - 1)
        high = np.clip(np.ceil(outline.max(axis=0)).astype(int) + 2 * reach + 3, 1, CROP_SIZE)
        if (high <= low).any():
            return
        seen = seen[low[1] : high[1], low[0] : high[0]]
        hole = np.zeros(seen.shape, np.uint8)
        polygon = np.round((outline - low) * 16).astype(np.int32)
        cv2.fillPoly(hole, [polygon], 1, shift=4)
        cv2.polylines(hole, [polygon], True, 1, reach, shift=4)
        around = cv2.dilate(hole, np.ones((2 * reach + 1,) * 2, np.uint8)) > hole
        if around.any() and (seen[around] > 0).mean() > 0.5:
            seen[hole > 0] = 255

    def warped(
        self, values: FloatArray, matrix: NDArray[np.float64], shape: tuple[int, int]
    ) -> FloatArray:
        """Resample the crop, or its half, to a patch: `matrix` (2, 3) is crop pixel to cell."""
        if len(values) < CROP_SIZE:
            matrix = matrix @ _FROM_HALF
        return _warped(values, matrix, shape)

    def share(
        self, region: Region, sigma: float, matrix: NDArray[np.float64], shape: tuple[int, int]
    ) -> FloatArray:
        """float32, `shape`, in [0, 1]: a region with a soft border on a patch.

        Args:
            region: the region.
            sigma: softness of the border, crop pixels.
            matrix: float64 (2, 3), crop pixel to cell.
            shape: shape of the patch.
        """
        rows, columns, shifted = _part(matrix, shape, int(3 * sigma) + 2)
        there = (self.regions[rows, columns] == region).astype(np.float32)
        return _warped(blur(there, sigma), shifted, shape)


def _part(
    matrix: NDArray[np.float64], shape: tuple[int, int], margin: int
) -> tuple[slice, slice, NDArray[np.float64]]:
    """The rows and columns of the crop under a patch, and their pixels to cells, (2, 3)."""
    right, bottom = shape[1] - 1, shape[0] - 1
    corners = np.array([[0, 0, 1], [right, 0, 1], [0, bottom, 1], [right, bottom, 1]], float)
    places = corners @ cv2.invertAffineTransform(matrix).T
    x0, y0 = np.clip(np.floor(places.min(axis=0)).astype(int) - margin, 0, CROP_SIZE - 2)
    x1, y1 = np.clip(np.ceil(places.max(axis=0)).astype(int) + margin, (x0 + 2, y0 + 2), CROP_SIZE)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (x0, y0)
    return slice(y0, y1), slice(x0, x1), shifted


def _warped(values: FloatArray, matrix: NDArray[np.float64], shape: tuple[int, int]) -> FloatArray:
    patch: FloatArray = cv2.warpAffine(
        values, matrix, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return patch


def face_outline(points: Points, unit: float) -> Points:
    """Closed outline of the face: the jaw, and a forehead arc over the brows.

    The 68 points end at the brows. The arc rises 0.42 units above the brow line, which stays below
    the hairline of most faces.
    """
    rise = points[27] - points[8]
    rise = rise / np.hypot(*rise) * 0.42 * unit
    left, right = points[0], points[16]
    brow_left, brow_middle, brow_right = points[18], points[21:23].mean(axis=0), points[25]
    top = np.stack(
        [
            right,
            0.75 * right + 0.25 * brow_right + 0.35 * rise,
            brow_right + 0.75 * rise,
            brow_middle + 1.05 * rise,
            brow_left + 0.75 * rise,
            0.75 * left + 0.25 * brow_left + 0.35 * rise,
            left,
        ]
    )
    return np.vstack([spline(points[:17]), spline(top)[1:-1]])


def face_mask(points: Points, unit: float, shape: tuple[int, int], feather: float) -> FloatArray:
    """Coverage of the face: 0 on and outside its outline, 1 from `feather` pixels inward.

    Args:
        points: float64 (68, 2), pixels of the map.
        unit: `FaceView.unit`, in the same pixels.
        shape: shape of the map.
        feather: width of the soft border, pixels.

    Returns:
        float32, `shape`.
    """
    filled = np.zeros(shape, np.uint8)
    outline = np.round(np.clip(face_outline(points, unit), -999, 999) * 16).astype(np.int32)
    cv2.fillPoly(filled, [outline], 1, lineType=cv2.LINE_8, shift=4)
    padded = cv2.copyMakeBorder(filled, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    inward = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return smoothstep(0.0, max(feather, 1.0), inward - 1.0)
