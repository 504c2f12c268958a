"""Put a `mobile` look on a face: a gain and an offset per channel, all over the face."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_engines import Session
from makeup_kernels import CROP_SIZE, Region, apply_color_map
from makeup_sdk.classic.layout import FaceLayout
from makeup_sdk.faces.types import FaceAnalysis, FloatArray, Image
from makeup_sdk.mobile.layout import LaidCodes, template_layout
from makeup_sdk.mobile.makeup import MobileMakeup
from makeup_sdk.model import Strength

CHANGE_SIDE = 128
_CELL = CROP_SIZE // CHANGE_SIDE

TO_RGB = [2, 1, 0, 5, 4, 3]
"""Planes of a change for frames in RGB order."""


@dataclass(frozen=True)
class ChangePaint:
    """A change of a face's colours.

    Attributes:
        change: float32 (6, 128, 128), of the crop's cells of 2×2 pixels: gain − 1 of B, G, R, then
            their offsets in pixel values; 0 outside the makeup.
    """

    change: FloatArray

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """See `Paint.put`; the frame's own detail is kept, since it is what is multiplied."""
        change = self.change if color == "bgr" else np.ascontiguousarray(self.change[TO_RGB])
        apply_color_map(image, change, cells_of(face.matrix), out=image, threads=threads)


class MobilePainter:
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

    def change(self, face: FaceAnalysis) -> FloatArray:
        """float32 (6, 128, 128): the full change, before strength; see `ChangePaint`."""
        codes = self._codes.on(FaceLayout(face.crop_landmarks, face.regions))
        found = self._session.run(
            {"image": face.crop[None], "regions": face.regions[None], "codes": codes[None]}
        )
        change: FloatArray = found["change"][0]
        return change


def weaken(change: FloatArray, regions: NDArray[np.uint8], strength: Strength) -> ChangePaint:
    """A change as far as each region wears it, faded over the regions' edges."""
    amounts = np.zeros(256, np.float32)
    for region, amount in strength.items():
        if region is not Region.NONE:
            amounts[region] = amount
    share = cv2.resize(
        amounts[regions], (CHANGE_SIDE, CHANGE_SIDE), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    return ChangePaint(change * share)


def cells_of(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frame pixel to crop pixel, (2, 3), to frame pixel to cell of the change."""
    cells = matrix / _CELL
    cells[:, 2] += 0.5 / _CELL - 0.5
    return cells
