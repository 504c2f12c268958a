"""Aligned faces for calibration and for the parity report."""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, crop_face, crop_matrix
from makeup_kernels.errors import InvalidInputError
from makeup_training.data.parsing_classes import to_mt
from makeup_training.faces.regions import region_map

_SKIN, _HAIR, _EYES, _BROWS, _LIPS, _MOUTH = 1, 10, (4, 5), (2, 3), (7, 9), 8
_OUTLINES = (
    # class, points of its outline (iBUG order); later ones cover earlier ones
    (6, (27, 31, 33, 35)),
    (_BROWS[0], (17, 18, 19, 20, 21, 20, 19, 18)),
    (_BROWS[1], (22, 23, 24, 25, 26, 25, 24, 23)),
    (_EYES[0], tuple(range(36, 42))),
    (_EYES[1], tuple(range(42, 48))),
    (_LIPS[0], (*range(48, 55), *range(64, 59, -1))),
    (_LIPS[1], (48, *range(59, 53, -1), 64, 67, 66, 65, 60)),
    (_MOUTH, tuple(range(60, 68))),
)


@dataclass(frozen=True)
class AlignedFace:
    """An aligned face, as the networks read it.

    Attributes:
        name: for reports.
        image: uint8 (S, S, 3), BGR.
        landmarks: float32 (68, 2), x then y, pixels of `image`.
        parsing: uint8 (S, S), MT classes.
    """

    name: str
    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    parsing: NDArray[np.uint8]

    @property
    def regions(self) -> NDArray[np.uint8]:
        """Region ids (`makeup_kernels.Region`), uint8 (S, S)."""
        return region_map(self.parsing, self.landmarks)

    def resized(self, side: int) -> "AlignedFace":
        """The same face on a crop with another side."""
        if side == self.image.shape[0]:
            return self
        scale = side / self.image.shape[0]
        return AlignedFace(
            self.name,
            cv2.resize(self.image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8),
            ((self.landmarks + 0.5) * scale - 0.5).astype(np.float32),
            cv2.resize(self.parsing, (side, side), interpolation=cv2.INTER_NEAREST).astype(
                np.uint8
            ),
        )


def demo_faces() -> list[AlignedFace]:
    """The pictures that ship with the SDK: three bare faces, then four with makeup.

    They are averages of CC0 portraits, not real people. Their parsing is drawn from the landmarks.
    """
    # located, not imported: only the SDK's pictures are needed, none of its code
    spec = importlib.util.find_spec("makeup_sdk")
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInputError("the SDK's pictures are not installed; pass --calibrate DIR")
    folder = Path(spec.submodule_search_locations[0]) / "assets" / "demo"
    pictures = json.loads((folder / "demo.json").read_text(encoding="utf-8"))["pictures"]
    pictures.sort(key=lambda picture: picture["role"] != "source")
    return [
        _aligned(
            picture["file"], _read(folder / picture["file"]), picture["landmarks68"], mask=None
        )
        for picture in pictures
    ]


def read_faces(folder: Path, limit: int) -> list[AlignedFace]:
    """Faces of a folder: `labels.json`, `images/NAME.jpg|png` and optionally `masks/NAME.png`.

    `labels.json` maps each name to an object with `landmarks68`, 68 points in pixels of the image.
    Masks hold the classes of the faces folder (`parsing_classes`, "faces12"); without one the
    parsing is drawn from the landmarks.

    Args:
        folder: the folder.
        limit: maximum number of faces, spread evenly over the sorted names.

    Raises:
        InvalidInputError: no labels, no faces, or an image that cannot be read.
    """
    path = folder / "labels.json"
    try:
        labels: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        points = {name: label["landmarks68"] for name, label in sorted(labels.items())}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInputError(
            f"{path}: expected landmarks68 for each name of images/ ({type(error).__name__}: "
            f"{error}); point --calibrate at a folder of labelled faces"
        ) from None
    if not points:
        raise InvalidInputError(f"{path}: names no face")
    names = list(points)
    chosen = [names[i * len(names) // limit] for i in range(limit)] if len(names) > limit else names
    return [_read_face(folder, name, points[name]) for name in chosen]


def _read_face(folder: Path, name: str, landmarks: Any) -> AlignedFace:
    found = sorted((folder / "images").glob(f"{name}.*"))
    if not found:
        raise InvalidInputError(f"{folder / 'images' / name}: no such picture")
    mask_path = folder / "masks" / f"{name}.png"
    mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) if mask_path.is_file() else None
    return _aligned(name, _read(found[0]), landmarks, mask)


def _aligned(
    name: str, image: NDArray[np.uint8], points: Any, mask: NDArray[np.uint8] | None
) -> AlignedFace:
    landmarks = np.asarray(points, np.float32)
    matrix = crop_matrix(landmarks)
    crop = crop_face(image, matrix)
    placed = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    if mask is None:
        return AlignedFace(name, crop, placed, drawn_parsing(placed, CROP_SIZE))
    side = (CROP_SIZE, CROP_SIZE)
    warped = cv2.warpAffine(mask, matrix, side, flags=cv2.INTER_NEAREST).astype(np.uint8)
    return AlignedFace(name, crop, placed, to_mt(warped, "faces12"))


def drawn_parsing(landmarks: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """A parsing from landmarks only: skin up to a forehead arc, brows, eyes, nose, lips, mouth.

    Args:
        landmarks: float (68, 2), x then y, pixels.
        side: side of the square picture.

    Returns:
        uint8 (side, side), MT classes; hair is the band above the forehead.
    """
    parsing = np.zeros((side, side), np.uint8)
    jaw = landmarks[:17]
    middle = (jaw[0] + jaw[16]) / 2
    up = middle - landmarks[8]
    for share, value in ((0.95, _HAIR), (0.6, _SKIN)):
        half = (jaw[16] - jaw[0]) / 2 * (1.15 if value == _HAIR else 1)
        angles = np.linspace(0, np.pi, 24)[:, None]
        arc = middle + np.cos(angles) * half + np.sin(angles) * share * up
        _fill(parsing, np.concatenate([jaw, arc]), value)
    for value, points in _OUTLINES:
        _fill(parsing, landmarks[list(points)], value)
    return parsing


def _fill(parsing: NDArray[np.uint8], outline: NDArray[np.floating], value: int) -> None:
    thickness = 2 if value in _BROWS else 1
    polygon = [np.round(outline).astype(np.int32)]
    cv2.fillPoly(parsing, polygon, value)
    cv2.polylines(parsing, polygon, True, value, thickness)


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InvalidInputError(f"{path}: not a picture that OpenCV reads")
    return image.astype(np.uint8)
