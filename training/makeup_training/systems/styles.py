"""Six named styles, each a makeup of products, and faces painted in them.

`StyleFaces.build` paints every face in every style once. The exact ground truth of a change of
style is then the difference in log light of two pictures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import Image
from makeup_sdk.cosmetics import (
    Blush,
    Contour,
    Eyeliner,
    EyeShadow,
    Foundation,
    Lashes,
    Lipstick,
    Product,
)
from makeup_sdk.cosmetics.paint import paint
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.light import to_log
from makeup_sdk.faces.tone import SkinTone
from makeup_training.systems.faces import analysed, photos
from makeup_training.systems.pairs import WINDOW, light_image
from makeup_training.systems.rows import Fields, open_rows, write_rows

STYLES: Mapping[str, tuple[Product, ...]] = {
    "bare": (),
    "retro": (
        Foundation(finish="matte", opacity=0.45),
        Blush("#c96a60", "lifted", opacity=0.28),
        EyeShadow("#d8bfa2", crease="#8a5a3c", inner="#f0dcc4", opacity=0.55, extent=0.5),
        Eyeliner(width=0.6, wing=0.8, angle=30, opacity=0.95),
        Lashes(length=0.6, volume=0.5),
        Lipstick("#a8101f", finish="matte", opacity=0.92),
    ),
    "korean": (
        Foundation(finish="gloss", opacity=0.5, lightness=0.15),
        Blush("#ee8f98", "apple", opacity=0.34),
        EyeShadow("#e3a896", crease="#c08070", lower=0.3, finish="satin", opacity=0.55, extent=0.4),
        Eyeliner("#3a2a24", width=0.2, wing=0.15, angle=14),
        Lashes(length=0.45, volume=0.25),
        Lipstick("#d2344f", finish="gloss", opacity=0.75, blur=0.7),
    ),
    "japanese": (
        Foundation(finish="satin", opacity=0.45),
        Blush("#ea7a55", "draped", opacity=0.42),
        EyeShadow("#c4803f", crease="#a85a34", outer="#8f4030", lower=0.55, extent=0.45),
        Eyeliner("#3a221a", width=0.3),
        Lashes(length=0.55, volume=0.4, lower=0.3),
        Lipstick("#e0664a", finish="gloss", opacity=0.65),
    ),
    "smoky": (
        Foundation(finish="matte", opacity=0.5),
        Contour(opacity=0.35),
        Blush("#b0705c", "lifted", opacity=0.2),
        EyeShadow(
            "#4a4044", crease="#463834", outer="#1e1a1c", lower=0.8, opacity=0.85, extent=0.65
        ),
        Eyeliner(width=0.5, lower=0.7),
        Lashes(length=0.75, volume=0.7, lower=0.4),
        Lipstick("#a06a5a", finish="matte", opacity=0.75),
    ),
    "colourful": (
        Foundation(opacity=0.45),
        Blush("#d94f8a", "lifted", opacity=0.34),
        EyeShadow(
            "#2a78b8", crease="#6a3fb0", outer="#43288a", inner="#7ad0e0", lower=0.5,
            opacity=0.85, extent=0.7,
        ),
        Eyeliner("#141a38", width=0.4, wing=0.5, angle=30),
        Lashes(length=0.7, volume=0.6),
        Lipstick("#c2187e", finish="satin", opacity=0.9),
    ),
}  # fmt: skip
"""The styles by name, in the order of the label; the first is bare skin."""

SIZE = 96
"""Side of the stored painted faces, half of the network's window."""

_EVERYWHERE = dict.fromkeys((Region.LIPS, Region.SKIN, Region.EYES), 1.0)
_FIELDS: Fields = {
    "image": ((len(STYLES), 3, SIZE, SIZE), np.float16),
    "light": ((len(STYLES), 3, SIZE, SIZE), np.float16),
    "regions": ((SIZE, SIZE), np.uint8),
    "held": ((), np.bool_),
}


def styled(face: FaceAnalysis, style: str) -> Image:
    """uint8 (256, 256, 3), BGR: the crop of a bare face in a style."""
    if not STYLES[style]:
        return face.crop
    crop = face.crop.copy()
    for patch in paint(FaceView.of(face), STYLES[style], _EVERYWHERE):
        patch.put(crop, np.eye(2, 3), color="bgr", threads=1)
    return crop


@dataclass(frozen=True)
class StyleFaces:
    """N faces in all styles, memory-mapped.

    Attributes:
        image: float16 (N, 6, 3, 96, 96), RGB in [-1, 1], as networks see them (`light_image`).
        light: float16 (N, 6, 3, 96, 96), RGB, log light.
        regions: uint8 (N, 96, 96).
        held: bool (N,): never trained on.
    """

    image: NDArray[np.float16]
    light: NDArray[np.float16]
    regions: NDArray[np.uint8]
    held: NDArray[np.bool_]

    @classmethod
    def open(cls, folder: Path) -> "StyleFaces":
        """Open what `build` wrote.

        Raises:
            BadDataError: the folder holds no faces.
        """
        return cls(**open_rows(folder, _FIELDS, "painted faces"))

    @staticmethod
    def build(data: Path, folder: Path, *, progress: Callable[[str], None] = print) -> int:
        """Analyse the bare faces, paint them in all styles and write them; returns their number.

        Args:
            data: the faces folder.
            folder: the output folder; about 0.7 MB per face.
            progress: receives progress messages.

        Raises:
            BadDataError: a missing or damaged file.
        """
        found = [photo for photo in photos(data) if not photo.made_up]
        rows = (_row(face, photo.held) for _, photo, face in analysed(found, progress))
        return write_rows(folder, _FIELDS, len(found), (row for row in rows if row is not None))

    def __len__(self) -> int:
        return len(self.held)


def _row(face: FaceAnalysis, held: bool) -> Mapping[str, Any] | None:
    """A face in all styles; None if too little skin is visible."""
    left, top, side = WINDOW
    window = np.s_[top : top + side, left : left + side]
    images, lights = [], []
    for style in STYLES:
        crop = styled(face, style)
        tone = SkinTone.fit(to_log(crop), face.regions)
        if tone is None:
            return None
        images.append(light_image(crop, tone.over_crop(), SIZE))
        small = cv2.resize(crop[window], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        lights.append(to_log(np.asarray(small, np.uint8))[..., ::-1].transpose(2, 0, 1))
    return {
        "image": np.stack(images).astype(np.float16),
        "light": np.stack(lights).astype(np.float16),
        "regions": cv2.resize(face.regions[window], (SIZE, SIZE), interpolation=cv2.INTER_NEAREST),
        "held": held,
    }
