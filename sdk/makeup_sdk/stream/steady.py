"""Temporally steady region maps, skin colour and paint of one face."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region, similarity
from makeup_sdk.classic.tone import SkinTone
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.stream.options import StillnessOptions

FloatArray = NDArray[np.float32]
Image = NDArray[np.uint8]

_SIDE = CROP_SIZE // 2
"""Cells of the averaged map, per side."""
_PICTURE = CROP_SIZE // 4
"""Cells of the picture in which change is looked for, per side."""
_CHANGE = (9.0, 22.0)
"""Grey steps by which a cell may differ from the last frame while it counts as standing still, and
from which it counts as something new."""
_PICTURE_SECONDS = 0.3
"""Time constant of the picture that a frame is compared with."""
_FULL_SHIFT, _MOVING_SHARE = 1.5, 0.35
"""Crop pixels per frame from which a face moves, and what new values count then, at least."""
_NEW_LIGHT = (0.06, 0.2)
"""Log light by which the skin may drift from its average, and from which the light has changed."""
_REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)


@dataclass(frozen=True)
class Step:
    """What happened to a face from one frame to the next.

    Attributes:
        seconds: the time between them.
        motion: float64 (2, 3), crop pixel then to crop pixel now.
        shift: length of that motion at the face's middle, crop pixels.
        news: float32 (64, 64) in [0, 1]: 0 where the picture is what it was, 1 where it is new: a
            hand came, the mouth opened.
    """

    seconds: float
    motion: NDArray[np.float64]
    shift: float
    news: FloatArray

    def share(self, seconds: float, side: int) -> FloatArray:
        """float32 (side, side, 1) in [0, 1]: what new values count in an average over seconds."""
        still = 1 - np.exp(-self.seconds / seconds)
        least = np.float32(max(still, min(self.shift / _FULL_SHIFT, 1) * _MOVING_SHARE))
        share = cv2.resize(least + (1 - least) * self.news, (side, side))
        return np.asarray(share[..., None], np.float32)


class FaceWatch:
    """Compares a face's picture with its past, along the motion of its landmarks."""

    def __init__(self) -> None:
        self._picture: FloatArray | None = None
        self._landmarks: FloatArray = np.zeros((68, 2), np.float32)

    def __call__(self, face: FaceAnalysis, dt: float) -> Step | None:
        """Take a face, dt seconds after the last; None at first."""
        size = (_PICTURE, _PICTURE)
        picture = np.asarray(
            cv2.resize(face.crop, size, interpolation=cv2.INTER_AREA).astype(np.float32), np.float32
        )
        landmarks, before, last = face.crop_landmarks, self._landmarks, self._picture
        self._landmarks = landmarks
        if last is None:
            self._picture = picture
            return None
        motion = similarity(before, landmarks)
        shift = float(np.hypot(*(landmarks.mean(axis=0) - before.mean(axis=0))))
        last = _moved(last, motion)
        change = picture - last
        light = np.median(change, axis=(0, 1))  # a lamp went on: the face is the same
        distance = cv2.GaussianBlur(np.abs(change - light).max(axis=2), (0, 0), 1.0)
        low, high = _CHANGE
        news = np.clip((distance - low) / (high - low), 0, 1).astype(np.float32)
        step = Step(dt, motion, shift, news)
        self._picture = last + step.share(_PICTURE_SECONDS, _PICTURE) * change
        return step


