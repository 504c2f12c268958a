"""Paint a described makeup onto a photo of a face, and make training triples from it.

Uses the SDK's cosmetics (`makeup_sdk.cosmetics`), with random hand tremor.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region, crop_face, crop_matrix
from makeup_kernels.errors import InvalidInputError
from makeup_sdk.cosmetics.paint import paint
from makeup_sdk.cosmetics.textures import Hand
from makeup_sdk.cosmetics.view import FaceView, face_outline
from makeup_sdk.faces.types import FaceAnalysis
from makeup_training.cosmetics.makeup import Makeup
from makeup_training.cosmetics.styles import random_makeup
from makeup_training.faces.regions import region_map

_EVERYWHERE = dict.fromkeys((Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS), 1.0)
_SKIN, _BROW, _EYE, _LIP, _MOUTH = 1, 2, 4, 7, 8
"""Classes of the 12-class face parse."""
_BROWS = ((17, 22), (22, 27))
_KEEP_CLEAR = (0, 10, 11)
"""Classes that are never painted: background, hair and beard, rest of the person."""


def render(
    image: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    makeup: Makeup,
    rng: np.random.Generator,
    parse: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Paint a makeup onto a face.

    Args:
        image: uint8 (H, W, 3), sRGB, BGR order; not modified.
        landmarks: float (68, 2), iBUG order, x then y, pixels of `image`.
        makeup: the makeup to paint.
        rng: hand tremor, powder grain, glitter; the same state gives the same picture.
        parse: uint8 (H, W), 12-class face parse (0 background, 1 skin, 2/3 brows, 4/5 eyes, 6 nose,
            7 upper lip, 8 mouth inside, 9 lower lip, 10 hair, 11 rest of the person). Keeps paint
            off hair and teeth; without it only the landmarks decide.

    Returns:
        uint8 (H, W, 3). Pixels outside the face outline are unchanged.

    Raises:
        InvalidInputError: wrong shapes or dtypes, landmarks outside the image or degenerate.
    """
    _check_pictures(image, parse)
    points = check_landmarks(landmarks, image.shape)
    matrix = crop_matrix(points.astype(np.float32))
    there = points @ matrix[:, :2].T + matrix[:, 2]
    if parse is None:
        classes = _drawn_classes(there)
    else:
        size = (CROP_SIZE, CROP_SIZE)
        classes = np.asarray(cv2.warpAffine(parse, matrix, size, flags=cv2.INTER_NEAREST), np.uint8)
    face = FaceAnalysis(
        points.astype(np.float32),
        1.0,
        matrix,
        crop_face(image, matrix, CROP_SIZE),
        region_map(classes, there),
    )
    hand = Hand(int(rng.integers(2**31)), tremor=1.0)
    result = image.copy()
    for patch in paint(FaceView.of(face), makeup.products(), _EVERYWHERE, hand):
        patch.put(result, matrix, color="bgr", threads=1)
    if parse is not None:
        clear = np.isin(parse, _KEEP_CLEAR)
        result[clear] = image[clear]
    return result


def check_landmarks(landmarks: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Check landmarks and return them as float64 (68, 2).

    Raises:
        InvalidInputError: wrong shape, non-finite, degenerate, or no point inside the image.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    crop_matrix(points.astype(np.float32))  # checks shape, finiteness and degeneracy
    height, width = shape[:2]
    inside = (points >= 0).all(axis=1) & (points < (width, height)).all(axis=1)
    if not inside.any():
        raise InvalidInputError(
            f"landmarks: no point lies inside the image of {width}×{height} pixels; expected "
            "pixel positions x, y of this image"
        )
    return points


def _drawn_classes(points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """uint8 (256, 256): a face parse drawn from the landmarks only, crop pixels."""
    unit = float(np.hypot(*(points[45] - points[36])))
    classes = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    brows = [np.vstack([points[i:j], points[i:j][::-1] + (0, 0.06 * unit)]) for i, j in _BROWS]
    for outline, value in (
        (face_outline(points, unit), _SKIN),
        *((brow, _BROW) for brow in brows),
        (points[36:42], _EYE),
        (points[42:48], _EYE),
        (points[48:60], _LIP),
        (points[60:68], _MOUTH),
    ):
        polygon = np.round(np.clip(outline, -999, 999)).astype(np.int32)
        cv2.fillPoly(classes, [polygon], value)
    return classes


@dataclass(frozen=True)
class Triple:
    """A training example with exact ground truth, uint8 (H, W, 3) BGR each.

    Attributes:
        source: the bare source face.
        reference: another person with `makeup`.
        painted: the source with `makeup`: the ideal transfer from `reference`.
        makeup: the makeup.
    """

    source: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    painted: NDArray[np.uint8]
    makeup: Makeup


@dataclass(frozen=True)
class Face:
    """A photo with its labels: image uint8 (H, W, 3) BGR, landmarks (68, 2), parse (H, W) or
    None."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.floating]
    parse: NDArray[np.uint8] | None = None


def triple(
    rng: np.random.Generator, source: Face, reference: Face, makeup: Makeup | None = None
) -> Triple:
    """Put one makeup on two people.

    Args:
        rng: source of all randomness.
        source: the source face.
        reference: the reference face.
        makeup: the makeup; None: drawn by `random_makeup`.

    Returns:
        The bare source, the painted reference, and the source with the reference's makeup.
    """
    makeup = makeup or random_makeup(rng)
    hands = [np.random.default_rng(seed) for seed in rng.integers(0, 2**63, size=2)]
    painted, worn = (
        render(face.image, face.landmarks, makeup, hand, face.parse)
        for face, hand in zip((source, reference), hands, strict=True)
    )
    return Triple(source.image, worn, painted, makeup)


def _check_pictures(image: NDArray[np.uint8], parse: NDArray[np.uint8] | None) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise InvalidInputError(f"image: got {kind}, expected uint8 (H, W, 3) in BGR order")
    if image.shape[2] != 3:
        raise InvalidInputError(
            f"image: got {image.shape[2]} channels, expected 3 in BGR order; "
            "cv2.imread(path, cv2.IMREAD_COLOR) gives them"
        )
    if parse is not None and (parse.dtype != np.uint8 or parse.shape != image.shape[:2]):
        raise InvalidInputError(
            f"parse: got {parse.dtype} {parse.shape}, expected uint8 {image.shape[:2]}, one class "
            "per pixel of the image"
        )
