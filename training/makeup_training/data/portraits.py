"""Load and check one labelled face; frame and augment it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region, crop_face, crop_matrix
from makeup_kernels.errors import InvalidInputError, MakeupError
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_training.data.parsing_classes import mirrored_classes, to_mt
from makeup_training.faces.regions import MASK_BROWS, region_map
from makeup_training.networks.inputs import psgan_regions

PSGAN_SIDE = 256
"""Side of the crop on which PSGAN's eye rectangles are defined."""

REACH = 0.05
"""How far outside the picture a landmark may lie, as a fraction of the side, so that faces with a
cut-off chin are kept."""


class BadDataError(MakeupError):
    """A file of a data set is missing, unreadable or does not fit the others."""


@dataclass(frozen=True)
class Portrait:
    """A face with its labels.

    Attributes:
        name: for messages and sheets.
        image: uint8 (H, W, 3), BGR.
        landmarks: float32 (68, 2), iBUG order, x then y, pixels of `image`.
        parsing: uint8 (H, W), MT classes.
    """

    name: str
    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    parsing: NDArray[np.uint8]


class PortraitFile(Protocol):
    """A face of a data set, not read yet."""

    @property
    def name(self) -> str:
        """Unique in its data set."""

    def load(self) -> Portrait:
        """Read the face, or raise `BadDataError` with the file's name."""


def load_portrait(
    name: str, image_path: Path, mask_path: Path, landmarks: NDArray[np.floating], numbering: str
) -> Portrait:
    """Read one face and check that its parts fit.

    Args:
        name: name of the face.
        image_path: any picture OpenCV reads.
        mask_path: single-channel class ids, same size as the picture.
        landmarks: (68, 2), x then y, pixels of the picture.
        numbering: class numbering of the mask, a key of `parsing_classes.TO_MT`.

    Raises:
        BadDataError: a missing or corrupt file, sizes that differ, unknown classes, or landmarks
            that are not 68 points in (or just beyond) the picture.
    """
    image = _read(image_path, cv2.IMREAD_COLOR, "picture")
    mask = _read(mask_path, cv2.IMREAD_GRAYSCALE, "mask")
    if mask.shape != image.shape[:2]:
        raise BadDataError(
            f"{mask_path}: the mask is {mask.shape[1]}×{mask.shape[0]}, expected the size of its "
            f"picture, {image.shape[1]}×{image.shape[0]}"
        )
    try:
        parsing = to_mt(mask, numbering)
    except InvalidInputError as error:
        raise BadDataError(f"{mask_path}: {error}") from error
    points = np.asarray(landmarks, np.float32)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise BadDataError(
            f"{image_path}: landmarks of shape {points.shape}, expected 68 finite points (68, 2)"
        )
    size = np.array([image.shape[1], image.shape[0]])
    if (points < -REACH * size).any() or (points > (1 + REACH) * size).any():
        raise BadDataError(
            f"{image_path}: landmarks lie outside the picture "
            f"({image.shape[1]}×{image.shape[0]}): x {points[:, 0].min():.0f} to "
            f"{points[:, 0].max():.0f}, y {points[:, 1].min():.0f} to {points[:, 1].max():.0f}"
        )
    try:
        crop_matrix(points)
    except InvalidInputError as error:
        raise BadDataError(f"{image_path}: {error}") from error
    return Portrait(name, image, points, parsing)


def usable(
    files: Sequence[PortraitFile], *, skip_bad: bool, advance: Callable[[], None]
) -> tuple[list[PortraitFile], list[str]]:
    """Read every face once to find the usable ones.

    Args:
        files: the faces.
        skip_bad: leave bad ones out instead of stopping at the first.
        advance: called after each face, for a progress bar.

    Returns:
        the usable faces, and one message for each that was left out.

    Raises:
        BadDataError: a bad face without `skip_bad`.
    """
    good: list[PortraitFile] = []
    problems: list[str] = []
    for file in files:
        try:
            file.load()
        except BadDataError as error:
            if not skip_bad:
                raise BadDataError(
                    f"{error}; mend it, or leave bad faces out with --skip-bad"
                ) from (error)
            problems.append(str(error))
        else:
            good.append(file)
        advance()
    return good, problems


