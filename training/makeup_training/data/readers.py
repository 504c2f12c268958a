"""Readers of face data sets: our faces folder, the MT layout, and CelebA with its attributes."""

import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_training.data.portraits import BadDataError, Portrait, PortraitFile, load_portrait
from makeup_training.faces.data import held_back

PICTURES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Collection:
    """The faces of a data set.

    Attributes:
        bare: without makeup, for training.
        made_up: with makeup, for training; empty if only the renderer paints.
        held_bare: without makeup, for validation.
        held_made_up: with makeup, for validation.
    """

    bare: list[PortraitFile]
    made_up: list[PortraitFile]
    held_bare: list[PortraitFile]
    held_made_up: list[PortraitFile]


def open_collection(folder: Path) -> Collection:
    """Detect the layout of a folder and list its faces.

    Raises:
        BadDataError: neither layout, or a layout without faces.
    """
    for root in (folder / "train", folder):
        if (root / "labels.json").is_file():
            return _faces_folder(root)
    if (folder / "segs").is_dir():
        return _mt(folder)
    raise BadDataError(
        f"{folder}: expected labels.json with images/ and masks/ (in it or in its train/), or the "
        "MT layout: images/, segs/ and landmarks/, each with makeup/ and non-makeup/"
    )


@dataclass(frozen=True)
class LabelledFace:
    """A face of the faces folder: `images/NAME.jpg`, `masks/NAME.png`, a row of labels.json."""

    name: str
    folder: Path
    landmarks: NDArray[np.float32]

    def load(self) -> Portrait:
        return load_portrait(
            self.name,
            self.folder / "images" / f"{self.name}.jpg",
            self.folder / "masks" / f"{self.name}.png",
            self.landmarks,
            "faces12",
        )


@dataclass(frozen=True)
class MTFace:
    """A face of the MT layout: the same relative name in `images/`, `segs/` and `landmarks/`.

    A landmark file is a pickled array of 68 points, y then x, in pixels of the picture, as PSGAN's
    tools write it. Only arrays are unpickled from it.
    """

    name: str
    folder: Path

    def load(self) -> Portrait:
        return load_portrait(
            self.name,
            self.folder / "images" / self.name,
            self.folder / "segs" / self.name,
            _pickled_landmarks(self.folder / "landmarks" / self.name),
            "mt",
        )


@dataclass(frozen=True)
class AttributeFace:
    """A CelebA picture and its chosen attributes (0 or 1 each)."""

    path: Path
    attributes: tuple[int, ...]

    def load(self, size: int) -> NDArray[np.uint8]:
        """The middle square, uint8 (size, size, 3) BGR, as StarGAN crops it (178 of 218 rows).

        Raises:
            BadDataError: a missing or corrupt picture.
        """
        picture = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if picture is None:
            raise BadDataError(f"{self.path}: missing or not a readable picture")
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = picture[top : top + side, left : left + side]
        return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def open_celeba(folder: Path, attributes: list[str]) -> list[AttributeFace]:
    """CelebA: `list_attr_celeba.txt` beside `img_align_celeba/`.

    Args:
        folder: contains both.
        attributes: column names, in the order of the label vector.

    Raises:
        BadDataError: a missing or malformed list, or an unknown column.
    """
    path = folder / "list_attr_celeba.txt"
    if not path.is_file():
        raise BadDataError(f"{path}: no such file, expected CelebA's attribute list")
    lines = path.read_text().splitlines()
    columns = lines[1].split() if len(lines) > 1 else []
    unknown = [name for name in attributes if name not in columns]
    if unknown:
        raise BadDataError(
            f"{path}: no column {', '.join(unknown)}; it has {', '.join(columns) or 'none'}"
        )
    chosen = [columns.index(name) for name in attributes]
    faces = []
    for number, line in enumerate(lines[2:], start=3):
        name, *values = line.split() or [""]
        if len(values) != len(columns) or not set(values) <= {"1", "-1"}:
            raise BadDataError(
                f"{path}, line {number}: expected a file name and {len(columns)} values 1 or -1"
            )
        bits = tuple(int(values[column] == "1") for column in chosen)
        faces.append(AttributeFace(folder / "img_align_celeba" / name, bits))
    if not faces:
        raise BadDataError(f"{path}: lists no pictures")
    return faces


def _faces_folder(folder: Path) -> Collection:
    path = folder / "labels.json"
    try:
        labels = json.loads(path.read_text())
    except ValueError as error:
        raise BadDataError(f"{path}: not JSON: {error}") from error
    if not isinstance(labels, dict) or not labels:
        raise BadDataError(f"{path}: lists no faces, expected an object with a row for each face")
    lists: dict[tuple[bool, bool], list[PortraitFile]] = {
        (made_up, held): [] for made_up in (False, True) for held in (False, True)
    }
    for name, label in labels.items():
        if not isinstance(label, dict) or "landmarks68" not in label:
            raise BadDataError(f"{path}: {name} has no landmarks68")
        face = LabelledFace(name, folder, np.array(label["landmarks68"], np.float32))
        lists["akeup" in name, held_back(name)].append(face)
    # the few portraits with strong makeup have no bare counterparts: the renderer paints instead
    return Collection(lists[False, False], [], lists[False, True], [])


def _mt(folder: Path) -> Collection:
    lists: dict[str, tuple[list[PortraitFile], list[PortraitFile]]] = {}
    for domain in ("makeup", "non-makeup"):
        names = _listed(folder, domain, (f"{domain}.txt", f"{domain}_train.txt"))
        held = _listed(folder, domain, (f"{domain}_test.txt",))
        if names is None:
            images = folder / "images" / domain
            names = sorted(
                f"{domain}/{p.name}" for p in images.glob("*") if p.suffix.lower() in PICTURES
            )
        if held is None:
            held = [name for name in names if held_back(name)]
        if not names:
            raise BadDataError(f"{folder / 'images' / domain}: no pictures (jpg, png) in it")
        kept = [MTFace(name, folder) for name in names if name not in set(held)]
        lists[domain] = (list(kept), [MTFace(name, folder) for name in held])
    return Collection(
        lists["non-makeup"][0], lists["makeup"][0], lists["non-makeup"][1], lists["makeup"][1]
    )


def _listed(folder: Path, domain: str, files: tuple[str, ...]) -> list[str] | None:
    """Names in the first list file that exists, relative to images/."""
    for file in files:
        path = folder / file
        if path.is_file():
            names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
            return [name if "/" in name else f"{domain}/{name}" for name in names]
    return None


def _pickled_landmarks(path: Path) -> NDArray[np.float32]:
    if not path.is_file():
        raise BadDataError(f"{path}: no such file, expected the landmarks of a face")
    try:
        points = np.asarray(_ArrayUnpickler(io.BytesIO(path.read_bytes())).load(), np.float32)
        return np.ascontiguousarray(points[:, ::-1])
    except Exception as error:  # the reader raises almost any class on damaged pickles
        raise BadDataError(
            f"{path}: not a pickled array of landmarks: {type(error).__name__}: {error}"
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles only NumPy arrays, so that an untrusted file cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        arrays = {"numpy.core.multiarray", "numpy._core.multiarray", "numpy", "_codecs"}
        if module in arrays and name in {"_reconstruct", "ndarray", "dtype", "scalar", "encode"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a landmark file")
