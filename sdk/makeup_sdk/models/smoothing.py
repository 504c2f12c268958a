"""Temporal smoothing of makeup layers in log light, and of the bare skin's colour."""

from collections.abc import Callable

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.faces.smoothing import MovingAverage, SmoothingOptions, Step
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import CropGrid, FaceAnalysis
from makeup_sdk.models.base import CropPaint, Strength

Layer = Callable[[FaceAnalysis, FloatArray, SkinTone, Strength], tuple[FloatArray, FloatArray]]
"""Paints a face's makeup as a layer, before it is blended into the crop.

Takes the face, the log light of its crop, float32 (256, 256, 3), its bare skin (smoothed over time)
and the strength. Returns the change of log light, float32 (256, 256, 3), and float32 (256, 256), 1
where it is not 0, else 0."""

_GRID = CropGrid(0, 0, CROP_SIZE, CROP_SIZE, cell=1)
_NEW_LIGHT = (0.06, 0.2)
"""Deviation of the skin's log light from its average: tolerated drift, and a change of light."""
_FAINTEST_CHANGE = 1e-3
"""Log light: smaller changes do not change any pixel value."""


class ToneSmoother:
    """Averages the bare skin's colour over time; a change of light takes effect at once.

    Args:
        seconds: time constant in constant light.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._tone: SkinTone | None = None
        self._count = 0

    def __call__(self, tone: SkinTone, dt: float) -> SkinTone:
        """Take a fit, dt seconds after the last; returns the smoothed one."""
        last = self._tone
        if last is not None:
            drift = tone.coefficients - last.coefficients
            distance = float(np.abs(drift[0]).max() + np.abs(drift[1:3]).max())
            low, high = _NEW_LIGHT
            new = np.clip((distance - low) / (high - low), 0, 1)
            slow = 1 - np.exp(-dt / self._seconds) if self._seconds > 0 else 1.0
            slow = max(slow, 1 / (self._count + 1))  # plain mean at first
            share = np.float32(slow + (1 - slow) * new)
            tone = SkinTone(
                last.coefficients + share * drift, last.mean + share * (tone.mean - last.mean)
            )
        self._tone = tone
        self._count += 1
        return tone


class SmoothedLayer:
    """One look on one face of a stream, with an averaged layer. See `Follower`.

    Args:
        layer: paints the makeup of a frame.
        options: averaging times.
    """

    def __init__(self, layer: Layer, options: SmoothingOptions) -> None:
        self._layer = layer
        self._tone = ToneSmoother(options.colors)
        self._average = MovingAverage(options.layer, _GRID)

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> CropPaint:
        """See `Follower.paint`."""
        light = to_log(face.crop)
        tone = SkinTone.fit(light, face.regions)
        if tone is None:
            return CropPaint(face.crop, np.zeros((CROP_SIZE, CROP_SIZE), np.float32))
        tone = self._tone(tone, step.seconds if step else 0.0)
        layer, _ = self._layer(face, light, tone, strength)
        planes = self._average(np.stack(cv2.split(layer)), step)
        change = np.asarray(cv2.merge(list(planes)), np.float32) * np.float32(opacity)
        faint = (-_FAINTEST_CHANGE,) * 3, (_FAINTEST_CHANGE,) * 3
        mask = (cv2.inRange(change, *faint) == 0).astype(np.float32)
        return CropPaint(from_log(light + change), mask)