def framed(portrait: Portrait, size: int, rng: np.random.Generator | None) -> Portrait:
    """The aligned square crop that every network reads, augmented with `rng`.

    One resampling: the similarity to the mean face, then (with `rng`) a rotation of up to 10°, a
    scale of ±6 %, a shift of ±3 %, mirroring, and a change of exposure, contrast and colour.

    Args:
        portrait: the face as read.
        size: side of the crop in pixels.
        rng: draws the augmentation; None: no augmentation.
    """
    matrix = crop_matrix(portrait.landmarks, size)
    mirror = False
    if rng is not None:
        turn = cv2.getRotationMatrix2D(
            (size / 2, size / 2), rng.uniform(-10, 10), rng.uniform(0.94, 1.06)
        )
        turn[:, 2] += rng.uniform(-0.03, 0.03, 2) * size
        matrix = turn @ np.vstack([matrix, [0, 0, 1]])
        mirror = bool(rng.random() < 0.5)
    image = crop_face(portrait.image, matrix, size)
    parsing = cv2.warpAffine(portrait.parsing, matrix, (size, size), flags=cv2.INTER_NEAREST)
    landmarks = portrait.landmarks @ matrix[:, :2].T + matrix[:, 2]
    crop = Portrait(
        portrait.name, image, landmarks.astype(np.float32), np.asarray(parsing, np.uint8)
    )
    if rng is None:
        return crop
    crop = replace(crop, image=_relit(crop.image, rng))
    return mirrored(crop) if mirror else crop


def mirrored(portrait: Portrait) -> Portrait:
    """The mirrored face; points and classes are renamed, so that left stays left."""
    landmarks = portrait.landmarks[MIRRORED_POINTS].copy()
    landmarks[:, 0] = portrait.image.shape[1] - 1 - landmarks[:, 0]
    return Portrait(
        portrait.name,
        np.ascontiguousarray(portrait.image[:, ::-1]),
        landmarks,
        mirrored_classes(portrait.parsing),
    )


def regions_of(portrait: Portrait, rule: str) -> NDArray[np.uint8]:
    """Region ids (`makeup_kernels.Region`) of a square portrait, uint8 (S, S).

    Args:
        portrait: an aligned crop.
        rule: `sdk`: the SDK's map, with brows and an eye-shadow area drawn from the landmarks;
            `psgan`: the published map, with rectangles around the eyes; `psgan+brows`: the same
            with the brows as a fourth region.
    """
    if rule == "sdk":
        return region_map(portrait.parsing, portrait.landmarks)
    side = portrait.parsing.shape[0]
    large = cv2.resize(
        portrait.parsing, (PSGAN_SIDE, PSGAN_SIDE), interpolation=cv2.INTER_NEAREST_EXACT
    )
    regions = psgan_regions(large, portrait.landmarks * (PSGAN_SIDE / side))
    if rule == "psgan+brows":
        regions[np.isin(large, MASK_BROWS)] = Region.BROWS
    small = cv2.resize(regions, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(small, np.uint8)


def _relit(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    values = image.astype(np.float32) / 255
    values **= rng.uniform(0.8, 1.25)
    values *= rng.uniform(0.94, 1.06, 3)
    values = 0.5 + (values - 0.5) * rng.uniform(0.9, 1.1)
    return np.clip(np.round(values * 255), 0, 255).astype(np.uint8)


def _read(path: Path, flags: int, what: str) -> NDArray[np.uint8]:
    if not path.is_file():
        raise BadDataError(f"{path}: no such file, expected the {what} of a face")
    picture = cv2.imread(str(path), flags)
    if picture is None:
        raise BadDataError(f"{path}: not a readable {what}, expected a PNG or JPEG file")
    return np.asarray(picture, np.uint8)
