"""Put a `mobile` look on a face: a gain and an offset per channel, all over the face."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_engines import Session
from makeup_kernels import Region, apply_color_map
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.layout import FaceLayout
from makeup_sdk.faces.light import LIGHT_SLOPE
from makeup_sdk.faces.smoothing import MovingAverage, Step, StillnessOptions
from makeup_sdk.faces.types import CropGrid, FaceAnalysis
from makeup_sdk.makeup.codes import MobileMakeup, template_layout
from makeup_sdk.models.base import Painter, Strength, scaled
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS, LaidCodes

TO_RGB = [2, 1, 0, 5, 4, 3]
"""Planes of a change for frames in RGB order."""

Change = Mapping[str, FloatArray]
"""A change of a face's colours, in the parts of `CHANGE_GRIDS`: float32 (6, rows, columns) each,
gain − 1 of B, G, R, then their offsets in pixel values."""

_PAINTED = {
    "face": (Region.SKIN, Region.BROWS),
    "lips": (Region.LIPS,),
    "eyes": (Region.EYES,),
}
"""Regions that each part paints."""

_BLUR, _REACH = 0.8, 1.4
"""Of the outlines of lips and eyes: pixels, and the factor on what they are blurred to, up to 1."""

_STEPS_PER_LIGHT = 1 / LIGHT_SLOPE


@dataclass(frozen=True)
class ChangePaint:
    """A change of a face's colours, 0 outside the makeup."""

    change: Change

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """See `Paint.put`; the frame's own detail is kept, since it is what is multiplied."""
        for part, change in self.change.items():
            planes = change if color == "bgr" else np.ascontiguousarray(change[TO_RGB])
            cells = cells_of(face.matrix, CHANGE_GRIDS[part])
            apply_color_map(image, planes, cells, out=image, threads=threads)


class MobilePainter(Painter):
    """A look, prepared to be painted on faces. Immutable; may be shared by threads.

    Args:
        makeup: the look's.
        session: the graph `painter` of the bundle.
        threads: CPU threads of the morph; None: one per core.
    """

    def __init__(self, makeup: MobileMakeup, session: Session, threads: int | None = None) -> None:
        self._codes = LaidCodes(makeup.codes, template_layout(), threads)
        self._session = session

    def paint(self, face: FaceAnalysis, strength: Strength) -> ChangePaint:
        """See `Painter.paint`."""
        return weaken(self.change(face), face.regions, strength)

    def change(self, face: FaceAnalysis) -> Change:
        """The full change, before strength; what it says outside the regions means nothing."""
        codes = self._codes.on(FaceLayout(face.crop_landmarks, face.regions))
        found = self._session.run(
            {"image": face.crop[None], "regions": face.regions[None], "codes": codes[None]}
        )
        return {part: found[part][0] for part in CHANGE_GRIDS}

    def follow(self, options: StillnessOptions) -> "SmoothedChange":
        """See `Painter.follow`."""
        return SmoothedChange(self, options)


class SmoothedChange:
    """One face's makeup of one look over a stream. See `Follower`.

    Args:
        painter: of the look.
        options: seconds of the averages.
    """

    def __init__(self, painter: MobilePainter, options: StillnessOptions) -> None:
        self._painter = painter
        self._averages = {
            part: MovingAverage(options.layer, grid) for part, grid in CHANGE_GRIDS.items()
        }

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> ChangePaint:
        """See `Follower.paint`."""
        change = keep_contrast(self._painter.change(face), face.crop)
        smoothed = {part: self._averages[part](values, step) for part, values in change.items()}
        return weaken(smoothed, face.regions, scaled(strength, opacity))


def weaken(change: Change, regions: NDArray[np.uint8], strength: Strength) -> ChangePaint:
    """A change as far as each region wears it."""
    shares = worn_shares(regions, strength)
    return ChangePaint({part: change[part] * shares[part] for part in change})


def keep_contrast(change: Change, crop: Image) -> Change:
    """The same change of a crop, with gains that keep its contrast in log light.

    Where the crop is x, a change asks for y = x + gain · x + offset. Any gain can lead there; that
    of the networks also says how much of the face's texture an opaque colour hides. A camera's
    noise is hidden with it, and the makeup's layer of log light L trembles. With gain = L'(x) /
    L'(y) − 1 and offset = y − x − gain · x it does so by two fifths less, since what differs from x
    by a little then differs by as much log light before and after.

    Args:
        change: of the crop.
        crop: uint8 (256, 256, 3), BGR.
    """
    kept = {}
    for part, values in change.items():
        grid = CHANGE_GRIDS[part]
        size = (grid.columns, grid.rows)
        cells = cv2.resize(crop[grid.pixels], size, interpolation=cv2.INTER_AREA)
        kept[part] = np.empty_like(values)
        for channel, x in enumerate(cv2.split(cells)):
            gain, offset = kept[part][channel], kept[part][channel + 3]
            added = cv2.multiply(x, values[channel], dtype=cv2.CV_32F) + values[channel + 3]
            y = cv2.add(x, added, dtype=cv2.CV_8U)  # rounds, and keeps to the range of a pixel
            np.multiply(cv2.LUT(x, LIGHT_SLOPE), cv2.LUT(y, _STEPS_PER_LIGHT), out=gain)
            gain -= 1
            np.subtract(added, cv2.multiply(x, gain, dtype=cv2.CV_32F), out=offset)
    return kept


def worn_shares(regions: NDArray[np.uint8], strength: Strength) -> Mapping[str, FloatArray]:
    """float32 (rows, columns) of each part: how much of its change each cell wears.

    Lips and eyes reach half a pixel beyond their outlines, so that they close over the line between
    closed lips and meet the lashes, and fade away there.
    """
    shares = {}
    for part, grid in CHANGE_GRIDS.items():
        here, size = regions[grid.pixels], (grid.columns, grid.rows)
        share = np.zeros(here.shape, np.float32)
        for region in _PAINTED[part]:
            share += strength.get(region, 0.0) * (here == region).astype(np.float32)
        if grid.cell > 1:
            share = cv2.resize(share, size, interpolation=cv2.INTER_AREA)
        else:
            most = strength.get(_PAINTED[part][0], 0.0)
            share = np.minimum(_REACH * cv2.GaussianBlur(share, (3, 3), _BLUR), most)
        shares[part] = share.astype(np.float32)
    return shares


def cells_of(matrix: NDArray[np.float64], grid: CropGrid) -> NDArray[np.float64]:
    """Frame pixel to crop pixel, (2, 3), to frame pixel to cell of a grid."""
    cells = matrix / grid.cell
    cells[:, 2] += 0.5 / grid.cell - 0.5 - np.array([grid.left, grid.top]) / grid.cell
    return cells
