"""The own axes of eyes and mouth: patches that lie along a feature, one cell a pixel of the frame.

Columns run along the feature (t) and rows across it (v). Every outline is a function of t alone,
so shapes are exact to a fraction of a cell, and move with the face without shimmering.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.maps import Points, height, smoothstep, spline
from makeup_sdk.cosmetics.view import FaceView

_EYE = 0.29
"""Width of an eye seen from the front, in `FaceView.unit`; heights are never in less."""
_BROW_THICKNESS = 0.23


class Axes:
    """t from `start` (0) to `end` (1), v toward one side; v in `length`s.

    Args:
        start, end: float64 (2,), crop pixels.
        toward: float64 (2,), a point on the side where v is positive.
        least: crop pixels; v is in no smaller unit than this, so that what is turned away keeps
            its height.
    """

    def __init__(self, start: Points, end: Points, toward: Points, least: float = 0.0) -> None:
        axis = end - start
        self.width = float(np.hypot(*axis))
        self.length = max(self.width, least)
        self._start, self._axis = start, axis / self.width
        normal = np.array([-self._axis[1], self._axis[0]])
        self._normal = normal if (toward - start) @ normal >= 0 else -normal

    def local(self, points: Points) -> Points:
        """Crop pixels to (t, v)."""
        offset = points - self._start
        return np.stack(
            [offset @ self._axis / self.width, offset @ self._normal / self.length], axis=1
        )

    def lay(
        self, view: FaceView, t_range: tuple[float, float], v_range: tuple[float, float]
    ) -> None:
        """Lay cells of a frame's pixel over a range; sets `t`, `v`, `matrix` and `shape`."""
        cell = view.frame_pixel
        columns = max(int(np.ceil((t_range[1] - t_range[0]) * self.width / cell)) + 1, 4)
        rows = max(int(np.ceil((v_range[1] - v_range[0]) * self.length / cell)) + 1, 4)
        self.shape = rows, columns
        self.cell = cell / self.length
        """Height of a cell in `length`s."""
        self.t: FloatArray = (
            t_range[0] + np.arange(columns, dtype=np.float32)[None] * (cell / self.width)
        ).astype(np.float32)
        """float32 (1, columns)."""
        self.v: FloatArray = (
            v_range[0] + np.arange(rows, dtype=np.float32)[:, None] * self.cell
        ).astype(np.float32)
        """float32 (rows, 1)."""
        linear = np.stack([self._axis, self._normal]) / cell
        shift = -linear @ self._start - (
            t_range[0] * self.width / cell,
            v_range[0] * self.length / cell,
        )
        self.matrix: NDArray[np.float64] = np.hstack([linear, shift[:, None]])
        """float64 (2, 3): crop pixel to cell."""

    def edge(self, distance: FloatArray, soft: float = 0.0) -> FloatArray:
        """Coverage of `distance > 0` (in v), antialiased over a cell plus `soft`."""
        half = 0.5 * self.cell + soft
        return smoothstep(-half, half, distance)


