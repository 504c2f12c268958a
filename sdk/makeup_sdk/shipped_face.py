"""A bare face that ships with the package, to show makeup on."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from makeup_kernels import Region
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_sdk.images import read_image
from makeup_sdk.model import Painter

_PHOTO = Path(__file__).parent / "assets" / "demo" / "medium.jpg"


@cache
def shipped_face() -> FaceAnalysis:
    """A portrait of an AI-generated person without makeup, in its own crop."""
    analyzer = BundledFaceAnalyzer()
    photo = read_image(_PHOTO)
    face = analyzer.analyze(photo, analyzer.detect(photo, 1)[0])
    return FaceAnalysis(face.crop_landmarks, face.score, np.eye(2, 3), face.crop, face.regions)


def painted_shipped_face(painter: Painter, regions: Iterable[Region]) -> FaceAnalysis:
    """The same face wearing a look in some regions."""
    face = shipped_face()
    picture = face.crop.copy()
    paint = painter.paint(face, dict.fromkeys(regions, 1.0))
    paint.put(picture, face, color="bgr", threads=None)
    return replace(face, crop=picture)
