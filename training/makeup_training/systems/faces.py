"""The training faces of the mobile-class systems, analysed once and stored on disk.

`build` writes what `FaceStore` reads: crops and region maps of the training faces, and of the same
faces painted by the cosmetics renderer.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_sdk.faces.light import to_log
from makeup_sdk.faces.tone import SkinTone
from makeup_training.cosmetics import Makeup, random_makeup, render
from makeup_training.data.portraits import BadDataError
from makeup_training.data.readers import held_back
from makeup_training.systems.rows import Fields, open_rows, write_rows
from makeup_training.systems.truth import on_its_crop

BARE, PAINTED, MADE_UP = 0, 1, 2
"""Kinds of faces: with little or no makeup, painted by the renderer, with real makeup."""

_MIN_SCORE = 0.5

_FIELDS: Fields = {
    "crop": ((CROP_SIZE, CROP_SIZE, 3), np.uint8),
    "regions": ((CROP_SIZE, CROP_SIZE), np.uint8),
    "landmarks": ((68, 2), np.float32),
    "skin": ((6, 3), np.float32),
    "skin_mean": ((3,), np.float32),
    "kind": ((), np.uint8),
    "person": ((), np.int32),
    "held": ((), np.bool_),
}


@dataclass(frozen=True)
class FaceStore:
    """Analysed faces, memory-mapped; N rows each.

    Attributes:
        crop: uint8 (N, 256, 256, 3), BGR.
        regions: uint8 (N, 256, 256).
        landmarks: float32 (N, 68, 2), crop pixels.
        skin, skin_mean: float32 (N, 6, 3), (N, 3): the `SkinTone`.
        kind: uint8 (N,): `BARE`, `PAINTED` or `MADE_UP`.
        person: int32 (N,): the row of the same person's bare face, or its own row.
        held: bool (N,): never trained on.
    """

    crop: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    skin: NDArray[np.float32]
    skin_mean: NDArray[np.float32]
    kind: NDArray[np.uint8]
    person: NDArray[np.int32]
    held: NDArray[np.bool_]

    @classmethod
    def open(cls, folder: Path) -> "FaceStore":
        """Open the rows that `build` has written so far.

        Raises:
            BadDataError: the folder holds no faces.
        """
        return cls(**open_rows(folder, _FIELDS, "analysed faces"))

    def __len__(self) -> int:
        return len(self.crop)

    def face(self, row: int) -> FaceAnalysis:
        """A face in coordinates of its own crop."""
        return on_its_crop(self.crop[row], np.asarray(self.regions[row]), self.landmarks[row])

    def tone(self, row: int) -> SkinTone:
        """The bare skin of a face."""
        return SkinTone(self.skin[row], self.skin_mean[row])


@dataclass(frozen=True)
class Photo:
    """A training photo.

    Attributes:
        path: the picture.
        mask: file of its parts, if it has one.
        made_up: whether the face wears real makeup.
        held: never trained on.
    """

    path: Path
    mask: Path | None
    made_up: bool
    held: bool


def photos(data: Path) -> Iterator[Photo]:
    """The training faces: those of the two lists first, then the other faces, shuffled.

    Rows of `makeup.csv` reserved for measuring, and the folder `val`, are left out.
    """
    with (data / "train" / "makeup.csv").open(newline="") as file:
        rows = {row["name"]: row["use"] for row in csv.DictReader(file)}
    with (data / "more" / "manifest.csv").open(newline="") as file:
        more = [(row["file"], "makeup" in row["wears"]) for row in csv.DictReader(file)]
    names = list(json.loads((data / "train" / "labels.json").read_text()))
    folder = data / "train"

    def of(name: str, made_up: bool) -> Photo:
        mask = folder / "masks" / f"{name}.png"
        return Photo(
            folder / "images" / f"{name}.jpg", mask, made_up, held_back(name) and not made_up
        )

    yield from (of(name, True) for name, use in rows.items() if use == "train")
    yield from (
        Photo(data / "more" / "images" / name, None, made_up, False) for name, made_up in more
    )
    rest = [name for name in names if name not in rows and "akeup" not in name]
    order = np.random.default_rng(0).permutation(len(rest))
    yield from (of(rest[i], False) for i in order)


def analysed(
    found: Sequence[Photo], progress: Callable[[str], None]
) -> Iterator[tuple[int, Photo, FaceAnalysis]]:
    """Each photo that shows a clear face: its number, the photo and the face.

    Args:
        found: the photos.
        progress: receives progress messages.

    Raises:
        BadDataError: a missing or damaged picture.
    """
    cv2.setNumThreads(1)
    analyzer = BundledFaceAnalyzer(threads=1)
    for number, photo in enumerate(found):
        image = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
        if image is None:
            raise BadDataError(f"{photo.path}: missing or not a readable picture")
        detections = analyzer.detect(image, 1)
        face = analyzer.analyze(image, detections[0]) if detections else None
        if face is not None and face.score >= _MIN_SCORE:
            yield number, photo, face
        if number % 50 == 0:
            progress(f"{number + 1} of {len(found)} photos done")


def read_mask(path: Path) -> NDArray[np.uint8]:
    """The classes (H, W) of a photo.

    Raises:
        BadDataError: missing or damaged.
    """
    classes = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if classes is None:
        raise BadDataError(f"{path}: missing or not a readable mask")
    return np.asarray(classes, np.uint8)


def build(data: Path, folder: Path, *, progress: Callable[[str], None] = print) -> int:
    """Analyse all faces, paint one makeup on each bare one, and write both.

    Args:
        data: the faces folder.
        folder: the output folder; about 0.26 MB per row.
        progress: receives progress messages.

    Returns:
        the number of rows.

    Raises:
        BadDataError: a missing or damaged file.
    """
    found = list(photos(data))
    return write_rows(folder, _FIELDS, 2 * len(found), _rows(found, progress))


def _rows(found: Sequence[Photo], progress: Callable[[str], None]) -> Iterator[Mapping[str, Any]]:
    count = 0
    for number, photo, face in analysed(found, progress):
        person = count
        row = _row(face.crop, face, (MADE_UP if photo.made_up else BARE, person, photo.held))
        if row is None:
            continue
        yield row
        count += 1
        if not photo.made_up:
            rng = np.random.default_rng([0, number])
            crop = _painted(face, photo.mask, random_makeup(rng), rng)
            row = _row(crop, face, (PAINTED, person, photo.held))
            if row is not None:
                yield row
                count += 1


def _painted(
    face: FaceAnalysis, mask: Path | None, makeup: Makeup, rng: np.random.Generator
) -> NDArray[np.uint8]:
    parse = None
    if mask is not None:
        side = (CROP_SIZE, CROP_SIZE)
        warped = cv2.warpAffine(read_mask(mask), face.matrix, side, flags=cv2.INTER_NEAREST)
        parse = np.asarray(warped, np.uint8)
    return render(face.crop, face.crop_landmarks, makeup, rng, parse)


def _row(
    crop: NDArray[np.uint8], face: FaceAnalysis, facts: tuple[int, int, bool]
) -> Mapping[str, Any] | None:
    """A row with kind, person and whether it is held back; None if too little skin is visible."""
    tone = SkinTone.fit(to_log(crop), face.regions)
    if tone is None:
        return None
    return {
        "crop": crop,
        "regions": face.regions,
        "landmarks": face.crop_landmarks,
        "skin": tone.coefficients,
        "skin_mean": tone.mean,
        "kind": facts[0],
        "person": facts[1],
        "held": facts[2],
    }
