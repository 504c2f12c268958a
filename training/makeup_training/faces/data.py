"""The faces folder: pictures and labels in memory, and the split that holds back a tenth."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_training.faces.regions import region_map

HELD_BACK_SHARE = 0.1


@dataclass(frozen=True)
class FacePicture:
    """One labelled picture.

    `image` uint8 (H, W, 3) BGR; `landmarks` float32 (68, 2) pixels; `regions` uint8 (H', W') with
    H' / H = `region_scale` (labelled pixels per pixel), or None without a mask;
    `box` float32 (4,) x0 y0 x1 y1 or None.
    """

    name: str
    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    regions: NDArray[np.uint8] | None = None
    region_scale: float = 1.0
    box: NDArray[np.float32] | None = None


def held_back(name: str) -> bool:
    """Whether a picture is held back from training: a tenth, by a stable hash of its name.

    `train/` and `detect/` share names, so a picture is held back in both or in neither.
    """
    return zlib.crc32(name.encode()) % 1000 < 1000 * HELD_BACK_SHARE


def load_crops(folder: Path, *, side: int, held: bool | None) -> list[FacePicture]:
    """The square crops of `train/` or `val/`, resized to `side`, with their region maps at 384.

    `held` selects the held-back tenth (True), the rest (False) or all (None).
    """
    pictures = []
    for name, label in json.loads((folder / "labels.json").read_text()).items():
        if held is not None and held_back(name) != held:
            continue
        image = _read(folder / "images" / f"{name}.jpg")
        mask = cv2.imread(str(folder / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        landmarks = np.array(label["landmarks68"], np.float32)
        scale = side / image.shape[0]
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        pictures.append(
            FacePicture(
                name,
                small,
                (landmarks + 0.5) * scale - 0.5,
                region_map(mask, landmarks),
                1 / scale,
            )
        )
    return pictures


def load_pictures(folder: Path, *, held: bool | None, single: bool = True) -> list[FacePicture]:
    """The whole pictures of `detect/`; with `single`, only those with exactly one labelled face."""
    pictures = []
    for name, label in json.loads((folder / "labels.json").read_text()).items():
        if held is not None and held_back(name) != held:
            continue
        if single and label["faces_found"] != 1:
            continue
        pictures.append(
            FacePicture(
                name,
                _read(folder / "images" / f"{name}.jpg"),
                np.array(label["landmarks68"], np.float32),
                box=np.array(label["box"], np.float32),
            )
        )
    return pictures


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(f"{path}: not a readable picture; is --data the faces folder?")
    return np.asarray(image, np.uint8)
