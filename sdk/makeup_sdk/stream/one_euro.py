"""The One-Euro filter: strong smoothing at rest, little lag in motion (Casiez et al., CHI 2012)."""

import numpy as np

from makeup_kernels import CROP_SIZE, crop_matrix
from makeup_kernels.types import DoubleArray, FloatArray
from makeup_sdk.faces.memory import Memory
from makeup_sdk.stream.options import SmoothingOptions

_SPEED_CUTOFF = 1.0
"""Hz at which speeds are low-passed."""
_SUDDEN_SPEED = 0.6
"""Pupil distances per second: four standard deviations of the landmark noise at 30 fps."""
_PUPILS = 0.219 * CROP_SIZE
"""Pupil distance of the mean face in the aligned crop, crop pixels."""
_ENDS = CROP_SIZE / 2 + _PUPILS * np.array([[-0.5, 0.0], [0.5, 0.0]])
"""Two crop points one pupil distance apart; their positions in the frame define a face's pose."""


class OneEuro:
    """Low-pass filter of rows of numbers; its cut-off rises with each row's speed.

        x̂ ← x̂ + α(f) · (x − x̂),  f = rest_cutoff + speed_gain · s,  α(f) = 1 / (1 + 1/(2π f dt))
        s = max(|v̂|, |v| − sudden_speed),  v = (x − x̂) / dt

    with v̂ the low-passed v. The second term of s is ours: when a motion reverses, v̂ passes through
    0 and would add lag. The lag of a row in constant motion is at most 1 / (2π · speed_gain), in
    the unit of the speed.

    Args:
        rest_cutoff: Hz.
        speed_gain: Hz per unit of speed.
        sudden_speed: speed of a single step above which it is not noise.
    """

    def __init__(self, rest_cutoff: float, speed_gain: float, sudden_speed: float) -> None:
        self._sudden_speed = sudden_speed
        self._rest_cutoff = rest_cutoff
        self._speed_gain = speed_gain
        self._value: DoubleArray | None = None
        self._speed: DoubleArray = np.zeros(1)

    def __call__(self, rows: DoubleArray, dt: float, unit: float = 1.0) -> DoubleArray:
        """Filter float (N, D) rows, dt seconds after the last ones; `unit` scales speeds."""
        if self._value is None:
            self._value, self._speed = rows, np.zeros_like(rows)
            return rows
        step = rows - self._value
        self._speed = self._speed + _share(_SPEED_CUTOFF, dt) * (step / dt - self._speed)
        speed = np.linalg.norm(self._speed, axis=1, keepdims=True) / unit
        sudden = np.linalg.norm(step / dt, axis=1, keepdims=True) / unit - self._sudden_speed
        speed = np.maximum(speed, sudden)
        self._value = self._value + _share(self._rest_cutoff + self._speed_gain * speed, dt) * step
        return self._value

    def remember(self, memory: Memory) -> None:
        """Store value and speed."""
        if self._value is not None:
            memory.put("value", self._value)
            memory.put("speed", self._speed)

    def recall(self, memory: Memory, shape: tuple[int, int]) -> None:
        """Restore value and speed of (N, D) rows.

        Raises:
            InvalidInputError: not stored by this class.
        """
        if "value" in memory:
            self._value = memory.take("value", shape).astype(np.float64)
            self._speed = memory.take("speed", shape).astype(np.float64)


class LandmarkFilter:
    """One-Euro filters on a face's landmarks: one for its pose, one per point in the aligned crop.

    Pose is the similarity to the aligned crop. All points contribute to it, so its noise is small
    and its speed well estimated. The rest is expression. Both are measured in pupil distances, so
    the same options fit faces of every size.
    """

    def __init__(self, options: SmoothingOptions) -> None:
        self._pose = OneEuro(options.rest_cutoff, options.speed_gain, _SUDDEN_SPEED)
        self._shape = OneEuro(options.rest_cutoff, options.speed_gain, _SUDDEN_SPEED)

    def __call__(self, landmarks: FloatArray, dt: float) -> FloatArray:
        """Filter float32 (68, 2) landmarks in frame pixels, dt seconds after the last ones.

        Returns:
            float32 (68, 2), smoothed.
        """
        matrix = crop_matrix(landmarks)
        shape = landmarks @ matrix[:, :2].T + matrix[:, 2]
        ends = (_ENDS - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        pupils = float(np.hypot(*(ends[1] - ends[0])))
        ends = self._pose(ends.reshape(1, 4), dt, pupils).reshape(2, 2)
        return _place(self._shape(shape, dt, _PUPILS), ends)

    def remember(self, memory: Memory) -> None:
        """Store the state of both filters."""
        self._pose.remember(memory.below("pose"))
        self._shape.remember(memory.below("shape"))

    def recall(self, memory: Memory) -> None:
        """Restore it.

        Raises:
            InvalidInputError: not stored by this class.
        """
        self._pose.recall(memory.below("pose"), (1, 4))
        self._shape.recall(memory.below("shape"), (68, 2))


def _place(shape: DoubleArray, ends: DoubleArray) -> FloatArray:
    """Map crop points to the frame, by the similarity given by the two end points of the pose."""
    x, y = (ends[1] - ends[0]) / _PUPILS
    turn = np.array([[x, -y], [y, x]])
    points: FloatArray = ((shape - _ENDS[0]) @ turn.T + ends[0]).astype(np.float32)
    return points


def _share(cutoff: float | DoubleArray, dt: float) -> DoubleArray:
    """α of a first-order low-pass."""
    tau = 1 / (2 * np.pi * np.asarray(cutoff, np.float64))
    return np.asarray(1 / (1 + tau / dt))
