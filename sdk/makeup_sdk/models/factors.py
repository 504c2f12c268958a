"""Makeup as factors on light, by part: painting, and averaging in streams."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import cv2
import numpy as np

from makeup_kernels import Region, apply_color_map
from makeup_kernels.geometry import to_fixed_point
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.memory import Memory
from makeup_sdk.faces.skin_light import cheek_light
from makeup_sdk.faces.smoothing import MovingAverage, SmoothingOptions, Step
from makeup_sdk.faces.types import CropGrid, FaceAnalysis
from makeup_sdk.makeup.base import DETAIL, TONE, Part
from makeup_sdk.models.base import Strength, scaled

GRIDS: Mapping[Part, CropGrid] = {
    Region.LIPS: CropGrid(148, 72, 104, 112, cell=1),
    Region.SKIN: CropGrid(0, 0, 128, 128, cell=2),
    Region.EYES: CropGrid(60, 32, 88, 192, cell=1),
    Region.BROWS: CropGrid(60, 32, 88, 192, cell=1),
    TONE: CropGrid(0, 0, 128, 128, cell=2),
    DETAIL: CropGrid(48, 32, 192, 192, cell=1),
}
"""Crop grids on which factors are computed, by part."""

SKIN_LIGHTNESS = 0.15
"""Fraction of a change of the skin's lightness that is painted; the rest is light."""

NEAR_LIPS = 0.04
"""Share of a small network's crop around the lips from which no change of the skin is taken: its
cells are so wide that lips and the skin beside them share some. What lies further off goes on."""

LARGEST = (-2.4, 1.5)
"""Range of log factors."""

_NECK, _LIKE_SKIN = 14.0, 14.0
"""Crop pixels beyond the face's outline over which its shade fades, and the CIELAB distance from
the cheeks at which a colour there counts as skin by a third: includes necks, not hair or
background."""

_DETAIL_EDGE = 10.0
"""Width in crop pixels of the soft edge of detail, inside the face's outline."""

_EVERY = 4
"""Frames of a stream after which a still face's factors are recomputed; between them they are moved
with the face."""
_CALM = 6.0
"""A still face's factors are averaged this many times longer than other paint: they do not depend
on the light, and new content takes effect at once."""
_MOVED, _NEWS = 1.0, 0.03
"""Crop pixels per frame, and fraction of new picture, from which factors are recomputed at once."""

_GAMMA = 2.4
_OFFSET = 0.055 * 255
"""sRGB is affine in a power of linear light: a factor f on light l turns the pixel value
x = 255·(1.055·l^(1/2.4) − 0.055) into x + g·(x + 14), g = f^(1/2.4) − 1, but for the darkest."""


@dataclass(frozen=True)
class FactorPaint:
    """Gains and offsets of a face's colours, 0 outside the makeup.

    Attributes:
        gains: per grid, float32 (3, rows, columns): gain − 1 of B, G, R.
    """

    gains: Mapping[CropGrid, FloatArray]

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """See `Paint.put`; keeps the frame's detail, because its own pixels are multiplied."""
        for grid, change in self.changes(color):
            matrix = grid.cells_of(face.matrix)
            apply_color_map(image, change, matrix, out=image, threads=threads)

    def changes(self, color: str) -> list[tuple[CropGrid, FloatArray]]:
        """Inputs of `apply_color_map`, float32 (6, rows, columns), for a channel order."""
        found = []
        for grid, gains in self.gains.items():
            planes = gains if color == "bgr" else gains[::-1]
            found.append((grid, np.concatenate([planes, planes * np.float32(_OFFSET)])))
        return found


Factors = Mapping[Part, FloatArray]
"""By part, float32 (3, rows, columns) on its grid: log factors of linear B, G, R, unmasked."""


class FactorPainter(Protocol):
    """Computes a face's makeup as factors on light."""

    def factors(self, face: FaceAnalysis, *, tone: bool = False) -> Factors:
        """The full change of a face; values outside the parts are meaningless.

        Args:
            face: the analysed face.
            tone: whether to include the shade of the skin, if the painter has one.
        """
        ...


class SmoothedFactors:
    """One look on one face of a stream, with averaged factors. See `Follower`.

    Args:
        painter: the look's painter.
        options: averaging times.
    """

    def __init__(self, painter: FactorPainter, options: SmoothingOptions) -> None:
        self._painter = painter
        self._averages = {
            part: MovingAverage(_CALM * options.layer, grid) for part, grid in GRIDS.items()
        }
        self._covers = {part: MovingAverage(options.layer, grid) for part, grid in GRIDS.items()}
        self._factors: Factors = {}
        self._seconds, self._frames = 0.0, 0

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> FactorPaint:
        """See `Follower.paint`."""
        if step is not None:
            self._seconds += step.seconds
            self._frames += 1
        if step is None or self._frames >= _EVERY or step.shift > _MOVED or step.is_new(_NEWS):
            now = step and replace(step, seconds=self._seconds)
            factors = self._painter.factors(face, tone=TONE in strength)
            for part in self._factors.keys() - factors.keys():
                self._averages[part].forget()
                self._covers[part].forget()
            self._factors = {part: self._averages[part](f, now) for part, f in factors.items()}
            self._seconds, self._frames = 0.0, 0
        else:
            self._factors = {part: self._averages[part].carry(step) for part in self._factors}
        covers = {
            part: self._covers[part](coverage(face, part)[None], step)[0] for part in self._factors
        }
        return at_strength(self._factors, covers, scaled(strength, opacity))

    def remember(self, memory: Memory) -> None:
        """See `Remembering.remember`."""
        for part in self._factors:
            self._averages[part].remember(memory, f"{_name(part)} factors")
            self._covers[part].remember(memory, f"{_name(part)} cover")

    def recall(self, memory: Memory) -> None:
        """See `Remembering.recall`; factors are recomputed with the next frame."""
        found: dict[Part, FloatArray] = {}
        for part, average in self._averages.items():
            factors = average.recall(memory, f"{_name(part)} factors", 3)
            self._covers[part].recall(memory, f"{_name(part)} cover", 1)
            if factors is not None:
                found[part] = factors
        self._factors, self._frames = found, _EVERY


