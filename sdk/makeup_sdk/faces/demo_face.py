"""Bare faces that ship with the package, for showing makeup."""

from functools import cache
from pathlib import Path

import numpy as np

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.faces.analyzer import BundledFaceAnalyzer
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.images import read_image

_FOLDER = Path(__file__).parents[1] / "assets" / "demo"

SKINS = ("light", "medium", "dark")
"""Skin types of the shipped bare faces."""


@cache
def demo_photo(skin: str = "medium") -> tuple[Image, FaceAnalysis]:
    """A portrait of an AI-generated person without makeup, and its face; do not modify them.

    Returns:
        uint8 (512, 512, 3), BGR, and the face in it.

    Raises:
        InvalidInputError: not one of `SKINS`.
    """
    if skin not in SKINS:
        raise InvalidInputError(f"face: got {skin!r}, expected one of {', '.join(SKINS)}")
    analyzer = BundledFaceAnalyzer()
    photo = read_image(_FOLDER / f"{skin}.jpg")
    return photo, analyzer.analyze(photo, analyzer.detect(photo, 1)[0])


@cache
def demo_face() -> FaceAnalysis:
    """The face with medium skin, in its crop's coordinates."""
    face = demo_photo()[1]
    return FaceAnalysis(face.crop_landmarks, face.score, np.eye(2, 3), face.crop, face.regions)