class Eye(Axes):
    """One eye: t runs from the inner (0) to the outer corner (1), v up, h from the upper lid's edge
    (0) to the brow (1).

    Args:
        view: the face.
        left: the eye on the picture's left.
        tail: degrees at which the lids' lines go on beyond the outer corner.
    """

    def __init__(self, view: FaceView, left: bool, tail: float) -> None:
        points = view.points
        upper, lower, brow = (
            ([39, 38, 37, 36], [39, 40, 41, 36], [21, 20, 19, 18, 17])
            if left
            else ([42, 43, 44, 45], [42, 47, 46, 45], [22, 23, 24, 25, 26])
        )
        super().__init__(
            points[upper[0]], points[upper[-1]], points[brow[2]], least=_EYE * view.unit
        )
        brow_points = self.local(points[brow])
        top = float(brow_points[:, 1].max()) + 0.12
        reach = max(1.65, float(brow_points[-1, 0]) + 0.1)
        self.lay(view, (min(-0.3, float(brow_points[0, 0]) - 0.1), reach), (-0.55, max(top, 0.4)))
        upper_curve, lower_curve = (spline(self.local(points[index])) for index in (upper, lower))
        beyond = np.maximum(self.t - 1.0, 0.0) * np.float32(self.width / self.length)
        self.tail_slope = float(np.tan(np.radians(tail)))
        """Rise of the lids' lines beyond the outer corner."""
        slope = np.float32(self.tail_slope)
        lower_lid = height(lower_curve, self.t)
        shut = np.float32(view.shut(left))
        upper_lid = height(upper_curve, self.t)
        self.lashes = upper_lid + shut * np.minimum(lower_lid - upper_lid, 0)
        """float32 (1, columns): v of the upper lid's edge, flat beyond the corners."""
        self.lid = self.lashes + slope * beyond
        """The same, going on at `tail` beyond the outer corner."""
        self.under = lower_lid + slope * beyond
        """v of the lower lid's edge."""
        self.brow_top, self.brow_bottom = self._brow(brow_points)
        room = np.maximum(self.brow_bottom - self.lid, 0.22)
        self.h: FloatArray = (self.v - self.lid) / room
        opening = float((upper_curve[:, 1] - height(lower_curve, upper_curve[:, 0])).max())
        opening *= 1 - float(shut)
        self.closed = smoothstep(0.16, 0.06, np.float32(opening)).item()
        """1 for a closed eye (opening under 6 % of its width), 0 from 16 %."""

    def _brow(self, brow: Points) -> tuple[FloatArray, FloatArray]:
        """Top and bottom of the brow; the landmarks run along its top and overshoot its tail."""
        thick = _BROW_THICKNESS
        top = brow.copy()
        top[-1] = 0.55 * brow[-2] + 0.45 * brow[-1] - (0.0, 0.3 * thick)
        bottom = brow - np.outer([1.0, 0.95, 0.85, 0.62, 0.0], [0.0, thick])
        bottom[-1] = top[-1] - (0.0, 0.12 * thick)
        self.brow_span = float(brow[0, 0]), float(top[-1, 0])
        return height(spline(top), self.t), height(spline(bottom), self.t)

    @cached_property
    def opening(self) -> FloatArray:
        """Coverage of the eyeball between the lids."""
        inside = np.minimum(self.lid - self.v, self.v - self.under)
        ends = np.minimum(self.t, 1.0 - self.t) * 2.0
        return self.edge(np.minimum(inside, ends))

    def brow_map(self) -> FloatArray:
        """Coverage of the brow by its landmarks."""
        inner, outer = self.brow_span
        across = self.edge(np.minimum(self.brow_top - self.v, self.v - self.brow_bottom), 0.045)
        along = smoothstep(inner - 0.04, inner + 0.14, self.t)
        brow: FloatArray = across * along * smoothstep(outer + 0.08, outer - 0.1, self.t)
        return brow


class Mouth(Axes):
    """The mouth: t from the left to the right corner of the picture, v downward."""

    def __init__(self, view: FaceView) -> None:
        points = view.points
        super().__init__(points[48], points[54], points[8], least=0.45 * view.unit)
        local = self.local(points[48:68])
        low, high = float(local[:, 1].min()) - 0.1, float(local[:, 1].max()) + 0.1
        self.lay(view, (-0.1, 1.1), (low, high))
        curves = [[48, 49, 50, 51, 52, 53, 54], [48, 60, 61, 62, 63, 64, 54]]
        curves += [[48, 60, 67, 66, 65, 64, 54], [48, 59, 58, 57, 56, 55, 54]]
        heights = [height(spline(self.local(points[index])), self.t) for index in curves]
        self.upper_outer, self.upper_inner, lower_inner, self.lower_outer = heights
        self.lower_inner = np.maximum(lower_inner, self.upper_inner)
        self.openness = float((self.lower_inner - self.upper_inner).max())
        """Height of the opening in `length`s; 0 when closed."""

    @cached_property
    def inside(self) -> FloatArray:
        """Distance inward from the outer outline, in `length`s; negative outside."""
        slope = np.float32(1.0 / np.sqrt(1.0 + 0.35**2))
        across = np.minimum(self.v - self.upper_outer, self.lower_outer - self.v) * slope
        result: FloatArray = np.minimum(across, np.minimum(self.t, 1.0 - self.t))
        return result

    @cached_property
    def gap(self) -> FloatArray:
        """Distance inward from the inner outline, in `length`s; negative on the lips."""
        result: FloatArray = np.minimum(self.v - self.upper_inner, self.lower_inner - self.v)
        return result

    @cached_property
    def opening(self) -> FloatArray:
        """Coverage of the mouth's inside: teeth, tongue, the dark."""
        parted = smoothstep(0.02, 0.05, np.float32(self.openness))
        opening: FloatArray = parted * self.edge(self.gap + np.float32(0.35 * self.cell))
        return opening
