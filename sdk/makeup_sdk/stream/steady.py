"""Temporally steady region maps, skin colour and paint of one face."""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region, similarity
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import CropGrid, FaceAnalysis
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS
from makeup_sdk.models.mobile.paint import Change, keep_contrast
from makeup_sdk.stream.options import StillnessOptions

FloatArray = NDArray[np.float32]
Image = NDArray[np.uint8]

_PICTURE_GRID = CropGrid(0, 0, CROP_SIZE // 4, CROP_SIZE // 4, cell=4)
"""Of the picture in which change is looked for."""
_REGION_GRID = CropGrid(0, 0, CROP_SIZE // 2, CROP_SIZE // 2, cell=2)
"""Of the averaged region map."""
_LAYER_GRID = CropGrid(0, 0, CROP_SIZE, CROP_SIZE, cell=1)
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

    def share(self, seconds: float, grid: CropGrid) -> FloatArray:
        """float32 (rows, columns) in [0, 1]: what new values of a grid count in an average over
        seconds."""
        still = 1 - np.exp(-self.seconds / seconds)
        least = np.float32(max(still, min(self.shift / _FULL_SHIFT, 1) * _MOVING_SHARE))
        rows, columns = (
            slice(part.start // _PICTURE_GRID.cell, part.stop // _PICTURE_GRID.cell)
            for part in grid.pixels
        )
        news = self.news[rows, columns]
        share = cv2.resize(least + (1 - least) * news, (grid.columns, grid.rows))
        return np.asarray(share, np.float32)


class FaceWatch:
    """Compares a face's picture with its past, along the motion of its landmarks."""

    def __init__(self) -> None:
        self._picture: FloatArray | None = None
        self._landmarks: FloatArray = np.zeros((68, 2), np.float32)

    def __call__(self, face: FaceAnalysis, dt: float) -> Step | None:
        """Take a face, dt seconds after the last; None at first."""
        size = (_PICTURE_GRID.columns, _PICTURE_GRID.rows)
        small = cv2.resize(face.crop, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        picture = np.stack(cv2.split(small))
        landmarks, before, last = face.crop_landmarks, self._landmarks, self._picture
        self._landmarks = landmarks
        if last is None:
            self._picture = picture
            return None
        motion = similarity(before, landmarks)
        shift = float(np.hypot(*(landmarks.mean(axis=0) - before.mean(axis=0))))
        last = _moved(last, motion, _PICTURE_GRID)
        change = picture - last
        light = np.median(change, axis=(1, 2), keepdims=True)  # a lamp went on: the same face
        distance = cv2.GaussianBlur(np.abs(change - light).max(axis=0), (0, 0), 1.0)
        low, high = _CHANGE
        news = np.clip((distance - low) / (high - low), 0, 1).astype(np.float32)
        step = Step(dt, motion, shift, news)
        self._picture = last + step.share(_PICTURE_SECONDS, _PICTURE_GRID) * change
        return step


class MovingAverage:
    """A recursive average of a map of the crop, carried along with the face.

    Where the picture is new, the new values count at once; elsewhere slowly, so that they do not
    tremble with the sensor's noise. In motion they count more, since carrying blurs.

    Args:
        seconds: time constant of a still face.
        grid: where the map's cells lie.
    """

    def __init__(self, seconds: float, grid: CropGrid) -> None:
        self._seconds, self._grid = seconds, grid
        self._values: FloatArray | None = None
        self._count = 0

    def __call__(self, values: FloatArray, step: Step | None) -> FloatArray:
        """Take float32 (C, rows, columns) values of this frame; returns their average."""
        if self._values is not None and step is not None and self._seconds > 0:
            kept = _moved(self._values, step.motion, self._grid)
            share = step.share(self._seconds, self._grid)
            share = np.maximum(share, np.float32(1 / (self._count + 1)))  # at first a plain mean
            values = values - kept
            values *= share
            values += kept
        else:
            values = values.copy()  # whoever gave them may reuse the memory
        self._values = values
        self._count += 1
        return values


PaintPast: TypeAlias = dict[str, MovingAverage]
"""Averages of one look's paint, by its parts."""


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
        self._shares = MovingAverage(options.regions, _REGION_GRID)
        self._tone = SteadyTone(options.colors)
        self._step: Step | None = None

    def regions(self, face: FaceAnalysis, dt: float) -> Image:
        """Take the face of a new frame; uint8 (256, 256), its steadied region map."""
        self._step = self._watch(face, dt)
        return _best_regions(self._shares(_shares(face.regions), self._step))

    def tone(self, tone: SkinTone, dt: float) -> SkinTone:
        """The bare skin of that frame, steadied."""
        return self._tone(tone, dt)

    def layer(self, past: PaintPast, layer: FloatArray) -> FloatArray:
        """The layer of that frame, float32 (256, 256, 3), steadied."""
        average = self._average(past, "layer", _LAYER_GRID)
        planes = average(np.stack(cv2.split(layer)), self._step)
        return np.asarray(cv2.merge(list(planes)), np.float32)

    def change(self, past: PaintPast, change: Change, crop: Image) -> Change:
        """The change of that frame, whose crop is uint8 (256, 256, 3), BGR, steadied."""
        steadied = {}
        for part, values in keep_contrast(change, crop).items():
            steadied[part] = self._average(past, part, CHANGE_GRIDS[part])(values, self._step)
        return steadied

    def _average(self, past: PaintPast, part: str, grid: CropGrid) -> MovingAverage:
        """That of one part of a look's paint, new at first."""
        if part not in past:
            past[part] = MovingAverage(self._layer_seconds, grid)
        return past[part]


def _shares(regions: Image) -> FloatArray:
    """float32 (4, 128, 128): share of each makeup region in each cell of 2 × 2 pixels."""
    size = (_REGION_GRID.columns, _REGION_GRID.rows)
    shares = np.empty((len(_REGIONS), *size), np.float32)
    for region, plane in zip(_REGIONS, shares, strict=True):
        here = cv2.compare(regions, int(region), cv2.CMP_EQ)
        np.multiply(cv2.resize(here, size, interpolation=cv2.INTER_AREA), 1 / 255, out=plane)
    return shares


def _best_regions(shares: FloatArray) -> Image:
    """uint8 (256, 256): the region with the largest share, none included."""
    size = (CROP_SIZE, CROP_SIZE)
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in shares]
    best = 1 - (planes[0] + planes[1] + planes[2] + planes[3])
    regions = np.zeros(size, np.uint8)
    for region, plane in zip(_REGIONS, planes, strict=True):
        better = cv2.compare(plane, best, cv2.CMP_GT)
        best = cv2.max(best, plane)
        regions = (regions & ~better) | (better & np.uint8(region))
    return np.asarray(regions, np.uint8)


def _moved(values: FloatArray, motion: NDArray[np.float64], grid: CropGrid) -> FloatArray:
    """Values (C, rows, columns) of a grid, carried along a motion in crop pixels."""
    matrix = motion.copy()  # cell c has its centre at crop pixel first + cell · c
    first = np.array([grid.left, grid.top]) + grid.cell / 2 - 0.5
    matrix[:, 2] = (motion[:, :2] @ first + motion[:, 2] - first) / grid.cell
    moved = np.empty_like(values)
    for plane, target in zip(values, moved, strict=True):
        cv2.warpAffine(
            plane, matrix, (grid.columns, grid.rows), target, borderMode=cv2.BORDER_REPLICATE
        )
    return moved
