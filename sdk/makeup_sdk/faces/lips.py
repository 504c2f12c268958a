"""Refines the lips' outline with a second network at full resolution."""

import cv2
import numpy as np

from makeup_engines import Session
from makeup_kernels import Region
from makeup_kernels.geometry import MOUTH_LOGITS, MOUTH_PIXELS
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.planes import normalized_planes

_COARSE = 4
_RING = np.ones((7, 7), np.uint8)
"""Dilation that gives the ring around the lips, in cells of 4 crop pixels."""
_LEAST_SKIN = 0.3
"""Minimum fraction of skin around visible lips: none of 260 bare portraits, including turned heads
and beards, has less; lips detected on a surgical mask nearly always have."""


def without_covered_lips(regions: Image) -> Image:
    """A region map without lips that have no skin around them: those are on a face mask.

    Args:
        regions: uint8 (256, 256); changed in place.
    """
    cells = regions[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE]
    lips = (cells == Region.LIPS).astype(np.uint8)
    ring = cv2.dilate(lips, _RING) != lips
    if ring.any() and np.mean(cells[ring] == Region.SKIN) < _LEAST_SKIN:
        regions[regions == Region.LIPS] = Region.NONE
    return regions


class LipModel:
    """The lip net: from the mouth at full resolution to region logits of the lips.

    Args:
        session: the graph `lips` of the bundle `face_landmarks_regions`.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def refine(self, crop: Image, logits: FloatArray) -> FloatArray:
        """Region logits with the lips replaced by the lip net's.

        Args:
            crop: uint8 (256, 256, 3), BGR.
            logits: float32 (5, 160, 160), channel = `makeup_kernels.Region`; not modified.

        Returns:
            float32 (5, 160, 160).
        """
        rows, columns = MOUTH_LOGITS
        window = logits[:, rows, columns]
        found = self.session.run(
            {
                "image": normalized_planes(crop[MOUTH_PIXELS]),
                "regions": np.ascontiguousarray(window)[None],
            }
        )
        refined: FloatArray = logits.copy()
        others = np.maximum(window[Region.NONE], window[Region.SKIN])
        refined[Region.LIPS, rows, columns] = others + found["lips"][0]
        return refined