class MovingAverage:
    """A recursive average of an image of the crop, carried along with the face.

    Where the picture is new, the new values count at once; elsewhere slowly, so that they do not
    tremble with the sensor's noise. In motion they count more, since carrying blurs.

    Args:
        seconds: time constant of a still face.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._values: FloatArray | None = None
        self._count = 0

    def __call__(self, values: FloatArray, step: Step | None) -> FloatArray:
        """Take float32 (S, S, C) values of this frame; returns their average."""
        if self._values is not None and step is not None and self._seconds > 0:
            kept = _moved(self._values, step.motion)
            share = step.share(self._seconds, values.shape[0])
            share = np.maximum(share, np.float32(1 / (self._count + 1)))  # at first a plain mean
            values = kept + share * (values - kept)
        self._values = values
        self._count += 1
        return values


class SteadyTone:
    """Averages the bare skin's colour over time; a change of light counts at once.

    Args:
        seconds: time constant while the light is steady.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._tone: SkinTone | None = None
        self._count = 0

    def __call__(self, tone: SkinTone, dt: float) -> SkinTone:
        """Take a fit, dt seconds after the last; returns the steadied one."""
        last = self._tone
        if last is not None:
            drift = tone.coefficients - last.coefficients
            distance = float(np.abs(drift[0]).max() + np.abs(drift[1:3]).max())
            low, high = _NEW_LIGHT
            new = np.clip((distance - low) / (high - low), 0, 1)
            slow = 1 - np.exp(-dt / self._seconds) if self._seconds > 0 else 1.0
            slow = max(slow, 1 / (self._count + 1))  # at first a plain mean
            share = np.float32(slow + (1 - slow) * new)
            tone = SkinTone(
                last.coefficients + share * drift, last.mean + share * (tone.mean - last.mean)
            )
        self._tone = tone
        self._count += 1
        return tone


class SteadyFace:
    """What a stream remembers of one face to keep its makeup still."""

    def __init__(self, options: StillnessOptions) -> None:
        self._layer_seconds = options.layer
        self._watch = FaceWatch()
        self._shares = MovingAverage(options.regions)
        self._tone = SteadyTone(options.colors)
        self._step: Step | None = None

    def regions(self, face: FaceAnalysis, dt: float) -> Image:
        """Take the face of a new frame; uint8 (256, 256), its steadied region map."""
        self._step = self._watch(face, dt)
        return _best_regions(self._shares(_shares(face.regions), self._step))

    def tone(self, tone: SkinTone, dt: float) -> SkinTone:
        """The bare skin of that frame, steadied."""
        return self._tone(tone, dt)

    def new_layer(self) -> MovingAverage:
        """An average for the layer of a look that is put on."""
        return MovingAverage(self._layer_seconds)

    def layer(self, average: MovingAverage, change: FloatArray) -> FloatArray:
        """The layer of that frame, float32 (256, 256, 3), steadied."""
        return average(change, self._step)

    def change(self, average: MovingAverage, change: FloatArray) -> FloatArray:
        """The change of that frame, float32 (6, 128, 128), steadied."""
        steadied = average(np.ascontiguousarray(change.transpose(1, 2, 0)), self._step)
        return np.ascontiguousarray(steadied.transpose(2, 0, 1))


def _shares(regions: Image) -> FloatArray:
    """float32 (128, 128, 4): share of each makeup region in each cell of 2 × 2 pixels."""
    planes = [cv2.compare(regions, int(region), cv2.CMP_EQ) for region in _REGIONS]
    cells = cv2.resize(cv2.merge(planes), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cells.astype(np.float32) / 255, np.float32)


def _best_regions(shares: FloatArray) -> Image:
    """uint8 (256, 256): the region with the largest share, none included."""
    size = (CROP_SIZE, CROP_SIZE)
    fine = cv2.resize(shares, size, interpolation=cv2.INTER_LINEAR)
    planes = cv2.split(fine)
    best = 1 - (planes[0] + planes[1] + planes[2] + planes[3])
    regions = np.zeros(size, np.uint8)
    for region, plane in zip(_REGIONS, planes, strict=True):
        better = cv2.compare(plane, best, cv2.CMP_GT)
        best = cv2.max(best, plane)
        regions = (regions & ~better) | (better & np.uint8(region))
    return np.asarray(regions, np.uint8)


def _moved(values: FloatArray, motion: NDArray[np.float64]) -> FloatArray:
    """Values (S, S, C) of the crop, in cells of any size, carried along a motion in crop pixels."""
    side = values.shape[0]
    step = CROP_SIZE / side
    matrix = motion.copy()  # cell c has its centre at crop pixel step · (c + 0.5) − 0.5
    middle = np.full(2, step / 2 - 0.5)
    matrix[:, 2] = (motion[:, :2] @ middle + motion[:, 2] - middle) / step
    moved = [  # OpenCV takes four channels at once
        cv2.warpAffine(
            np.ascontiguousarray(values[..., first : first + 4]),
            matrix,
            (side, side),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for first in range(0, values.shape[2], 4)
    ]
    return np.dstack(moved).astype(np.float32, copy=False)
