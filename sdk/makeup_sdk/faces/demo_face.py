"""A bare face that ships with the package, for showing makeup."""

from functools import cache
from pathlib import Path

import numpy as np

from makeup_sdk.faces.analyzer import BundledFaceAnalyzer
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.images import read_image

_PHOTO = Path(__file__).parents[1] / "assets" / "demo" / "medium.jpg"


@cache
def demo_face() -> FaceAnalysis:
    """A portrait of an AI-generated person without makeup, in its own crop."""
    analyzer = BundledFaceAnalyzer()
    photo = read_image(_PHOTO)
    face = analyzer.analyze(photo, analyzer.detect(photo, 1)[0])
    return FaceAnalysis(face.crop_landmarks, face.score, np.eye(2, 3), face.crop, face.regions)
