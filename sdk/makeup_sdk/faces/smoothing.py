"""Temporal smoothing of one face in a stream: motion-compensated averages.

Where the picture is still, values are averaged, which removes flicker from sensor noise. Where it
changes, new values take effect at once.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region, similarity
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.arguments import above, at_least
from makeup_sdk.faces.memory import Memory
from makeup_sdk.faces.types import CropGrid, FaceAnalysis

_PICTURE_GRID = CropGrid(0, 0, CROP_SIZE // 4, CROP_SIZE // 4, cell=4)
"""Grid of the picture used to detect change."""
_REGION_GRID = CropGrid(0, 0, CROP_SIZE // 2, CROP_SIZE // 2, cell=2)
"""Grid of the averaged region map."""
_CHANGE = (9.0, 22.0)
"""Grey levels: below the first difference a cell is still, above the second it is new."""
_PICTURE_SECONDS = 0.3
"""Time constant of the averaged picture that a frame is compared with."""
_UNNOTICED = 0.05
"""Motion in crop pixels below which a map is not shifted."""
_FULL_SHIFT, _MOVING_SHARE = 1.5, 0.35
"""Crop pixels per frame from which a face counts as moving; minimum weight of new values then."""
_MOST_FRAMES = 1000
"""Number of frames in an average from which on it makes no difference."""
_REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)


@dataclass(frozen=True)
class SmoothingOptions:
    """Temporal smoothing of a stream. The defaults keep lag below one frame at normal motion.

    Attributes:
        rest_cutoff: Hz; landmarks at rest are low-passed at this frequency.
        speed_gain: Hz per pupil distance per second; how fast that frequency rises with motion.
        regions: seconds; averaging time of region maps where the picture is still.
        colors: seconds; averaging time of the bare skin's colour in constant light.
        layer: seconds; averaging time of the paint itself where the picture is still.
    """

    rest_cutoff: float = 0.35
    speed_gain: float = 12.0
    regions: float = 0.5
    colors: float = 1.5
    layer: float = 0.3

    def __post_init__(self) -> None:
        above("rest_cutoff", self.rest_cutoff, 0)
        at_least("speed_gain", self.speed_gain, 0)
        at_least("regions", self.regions, 0)
        at_least("colors", self.colors, 0)
        at_least("layer", self.layer, 0)


@dataclass(frozen=True)
class Step:
    """Motion and change of a face from one frame to the next.

    Attributes:
        seconds: time between the frames.
        motion: float64 (2, 3), previous crop pixel to current crop pixel.
        shift: length of that motion at the face's centre, crop pixels.
        news: float32 (64, 64) in [0, 1]: 0 where the picture is unchanged, 1 where it is new, for
            example because a hand appeared or the mouth opened.
    """

    seconds: float
    motion: NDArray[np.float64]
    shift: float
    news: FloatArray

    def share(self, seconds: float, grid: CropGrid) -> FloatArray:
        """float32 (rows, columns) in [0, 1]: weight of a grid's new values in an average over
        `seconds`."""
        still = 1 - np.exp(-self.seconds / seconds)
        least = np.float32(max(still, min(self.shift / _FULL_SHIFT, 1) * _MOVING_SHARE))
        rows, columns = (
            slice(part.start // _PICTURE_GRID.cell, part.stop // _PICTURE_GRID.cell)
            for part in grid.pixels
        )
        news = self.news[rows, columns]
        share = cv2.resize(least + (1 - least) * news, (grid.columns, grid.rows))
        return np.asarray(share, np.float32)

    def is_new(self, share: float) -> bool:
        """Whether more than a share of the picture is new."""
        return float(self.news.mean()) > share


class StepEstimator:
    """Compares a face's picture with its past, compensated for the landmarks' motion."""

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
        light = np.median(change, axis=(1, 2), keepdims=True)  # a change of light is not news
        distance = cv2.GaussianBlur(np.abs(change - light).max(axis=0), (0, 0), 1.0)
        low, high = _CHANGE
        news = np.clip((distance - low) / (high - low), 0, 1).astype(np.float32)
        step = Step(dt, motion, shift, news)
        self._picture = last + step.share(_PICTURE_SECONDS, _PICTURE_GRID) * change
        return step

    def remember(self, memory: Memory) -> None:
        """Store what the next frame is compared with."""
        if self._picture is not None:
            memory.put_map("picture", self._picture)
            memory.put("landmarks", self._landmarks)

    def recall(self, memory: Memory) -> None:
        """Restore it.

        Raises:
            InvalidInputError: not stored by this class.
        """
        if "picture" in memory:
            self._picture = memory.take_map("picture", (3, *_PICTURE_GRID.shape))
            self._landmarks = memory.take("landmarks", (68, 2))


class MovingAverage:
    """A motion-compensated recursive average of a crop map.

    New values take effect at once where the picture is new, and slowly elsewhere, which suppresses
    sensor noise. During motion they get more weight, because compensation blurs.

    Args:
        seconds: time constant for a still face.
        grid: grid of the map.
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
            share = np.maximum(share, np.float32(1 / (self._count + 1)))  # plain mean at first
            values = values - kept
            values *= share
            values += kept
        else:
            values = values.copy()  # the caller may reuse the memory
        self._values = values
        self._count += 1
        return values

    def forget(self) -> None:
        """Restart with the next values, when the face was lost from view."""
        self._values, self._count = None, 0

    def carry(self, step: Step) -> FloatArray:
        """The previous average, float32 (C, rows, columns), moved to where the face is now."""
        assert self._values is not None, "there is no frame before"
        if step.shift > _UNNOTICED:
            self._values = _moved(self._values, step.motion, self._grid)
        return self._values

    def remember(self, memory: Memory, name: str) -> None:
        """Store the average."""
        if self._values is not None:
            memory.put_map(name, self._values)
            memory.put(f"{name} count", min(self._count, _MOST_FRAMES))

    def recall(self, memory: Memory, name: str, planes: int) -> FloatArray | None:
        """Restore an average of `planes` planes and return it; None if there is none.

        Raises:
            InvalidInputError: not stored by this class.
        """
        if name in memory:
            self._values = memory.take_map(name, (planes, *self._grid.shape))
            self._count = memory.take_count(f"{name} count", _MOST_FRAMES)
        return self._values


