"""Who of a photo's faces wears the look."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from makeup_sdk.pipeline import FaceSource, FaceToPaint, Lap


@dataclass(frozen=True)
class OneFace:
    """The faces of a photo, of which one alone is painted. A `FaceSource`.

    Attributes:
        faces_of: finds the faces, and says what each would wear.
        x, y: frame pixels; the face nearest to this point is painted.
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
