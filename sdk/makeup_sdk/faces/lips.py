"""A second look at the mouth, for the lips' exact outline."""

import numpy as np

from makeup_engines import Session
from makeup_kernels import Region
from makeup_kernels.geometry import MOUTH_LOGITS, MOUTH_PIXELS
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.planes import normalized_planes


class LipModel:
    """The lip net: the mouth in full resolution to the region logits of its lips.

    Args:
        session: the graph `lips` of the bundle `face_landmarks_regions`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def refine(self, crop: Image, logits: FloatArray) -> FloatArray:
        """Region logits whose lips are those of the lip net.

        Args:
            crop: uint8 (256, 256, 3), BGR.
            logits: float32 (5, 160, 160), channel = `makeup_kernels.Region`; not modified.

        Returns:
            float32 (5, 160, 160).
        """
        rows, columns = MOUTH_LOGITS
        window = logits[:, rows, columns]
        found = self._session.run(
            {
                "image": normalized_planes(crop[MOUTH_PIXELS]),
                "regions": np.ascontiguousarray(window)[None],
            }
        )
        refined: FloatArray = logits.copy()
        others = np.maximum(window[Region.NONE], window[Region.SKIN])
        refined[Region.LIPS, rows, columns] = others + found["lips"][0]
        return refined
