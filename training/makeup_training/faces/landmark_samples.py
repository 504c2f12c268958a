"""Training samples of the landmark and region net: jittered crops, occluded and relit."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region, crop_matrix
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_training.faces.data import FacePicture
from makeup_training.faces.light import relight
from makeup_training.faces.occluders import OCCLUDERS, occlude

IGNORED = 255

ROUGH_SHARE = 0.3
"""Fraction of faces framed as roughly as by a detector's box; the rest as in tracking."""


@dataclass(frozen=True)
class CropSample:
    """image uint8 (S, S, 3) BGR; landmarks float32 (68, 2) as fractions of S; regions uint8 (S, S),
    255 = not labelled; is_face 1, 0 or -1 (no confidence label)."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    regions: NDArray[np.uint8]
    is_face: int


def face_sample(
    pictures: list[FacePicture], index: int, size: int, rng: np.random.Generator
) -> CropSample:
    """A crop of one face, mirrored or not, jittered, occluded, relit."""
    picture = pictures[index] if rng.random() < 0.5 else mirrored(pictures[index])
    rough = rng.random() < ROUGH_SHARE
    homography = _jittered(picture.landmarks, size, rng, rough=rough)
    return _crop_sample(picture, pictures, homography, size, rng)


def face_pair(
    pair: tuple[FacePicture, FacePicture],
    pictures: list[FacePicture],
    size: int,
    rng: np.random.Generator,
) -> tuple[CropSample, CropSample]:
    """One face twice: nearly the same framing, different light and noise.

    Args:
        pair: the same picture in different makeup, or bare: both have the same labels.
        pictures: sources of backgrounds and textures.
        size: side of the crops.
        rng: source of all randomness.
    """
    if rng.random() < 0.5:
        pair = mirrored(pair[0]), mirrored(pair[1])
    rough = rng.random() < ROUGH_SHARE
    homography = _jittered(pair[0].landmarks, size, rng, rough=rough)
    seed = int(rng.integers(2**63))
    first, second = (
        _crop_sample(
            picture,
            pictures,
            _nudge(size, rng) @ homography,
            size,
            np.random.default_rng(seed),
            relighting=rng,
        )
        for picture in pair
    )
    return first, second


def _crop_sample(
    picture: FacePicture,
    pictures: list[FacePicture],
    homography: NDArray[np.float64],
    size: int,
    rng: np.random.Generator,
    relighting: np.random.Generator | None = None,
) -> CropSample:
    """The crop, perhaps with another background, perhaps occluded, relit."""
    image = cv2.warpPerspective(
        picture.image, homography, (size, size), flags=cv2.INTER_LINEAR, borderMode=_border(rng)
    )
    landmarks = _project(picture.landmarks, homography)
    regions = _regions(picture, homography, size)
    if picture.regions is not None and rng.random() < 0.2:
        _swap_background(image, regions, pictures, rng)
    covered = np.zeros((size, size), bool)
    if rng.random() < 0.5:
        for _ in range(1 if rng.random() < 0.75 else 2):
            texture = pictures[rng.integers(len(pictures))].image
            kind = str(rng.choice(list(OCCLUDERS), p=_KIND_SHARES))
            covered |= occlude(image, landmarks, rng, texture, kind)
    regions[covered] = 0
    hull = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.round(landmarks).astype(np.int32)), 1)
    face = hull > 0
    hidden = float(covered[face].mean()) if face.any() else 1.0
    image = relight(image, relighting or rng)
    is_face = 0 if hidden > 0.75 else (-1 if hidden > 0.6 else 1)
    fractions = ((landmarks + 0.5) / size).astype(np.float32)
    return CropSample(image, fractions, regions, is_face)


_KIND_SHARES = np.array([0.22, 0.12, 0.2, 0.12, 0.16, 0.06, 0.12])


def faceless_sample(pictures: list[FacePicture], size: int, rng: np.random.Generator) -> CropSample:
    """A crop without a usable face: background, clothes, or a face far off centre."""
    picture = pictures[rng.integers(len(pictures))]
    centre = picture.landmarks.mean(axis=0)
    extent = float(np.ptp(picture.landmarks, axis=0).max())
    height, width = picture.image.shape[:2]
    for _ in range(20):
        side = extent * np.exp(rng.uniform(np.log(0.25), np.log(3.0)))
        middle = rng.uniform((0, 0), (width, height))
        apart = float(np.abs(middle - centre).max())
        if apart > 0.5 * side + 0.35 * extent or side < 0.45 * extent:
            break
        if side > 2.6 * extent and apart > 0.25 * side:
            break
    else:
        side, middle = 0.3 * extent, centre
    scale = size / side
    angle = rng.uniform(-0.6, 0.6)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    shift = size / 2 - linear @ middle
    image = cv2.warpAffine(
        picture.image, np.hstack([linear, shift[:, None]]), (size, size), borderMode=_border(rng)
    )
    if rng.random() < 0.2:
        template = rng.uniform(0.3, 0.7, 2) * size + (picture.landmarks - centre) * (
            size / extent / 2
        )
        occlude(image, template, rng, None, "hand")
    if rng.random() < 0.05:
        image[:] = rng.integers(0, 256, 3)
    blank = np.zeros((size, size), np.uint8)
    return CropSample(relight(image, rng), np.zeros((68, 2), np.float32), blank, 0)


def mirrored(picture: FacePicture) -> FacePicture:
    """The picture flipped left to right.

    The labels measure x from the picture's edge (the first pixel's centre is 0.5), so a point at x
    moves to width - x. All other code here treats them as pixel indices, where this is one labelled
    pixel more than a plain flip, for points and masks alike.
    """
    width = picture.image.shape[1]
    landmarks = picture.landmarks[MIRRORED_POINTS].copy()
    landmarks[:, 0] = width - 1 - landmarks[:, 0] + 1 / picture.region_scale
    regions = None if picture.regions is None else np.roll(picture.regions[:, ::-1], 1, axis=1)
    image = np.ascontiguousarray(picture.image[:, ::-1])
    return replace(picture, image=image, landmarks=landmarks, regions=regions)


def _jittered(
    landmarks: NDArray[np.float32], size: int, rng: np.random.Generator, *, rough: bool
) -> NDArray[np.float64]:
    """3x3: picture to crop; the aligned framing with random scale, rotation, shift, perspective."""
    if rough:
        scale, angle = np.exp(rng.uniform(-0.28, 0.25)), np.deg2rad(rng.uniform(-40, 40))
        shift = rng.uniform(-0.13, 0.13, 2) * size
    else:
        scale, angle = np.exp(rng.normal(0, 0.05)), np.deg2rad(rng.normal(0, 4))
        shift = rng.normal(0, 0.03, 2) * size
    aligned = np.vstack([crop_matrix(landmarks, size), [0, 0, 1]])
    jitter = _similarity(size, scale, angle, shift, stretch=np.exp(rng.normal(0, 0.04)))
    if rng.random() < 0.4:
        middle = size / 2
        tilt = np.eye(3)
        tilt[2, :2] = rng.uniform(-0.22, 0.22, 2) / size
        centred = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]], np.float64)
        jitter = np.linalg.inv(centred) @ tilt @ centred @ jitter
    return np.asarray(jitter @ aligned)


def _nudge(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """3x3: difference in framing between successive pictures of a face."""
    scale, angle = np.exp(rng.normal(0, 0.015)), np.deg2rad(rng.normal(0, 1.0))
    return _similarity(size, scale, angle, rng.normal(0, 0.01, 2) * size)


def _similarity(
    size: int, scale: float, angle: float, shift: NDArray[np.float64], stretch: float = 1.0
) -> NDArray[np.float64]:
    """3x3: scaling and rotation about the crop's centre, then a shift."""
    middle = size / 2
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array(
        [[cos * stretch, -sin / stretch, 0], [sin * stretch, cos / stretch, 0], [0, 0, 1]]
    )
    matrix[:2, 2] = middle + shift - matrix[:2, :2] @ [middle, middle]
    return matrix


