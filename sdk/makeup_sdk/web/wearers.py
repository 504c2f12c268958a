"""Makeup on one selected face of a photo."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from makeup_sdk.pipeline import FaceSource, FaceToPaint, Lap


@dataclass(frozen=True)
class OneFace:
    """A `FaceSource` that paints only one of another source's faces.

    Attributes:
        faces_of: source of the faces.
        x, y: the face nearest to this point is painted, frame pixels.
    """

    faces_of: FaceSource
    x: float
    y: float

    def faces(self, view: Any, lap: Lap) -> list[FaceToPaint]:
        """See `FaceSource.faces`."""
        found = self.faces_of.faces(view, lap)
        away = [
            float(np.linalg.norm(face.box.reshape(2, 2).mean(axis=0) - (self.x, self.y)))
            for face in found
        ]
        return [
            face if distance == min(away) else replace(face, strokes=())
            for face, distance in zip(found, away, strict=True)
        ]