def _name(part: Part) -> str:
    return part.name.lower() if isinstance(part, Region) else part


def at_strength(factors: Factors, covers: Factors, strength: Strength) -> FactorPaint:
    """Factors masked by coverage and scaled by strength.

    Args:
        factors: factors of the parts.
        covers: `coverage` of the same parts.
        strength: see `Strength`.
    """
    logs: dict[CropGrid, FloatArray] = {}
    most = max((amount for part, amount in strength.items() if part != TONE), default=0.0)
    for part, values in factors.items():
        amount = min(most, 1.0) if part == DETAIL else strength.get(part, 0.0)
        if amount <= 0:
            continue
        grid = GRIDS[part]
        log = values * (np.float32(amount) * covers[part])
        logs[grid] = logs[grid] + log if grid in logs else log
    return FactorPaint({grid: np.expm1(log / np.float32(_GAMMA)) for grid, log in logs.items()})


def coverage(face: FaceAnalysis, part: Part) -> FloatArray:
    """float32 (rows, columns) in [0, 1]: coverage of a part's makeup in each cell of its grid.

    Lips and brows fade over a pixel beyond their outlines. Eye shadow fades softly but reaches the
    lashes, and excludes eyeball and hair. The shade of the face extends to the neck. Detail covers
    the whole face, with eyes and mouth, and fades out inside its outline.
    """
    if part == TONE:
        return _tone_coverage(face)
    if part == DETAIL:
        return _detail_coverage(face)
    region, grid = Region(part), GRIDS[part]
    regions = face.regions[grid.pixels]
    here = cv2.compare(regions, int(region), cv2.CMP_EQ).astype(np.float32) * np.float32(1 / 255)
    if grid.cell > 1:
        share = cv2.resize(here, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA)
        return np.asarray(np.minimum(share, 1.2 * cv2.GaussianBlur(share, (3, 3), 0.7)), np.float32)
    if region == Region.LIPS:
        return np.asarray(np.minimum(2 * cv2.GaussianBlur(here, (0, 0), 1.2), 1), np.float32)
    if region == Region.BROWS:
        return np.asarray(np.minimum(1.6 * cv2.GaussianBlur(here, (0, 0), 1.5), 1), np.float32)
    eyeballs = np.zeros_like(regions)
    points = face.crop_landmarks - np.array([grid.left, grid.top], np.float32)
    for eye in (points[36:42], points[42:48]):
        cv2.fillPoly(eyeballs, [to_fixed_point(eye)], 255, shift=4)
    eyeball = eyeballs.astype(np.float32) * np.float32(1 / 255)
    skin = np.minimum(regions, 1).astype(np.float32)
    close = np.minimum(6 * cv2.GaussianBlur(eyeball, (0, 0), 3.0), 1)
    crisp = np.minimum(2 * cv2.GaussianBlur(here, (0, 0), 1.0), 1)
    soft = np.minimum(1.25 * cv2.GaussianBlur(here, (0, 0), 3.0), 1)
    off = cv2.GaussianBlur(np.maximum(skin, eyeball), (0, 0), 1.0)
    off *= 1 - cv2.GaussianBlur(eyeball, (3, 3), 0.6)
    return np.asarray((soft + close * (crisp - soft)) * off, np.float32)


def cover_of(face: FaceAnalysis, part: Part) -> FloatArray:
    """`coverage`, cached for all looks on a face."""
    return face.once(("coverage", part), partial(coverage, face, part))


def _detail_coverage(face: FaceAnalysis) -> FloatArray:
    grid = GRIDS[DETAIL]
    inside = np.minimum(face.regions[grid.pixels], 1)
    points = face.crop_landmarks - np.array([grid.left, grid.top], np.float32)
    for opening in (points[36:42], points[42:48], points[48:60]):
        cv2.fillPoly(inside, [to_fixed_point(opening)], 1, shift=4)
    inside = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    inside[:1], inside[-1:], inside[:, :1], inside[:, -1:] = 0, 0, 0, 0
    away = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    return np.asarray(np.clip(away / np.float32(_DETAIL_EDGE), 0, 1), np.float32)


def _tone_coverage(face: FaceAnalysis) -> FloatArray:
    grid = GRIDS[TONE]
    size = (grid.columns, grid.rows)
    light = cheek_light(face)
    colors = light.relative(cv2.resize(light.lab(face.crop), size, interpolation=cv2.INTER_AREA))
    colors[..., 0] *= np.float32(0.5)  # necks are in the chin's shadow
    skin_like = np.exp(-np.square(colors).sum(axis=2) / np.float32(_LIKE_SKIN**2))
    on_face = np.minimum(face.regions, 1) * np.uint8(255)
    inside = np.asarray(cv2.resize(on_face, size, interpolation=cv2.INTER_AREA), np.uint8)
    away = cv2.distanceTransform(cv2.compare(inside, 128, cv2.CMP_LT), cv2.DIST_L2, 3)
    fading = np.clip(1 - away * np.float32(grid.cell / _NECK), 0, 1)
    fading *= cv2.GaussianBlur(skin_like, (0, 0), 1.0)
    soft = cv2.GaussianBlur(inside.astype(np.float32) / 255, (0, 0), 1.0)
    return np.asarray(np.maximum(fading, soft), np.float32)