def without_doubtful_labels(
    picture: FacePicture, logits: NDArray[np.float32], size: int
) -> FacePicture:
    """The picture with labels that a half-trained network rejects set to 255 (ignored).

    The masks label hats and glasses as skin, eye shadow or brow. A network trained on painted
    occluders says "none" there. Only patches are ignored, not outlines.

    Args:
        picture: a picture with regions.
        logits: float (5, size, size), the network's output for `aligned_sample(picture, size)`.
        size: side of that sample.
    """
    assert picture.regions is not None
    best = logits.argmax(axis=0)
    sure = logits[0] - logits[1:].max(axis=0) > 0.4
    known = aligned_sample(picture, size).regions
    doubt = ((best == 0) & sure & (known > Region.LIPS)).astype(np.uint8)
    doubt = cv2.morphologyEx(doubt, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    doubt = cv2.dilate(doubt, np.ones((3, 3), np.uint8))
    scale = picture.region_scale
    shift = 0.5 / scale - 0.5
    to_image = np.array([[1 / scale, 0, shift], [0, 1 / scale, shift], [0, 0, 1]])
    to_crop = (np.vstack([crop_matrix(picture.landmarks, size), [0, 0, 1]]) @ to_image)[:2]
    height, width = picture.regions.shape
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    hidden = cv2.warpAffine(doubt, to_crop, (width, height), flags=flags) > 0
    regions = np.where(hidden & (picture.regions > Region.LIPS), IGNORED, picture.regions)
    return replace(picture, regions=regions.astype(np.uint8))


def _project(points: NDArray[np.float32], homography: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous = np.hstack([points, np.ones((len(points), 1))]) @ homography.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def _regions(picture: FacePicture, homography: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    if picture.regions is None:
        return np.full((size, size), IGNORED, np.uint8)
    scale = picture.region_scale
    shift = 0.5 / scale - 0.5
    to_image = np.array([[1 / scale, 0, shift], [0, 1 / scale, shift], [0, 0, 1]])
    return np.asarray(
        cv2.warpPerspective(
            picture.regions, homography @ to_image, (size, size), flags=cv2.INTER_NEAREST
        ),
        np.uint8,
    )


def _swap_background(
    image: NDArray[np.uint8],
    regions: NDArray[np.uint8],
    pictures: list[FacePicture],
    rng: np.random.Generator,
) -> None:
    """Put another picture behind the face (and a margin that keeps hair, eyes and mouth)."""
    keep = cv2.morphologyEx(
        (regions > 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8)
    )
    keep = cv2.dilate(keep, np.ones((9, 9), np.uint8)).astype(np.float32)
    keep = cv2.blur(keep, (7, 7))[..., None]
    other = cv2.resize(pictures[rng.integers(len(pictures))].image, image.shape[1::-1])
    other = np.roll(other, int(rng.integers(0, image.shape[1])), axis=1)
    image[:] = other + (image.astype(np.float32) - other) * keep


def _border(rng: np.random.Generator) -> int:
    return int((cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT)[rng.integers(3)])


def aligned_sample(picture: FacePicture, size: int) -> CropSample:
    """The crop of one face as cut by the SDK during tracking, otherwise unchanged."""
    homography = np.vstack([crop_matrix(picture.landmarks, size), [0, 0, 1]])
    image = cv2.warpPerspective(picture.image, homography, (size, size), flags=cv2.INTER_LINEAR)
    landmarks = ((_project(picture.landmarks, homography) + 0.5) / size).astype(np.float32)
    return CropSample(image, landmarks, _regions(picture, homography, size), 1)
