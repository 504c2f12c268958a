"""Local axes of eyes and mouth: patches along a feature, with one cell per frame pixel.

Columns run along the feature (t) and rows across it (v). Every outline is a function of t, so
shapes have sub-cell accuracy and move with the face without shimmering.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.maps import Points, height, smoothstep, spline
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.faces.types import WorkedOut

_EYE = 0.29
"""Width of a frontal eye, in `FaceView.unit`; the minimum unit of heights."""
_BROW_THICKNESS = 0.23


def _ladder(cells: float) -> int:
    """Round up to the next of a series of numbers, in steps of 2 to 3 % from 32 up.

    Textures are resampled once for each.
    """
    step = 1 << max(int(np.log2(max(cells, 1.0))) - 5, 0)
    return max(int(np.ceil(cells / step)) * step, 4)


class Axes(WorkedOut):
    """t from `start` (0) to `end` (1), v towards one side, in `length`s.

    Args:
        start, end: float64 (2,), crop pixels.
        toward: float64 (2,), a point on the side where v is positive.
        least: minimum `length` in crop pixels, so that a feature turned away keeps its height.
    """

    def __init__(self, start: Points, end: Points, toward: Points, least: float = 0.0) -> None:
        axis = end - start
        self.width = float(np.hypot(*axis))
        self.length = max(self.width, least)
        self._start, self._axis = start, axis / self.width
        normal = np.array([-self._axis[1], self._axis[0]])
        self._normal = normal if (toward - start) @ normal >= 0 else -normal

    def local(self, points: Points) -> Points:
        """Convert crop pixels to (t, v)."""
        offset = points - self._start
        return np.stack(
            [offset @ self._axis / self.width, offset @ self._normal / self.length], axis=1
        )

    def lay(
        self, view: FaceView, t_range: tuple[float, float], v_range: tuple[float, float]
    ) -> None:
        """Define cells no wider than a frame pixel over a range; sets the attributes below.

        The cells are on a lattice through t = 0, v = 0 with a whole number of cells per `length`,
        so that textures do not move on the feature.
        """
        self.cells = _ladder(self.length / view.frame_pixel)
        """Cells per `length`."""
        self.cell = 1.0 / self.cells
        """Side of a cell in `length`s."""
        across = self.width / self.length * self.cells
        left, top = int(np.floor(t_range[0] * across)), int(np.floor(v_range[0] * self.cells))
        columns = max(int(np.ceil(t_range[1] * across)) - left + 1, 4)
        rows = max(int(np.ceil(v_range[1] * self.cells)) - top + 1, 4)
        self.shape = rows, columns
        self.corner = top, left
        """The first cell's position on the lattice."""
        self.t: FloatArray = (np.arange(left, left + columns) / across).astype(np.float32)[None]
        """float32 (1, columns)."""
        self.v: FloatArray = (np.arange(top, top + rows) * self.cell).astype(np.float32)[:, None]
        """float32 (rows, 1)."""
        linear = np.stack([self._axis, self._normal]) * (self.cells / self.length)
        shift = -linear @ self._start - (left, top)
        self.matrix: NDArray[np.float64] = np.hstack([linear, shift[:, None]])
        """float64 (2, 3): crop pixel to cell."""

    def rows(self, low: float, high: float) -> slice:
        """The rows with v from `low` to `high`, plus one on each side."""
        first = int(np.floor(low * self.cells)) - self.corner[0] - 1
        last = int(np.ceil(high * self.cells)) - self.corner[0] + 2
        first = min(max(first, 0), self.shape[0])
        return slice(first, max(min(last, self.shape[0]), first))

    def edge(self, distance: FloatArray, soft: float = 0.0) -> FloatArray:
        """Coverage of `distance > 0` (in v), antialiased over a cell plus `soft`."""
        half = 0.5 * self.cell + soft
        return smoothstep(-half, half, distance)


class Eye(Axes):
    """One eye: t runs from the inner (0) to the outer corner (1), v up, h from the upper lid's edge
    (0) to the brow (1).

    Args:
        view: the face.
        left: whether it is the eye on the picture's left.
        tail: angle in degrees at which the lids' lines continue beyond the outer corner.
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
        """The same, continued at `tail` beyond the outer corner."""
        self.under = lower_lid + slope * beyond
        """v of the lower lid's edge."""
        self.brow_top, self.brow_bottom = self._brow(brow_points)
        self.room: FloatArray = np.maximum(self.brow_bottom - self.lid, np.float32(0.22))
        """float32 (1, columns): distance from the lid's edge (h = 0) to the brow (h = 1)."""
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
    def around(self) -> FloatArray:
        """float32 (rows, columns): coverage of everything except the eyeball."""
        ball = np.minimum(self.lid - self.v, self.v - self.under)
        np.minimum(ball, np.minimum(self.t, 1.0 - self.t) * 2.0, out=ball)
        return self.edge(np.negative(ball, out=ball))

    def brow_map(self, rows: slice) -> FloatArray:
        """Coverage of the brow from its landmarks, in some rows."""
        inner, outer = self.brow_span
        v = self.v[rows]
        brow = self.edge(np.minimum(self.brow_top - v, v - self.brow_bottom), 0.045)
        along = smoothstep(inner - 0.04, inner + 0.14, self.t)
        brow *= along * smoothstep(outer + 0.08, outer - 0.1, self.t)
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
        """Coverage of the inside of the mouth."""
        parted = smoothstep(0.02, 0.05, np.float32(self.openness))
        opening: FloatArray = parted * self.edge(self.gap + np.float32(0.35 * self.cell))
        return opening
