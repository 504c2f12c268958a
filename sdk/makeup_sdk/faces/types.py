"""Results of face analysis, and the protocol of custom analysers."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray, Image

T = TypeVar("T")


class FaceStatus(Enum):
    """Why a face was painted, or was not."""

    OK = "ok"
    TOO_SMALL = "too_small"
    """The pupils are too close together for visible makeup; not painted."""
    SIDE_VIEW = "side_view"
    """Turned too far to the side; makeup is faded out, or not painted at all."""
    OCCLUDED = "occluded"
    """Most of the face is covered; not painted."""
    UNSURE = "unsure"
    """The detector found a face, the landmark network did not confirm it; not painted."""


@dataclass(frozen=True)
class CropGrid:
    """A grid of cells in the crop, for a map.

    Attributes:
        top, left: the crop pixel where the first cell begins.
        rows, columns: number of cells.
        cell: side of a cell in crop pixels.
    """

    top: int
    left: int
    rows: int
    columns: int
    cell: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of the crop that it covers."""
        bottom, right = self.top + self.cell * self.rows, self.left + self.cell * self.columns
        return slice(self.top, bottom), slice(self.left, right)

    def cells_of(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert a frame-to-crop matrix, float64 (2, 3), to a frame-to-cell matrix."""
        cells = matrix / self.cell
        cells[:, 2] += 0.5 / self.cell - 0.5 - np.array([self.left, self.top]) / self.cell
        return cells


@dataclass(frozen=True)
class Detection:
    """A face found in a frame.

    Attributes:
        box: float32 (4,): x0, y0, x1, y1 in frame pixels; may reach beyond the frame.
        score: confidence in [0, 1].
    """

    box: FloatArray
    score: float


class WorkedOut:
    """An object whose derived values are computed once and kept with it."""

    @cached_property
    def _worked_out(self) -> dict[Hashable, Any]:
        return {}

    def once(self, key: Hashable, work_out: Callable[[], T]) -> T:
        """A value that depends only on this object, cached for the next look on the face.

        Args:
            key: key of the value.
            work_out: computes the value at the first call; the value must not be modified.
        """
        if key not in self._worked_out:
            self._worked_out[key] = work_out()
        found: T = self._worked_out[key]
        return found


@dataclass(frozen=True)
class FaceAnalysis(WorkedOut):
    """Everything that models need to know about one face.

    Attributes:
        landmarks: float32 (68, 2), x then y, frame pixels, iBUG order.
        score: confidence in [0, 1] that the crop shows a face.
        matrix: float64 (2, 3), frame pixel to crop pixel (`makeup_kernels.crop_matrix`).
        crop: uint8 (256, 256, 3), the aligned crop, BGR.
        regions: uint8 (256, 256), the region map of the crop (`makeup_kernels.Region`).
    """

    landmarks: FloatArray
    score: float
    matrix: NDArray[np.float64]
    crop: Image
    regions: Image

    def __repr__(self) -> str:
        x0, y0, x1, y1 = (round(v) for v in (*self.landmarks.min(0), *self.landmarks.max(0)))
        return f"FaceAnalysis(landmarks in ({x0}, {y0}, {x1}, {y1}), score {self.score:.2f})"

    @cached_property
    def crop_landmarks(self) -> FloatArray:
        """float32 (68, 2), read-only: the landmarks in crop pixels."""
        linear, shift = self.matrix[:, :2], self.matrix[:, 2]
        points: FloatArray = (self.landmarks @ linear.T + shift).astype(np.float32)
        points.setflags(write=False)
        return points


@dataclass(frozen=True)
class Face:
    """One face of a processed frame.

    Attributes:
        landmarks: float32 (68, 2), x then y, frame pixels.
        box: float32 (4,): x0, y0, x1, y1 in frame pixels.
        score: confidence in [0, 1].
        track_id: in a stream, constant for a face; in a single image, its index in `Result.faces`.
        status: why it was painted or not.
        painted: whether makeup was put on it.
    """

    landmarks: FloatArray
    box: FloatArray
    score: float
    track_id: int
    status: FaceStatus
    painted: bool

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.0f}" for value in self.box)
        worn = "painted" if self.painted else "bare"
        return f"Face({self.track_id}: {self.status.value}, {worn}, box ({box}), {self.score:.2f})"


class FaceAnalyzer(Protocol):
    """Finds and analyses faces. The bundled one is `makeup_sdk.faces.BundledFaceAnalyzer`."""

    def detect(self, frame: Image, max_faces: int) -> list[Detection]:
        """Find faces in a BGR frame, uint8 (H, W, 3) of any size, best first."""
        ...

    def analyze(self, frame: Image, start: Detection | FloatArray) -> FaceAnalysis:
        """Analyse one face, from a detection or from its landmarks in the previous frame."""
        ...
