"""Where makeup goes: smooth weight maps from the 68 landmarks.

Every map is an analytic function of a feature's own coordinates (along the eye and up toward the
brow; along the mouth and across the lips), evaluated per pixel. Edges are therefore exact to a
fraction of a pixel and nothing is ever rasterised but the outline of the face.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import TEMPLATE_LANDMARKS, InvalidInputError, crop_matrix

Map = NDArray[np.float32]
"""float32 (H, W) or (H, W, 3): weights in [0, 1], coordinates, or linear light."""

UNIT = float(TEMPLATE_LANDMARKS[45, 0] - TEMPLATE_LANDMARKS[36, 0])
"""Distance of the outer eye corners on the template, as a fraction of its side."""


def check_landmarks(landmarks: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return landmarks as float64 (68, 2) after checking that they can be painted on.

    Raises:
        InvalidInputError: wrong shape, non-finite, degenerate, or no point inside the image.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    crop_matrix(points)  # checks shape, finiteness and degeneracy
    height, width = shape[:2]
    inside = (points >= 0).all(axis=1) & (points < (width, height)).all(axis=1)
    if not inside.any():
        raise InvalidInputError(
            f"landmarks: no point lies inside the image of {width}×{height} pixels; expected "
            "pixel positions x, y of this image"
        )
    return points


def face_unit(points: NDArray[np.float64]) -> float:
    """Size of the face: the distance of the outer eye corners it would show from the front, px."""
    matrix = crop_matrix(points, size=1)
    return UNIT / float(np.hypot(matrix[0, 0], matrix[1, 0]))


def smoothstep(low: float, high: float, value: Map) -> Map:
    """Cubic ramp: 0 below `low`, 1 above `high` (falling where `low > high`)."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)


def spline(points: NDArray[np.float64], samples: int = 12) -> NDArray[np.float64]:
    """Open Catmull-Rom curve through points.

    Args:
        points: float64 (N, 2), N ≥ 2.
        samples: points per span.

    Returns:
        float64 ((N - 1) · samples + 1, 2).
    """
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = (np.arange(samples) / samples)[:, None]
    spans = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        spans.append(
            b
            + 0.5 * t * (c - a)
            + t**2 * (a - 2.5 * b + 2 * c - 0.5 * d)
            + t**3 * (1.5 * (b - c) + 0.5 * (d - a))
        )
    return np.vstack([*spans, points[-1:]])