class RegionSmoother:
    """Averages the region maps of one face.

    Args:
        seconds: time constant for a still face.
    """

    def __init__(self, seconds: float) -> None:
        self._shares = MovingAverage(seconds, _REGION_GRID)

    def __call__(self, regions: Image, step: Step | None) -> Image:
        """Take the uint8 (256, 256) region map of a frame; returns the smoothed one."""
        return _best_regions(self._shares(_shares(regions), step))

    def remember(self, memory: Memory) -> None:
        """Store the average."""
        self._shares.remember(memory, "regions")

    def recall(self, memory: Memory) -> None:
        """Restore it.

        Raises:
            InvalidInputError: not stored by this class.
        """
        self._shares.recall(memory, "regions", len(_REGIONS))


def _shares(regions: Image) -> FloatArray:
    """float32 (4, 128, 128): fraction of each makeup region in each cell of 2 × 2 pixels."""
    size = (_REGION_GRID.columns, _REGION_GRID.rows)
    shares = np.empty((len(_REGIONS), *size), np.float32)
    for region, plane in zip(_REGIONS, shares, strict=True):
        here = cv2.compare(regions, int(region), cv2.CMP_EQ)
        np.multiply(cv2.resize(here, size, interpolation=cv2.INTER_AREA), 1 / 255, out=plane)
    return shares


def _best_regions(shares: FloatArray) -> Image:
    """uint8 (256, 256): the region with the largest fraction, or none."""
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
    """Values (C, rows, columns) of a grid, moved by a motion in crop pixels."""
    matrix = motion.copy()  # the centre of cell c is crop pixel first + cell · c
    first = np.array([grid.left, grid.top]) + grid.cell / 2 - 0.5
    matrix[:, 2] = (motion[:, :2] @ first + motion[:, 2] - first) / grid.cell
    moved = np.empty_like(values)
    for plane, target in zip(values, moved, strict=True):
        cv2.warpAffine(
            plane, matrix, (grid.columns, grid.rows), target, borderMode=cv2.BORDER_REPLICATE
        )
    return moved