@dataclass(frozen=True)
class Window:
    """A rectangle of the image with the pixel positions in it; maps are computed on windows."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, points: NDArray[np.float64], margin: float, shape: tuple[int, ...]) -> "Window":
        """Bounding box of points, widened by `margin` pixels and clipped to the image."""
        height, width = shape[:2]
        low = np.floor(points.min(axis=0) - margin).astype(int)
        high = np.ceil(points.max(axis=0) + margin).astype(int) + 1
        x0, y0 = np.clip(low, 0, (width, height))
        x1, y1 = np.clip(high, (x0, y0), (width, height))
        return cls(int(x0), int(y0), int(x1), int(y1))

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def empty(self) -> bool:
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def grid(self) -> tuple[Map, Map]:
        """x and y of every pixel, float32 (h, w) each."""
        y, x = np.mgrid[self.y0 : self.y1, self.x0 : self.x1].astype(np.float32)
        return x, y


class _Frame:
    """A feature's own axes: t from `start` (0) to `end` (1), v across; both in |end - start|."""

    def __init__(
        self, start: NDArray[np.float64], end: NDArray[np.float64], toward: NDArray[np.float64]
    ) -> None:
        axis = end - start
        self.length = float(np.hypot(*axis))
        self.start = start
        self.axis = axis / self.length
        normal = np.array([-self.axis[1], self.axis[0]])
        self.normal = normal if (toward - start) @ normal >= 0 else -normal

    def local(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        offset = points - self.start
        return np.stack([offset @ self.axis, offset @ self.normal], axis=1) / self.length

    def pixels(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        """Local t, v back to image pixels."""
        return self.start + (local[:, :1] * self.axis + local[:, 1:] * self.normal) * self.length

    def grid(self, window: Window) -> tuple[Map, Map]:
        x, y = window.grid()
        x, y = x - np.float32(self.start[0]), y - np.float32(self.start[1])
        t = (x * self.axis[0] + y * self.axis[1]) / self.length
        v = (x * self.normal[0] + y * self.normal[1]) / self.length
        return t.astype(np.float32), v.astype(np.float32)


def _height(curve: NDArray[np.float64], t: NDArray[np.floating]) -> Map:
    """v of a curve given as a function of t; flat beyond its ends."""
    order = np.maximum.accumulate(curve[:, 0] + 1e-6 * np.arange(len(curve)))
    return np.interp(t, order, curve[:, 1]).astype(np.float32)


class Eye:
    """One eye's coordinates: t runs from the inner (0) to the outer corner (1) in eye widths, v is
    the height in eye widths, and h runs from the upper lid's edge (0) to the brow (1)."""

    def __init__(
        self, points: NDArray[np.float64], left: bool, shape: tuple[int, ...], tail: float
    ) -> None:
        upper, lower, brow = (
            ([39, 38, 37, 36], [39, 40, 41, 36], [21, 20, 19, 18, 17])
            if left
            else ([42, 43, 44, 45], [42, 47, 46, 45], [22, 23, 24, 25, 26])
        )
        inner, outer = points[upper[0]], points[upper[-1]]
        frame = _Frame(inner, outer, points[brow[2]])
        self.frame = frame
        self.width = frame.length
        """Eye width in pixels."""
        self.window = Window.around(points[upper + lower + brow], 0.75 * frame.length, shape)
        self.t, self.v = frame.grid(self.window)
        upper_curve, lower_curve = (spline(frame.local(points[index])) for index in (upper, lower))
        self._upper_curve = upper_curve
        beyond = np.maximum(self.t - 1.0, 0.0)
        self.tail_slope = float(np.tan(np.radians(tail)))
        self.lid = _height(upper_curve, self.t) + self.tail_slope * beyond
        self.under = _height(lower_curve, self.t) + self.tail_slope * beyond
        self.brow_top, self.brow_bottom = self._brow(frame.local(points[brow]))
        room = np.maximum(self.brow_bottom - self.lid, 0.22)
        self.h = (self.v - self.lid) / room
        open_height = float((upper_curve[:, 1] - _height(lower_curve, upper_curve[:, 0])).max())
        self.closed = smoothstep(0.16, 0.06, np.float32(open_height)).item()
        """1 for a closed eye (opening under 6 % of its width), 0 from 16 %."""

    def _brow(self, brow: NDArray[np.float64]) -> tuple[Map, Map]:
        """Top and bottom of the brow; the landmarks run along its top and overshoot its tail."""
        thick = 0.23
        top = brow.copy()
        top[-1] = 0.55 * brow[-2] + 0.45 * brow[-1] - (0.0, 0.3 * thick)
        bottom = brow - np.outer([1.0, 0.95, 0.85, 0.62, 0.0], [0.0, thick])
        bottom[-1] = top[-1] - (0.0, 0.12 * thick)
        top_curve, bottom_curve = spline(top), spline(bottom)
        self.brow_span = float(brow[0, 0]), float(top[-1, 0])
        return _height(top_curve, self.t), _height(bottom_curve, self.t)

    def edge(self, distance: Map, soft: float = 0.0) -> Map:
        """Coverage of `distance > 0` (in eye widths), antialiased over a pixel plus `soft`."""
        half = 0.5 / self.width + soft
        return smoothstep(-half, half, distance)

    def lid_height(self, t: NDArray[np.float64]) -> Map:
        """v of the upper lid's edge at positions t along the eye."""
        return _height(self._upper_curve, t)

    def opening(self) -> Map:
        """Coverage of the eyeball between the lids."""
        inside = np.minimum(self.lid - self.v, self.v - self.under)
        ends = np.minimum(self.t, 1.0 - self.t) * 2.0
        return self.edge(np.minimum(inside, ends))

    def brow_map(self) -> Map:
        inner, outer = self.brow_span
        across = self.edge(np.minimum(self.brow_top - self.v, self.v - self.brow_bottom), 0.045)
        along = smoothstep(inner - 0.04, inner + 0.14, self.t)
        return across * along * smoothstep(outer + 0.08, outer - 0.1, self.t)


class Mouth:
    """The mouth's coordinates: t from the left to the right corner of the picture, v downward, both
    in mouth widths."""

    def __init__(self, points: NDArray[np.float64], shape: tuple[int, ...]) -> None:
        frame = _Frame(points[48], points[54], points[8])
        self.width = frame.length
        self.window = Window.around(points[48:68], 0.12 * frame.length + 2, shape)
        self.t, self.v = frame.grid(self.window)
        curves = [[48, 49, 50, 51, 52, 53, 54], [48, 60, 61, 62, 63, 64, 54]]
        curves += [[48, 60, 67, 66, 65, 64, 54], [48, 59, 58, 57, 56, 55, 54]]
        heights = [_height(spline(frame.local(points[index])), self.t) for index in curves]
        self.upper_outer, self.upper_inner, self.lower_inner, self.lower_outer = heights
        self.lower_inner = np.maximum(self.lower_inner, self.upper_inner)
        self.openness = float((self.lower_inner - self.upper_inner).max())
        """Height of the opening in mouth widths; 0 when closed."""

    def edge(self, distance: Map, soft: float = 0.0) -> Map:
        """Coverage of `distance > 0` (in mouth widths), antialiased over a pixel plus `soft`."""
        half = 0.5 / self.width + soft
        return smoothstep(-half, half, distance)

    def outline_distance(self) -> Map:
        """Distance inward from the outer outline, in mouth widths; negative outside."""
        slope = 1.0 / np.sqrt(1.0 + 0.35**2)
        across = np.minimum(self.v - self.upper_outer, self.lower_outer - self.v) * slope
        return np.minimum(across, np.minimum(self.t, 1.0 - self.t)).astype(np.float32)

    def opening(self) -> Map:
        """Coverage of the mouth's inside: teeth, tongue, the dark."""
        gap = np.minimum(self.v - self.upper_inner, self.lower_inner - self.v)
        parted = smoothstep(1.2, 3.0, np.float32(self.openness * self.width))
        return parted * self.edge(gap + 0.35 / self.width)


def face_outline(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Closed outline of the face: the jaw, and a forehead arc over the brows.

    The 68 points end at the brows. The arc rises 0.42 units (see `face_unit`) above the brow line,
    which stays below the hairline of most faces.
    """
    rise = points[27] - points[8]
    rise = rise / np.hypot(*rise) * 0.42 * face_unit(points)
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


def face_mask(points: NDArray[np.float64], shape: tuple[int, ...], feather: float) -> Map:
    """Coverage of the face: 0 on and outside its outline, 1 from `feather` pixels inward.

    Args:
        points: float64 (68, 2).
        shape: of the image.
        feather: width of the soft border, pixels.

    Returns:
        float32 (H, W).
    """
    filled = np.zeros(shape[:2], np.uint8)
    outline = np.round(face_outline(points) * 16).astype(np.int32)
    cv2.fillPoly(filled, [outline], 1, lineType=cv2.LINE_8, shift=4)
    padded = cv2.copyMakeBorder(filled, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    inward = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return smoothstep(0.0, max(feather, 1.0), inward - 1.0)


def blob(
    grid: tuple[Map, Map],
    centre: NDArray[np.float64],
    along: NDArray[np.float64],
    across: NDArray[np.float64],
) -> Map:
    """Soft elliptic spot exp(-(a² + b²)) in the oblique axes `along` and `across` (pixels)."""
    basis = np.linalg.pinv(np.stack([along, across], axis=1), rcond=0.05)
    x, y = grid[0] - np.float32(centre[0]), grid[1] - np.float32(centre[1])
    a = basis[0, 0] * x + basis[0, 1] * y
    b = basis[1, 0] * x + basis[1, 1] * y
    return np.exp(-(a * a + b * b)).astype(np.float32)


def stroke(
    grid: tuple[Map, Map], path: NDArray[np.float64], radius: float, taper: float = 0.0
) -> Map:
    """Soft line along a path: exp(-(distance / radius)²), weakened by `taper` toward its end.

    Args:
        grid: x and y of the pixels.
        path: float64 (N, 2), pixels.
        radius: pixels.
        taper: fraction of strength lost at the path's end.

    Returns:
        float32 (h, w).
    """
    result = np.zeros(grid[0].shape, np.float32)
    spans = len(path) - 1
    for index, (start, end) in enumerate(itertools.pairwise(path)):
        step = (end - start).astype(np.float32)
        x, y = grid[0] - np.float32(start[0]), grid[1] - np.float32(start[1])
        t = np.clip((x * step[0] + y * step[1]) / max(float(step @ step), 1e-6), 0.0, 1.0)
        distance2 = (x - t * step[0]) ** 2 + (y - t * step[1]) ** 2
        strength = 1.0 - taper * (index + t) / spans
        result = np.maximum(result, strength * np.exp(-distance2 / radius**2))
    return result
