"""Training labels of heads: background, face, hair and the rest of the person.

Hair comes from the masks of the training portraits, which show little more than the face. Whole
pictures of the same people (`detect/`) show the rest; what lies beyond the portrait is labelled by
the segmentation networks in `teachers/`, where they are sure.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import crop_face
from makeup_kernels.head import HEAD_SIZE, head_matrix
from makeup_kernels.types import FloatArray
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_training.data.portraits import BadDataError
from makeup_training.systems.faces import Photo, read_mask

BACKGROUND, FACE, HAIR, REST = range(4)
UNKNOWN = 255
"""Pixels that count for nothing: beyond the picture, or not surely of one class."""

_OF_MASK = np.array([BACKGROUND, *[FACE] * 9, HAIR, REST], np.uint8)
_JAW, _CHIN, _BELOW_NOSE = slice(2, 15), slice(6, 11), 33
_BEARD = 0.3
"""Fraction of hair on the chin from which hair on the lower face is a beard, which is face."""
_LEAST_BEYOND = 0.08
"""Fraction of the crop that a whole picture must show beyond the portrait, to be used."""
_ABOVE_CHIN, _BEYOND_EARS = 74, 22
"""Row of the crop above which, and columns from its middle beyond which, masks often take hair for
the rest of the person; it counts for nothing."""
_BESIDE_HEAD = np.zeros((HEAD_SIZE, HEAD_SIZE), np.bool_)
_BESIDE_HEAD[:_ABOVE_CHIN, : HEAD_SIZE // 2 - _BEYOND_EARS] = True
_BESIDE_HEAD[:_ABOVE_CHIN, HEAD_SIZE // 2 + _BEYOND_EARS + 1 :] = True
_ALIKE = 20.0
"""Maximum mean difference, in levels, of a portrait from the same head in its whole picture."""
_HAIR_SURE, _HAIR_NOT, _PERSON_SURE, _PERSON_NOT = 0.6, 0.15, 0.9, 0.1
_TEACHER_SIDE, _PERSON_SIDE = 512, 256


class HeadLabels:
    """Makes the rows of heads.

    Args:
        data: the faces folder; `detect/` and `teachers/` may be missing.
        analyzer: finds the faces.
    """

    def __init__(self, data: Path, analyzer: BundledFaceAnalyzer) -> None:
        self._whole, self._analyzer = data / "detect" / "images", analyzer
        files = [data / "teachers" / f"{name}_segmentation.tflite" for name in ("hair", "selfie")]
        self._teachers = (
            [cv2.dnn.readNetFromTFLite(str(path)) for path in files]
            if all(path.is_file() for path in files)
            else None
        )

    def row(self, photo: Photo, face: FaceAnalysis) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A head and its label.

        Args:
            photo: a portrait that has a mask.
            face: its face.

        Returns:
            uint8 (128, 128, 3), BGR; uint8 (128, 128), index into `HEAD_CLASSES` or `UNKNOWN`.

        Raises:
            BadDataError: a missing or damaged file.
        """
        assert photo.mask is not None
        mask = _bearded_face(_OF_MASK[np.minimum(read_mask(photo.mask), 11)], face)
        matrix = head_matrix(face.matrix)
        label = _warped(mask, matrix)
        label[(label == REST) & _BESIDE_HEAD] = UNKNOWN
        image = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
        if image is None:
            raise BadDataError(f"{photo.path}: missing or not a readable picture")
        crop = crop_face(np.asarray(image, np.uint8), matrix, HEAD_SIZE)
        wide = self._wide(photo, crop, label != UNKNOWN)
        if wide is None:
            return crop, label
        crop, beyond = wide
        beyond[(beyond == REST) & _BESIDE_HEAD] = UNKNOWN
        return crop, np.where(label == UNKNOWN, beyond, label).astype(np.uint8)

    def _wide(
        self, photo: Photo, portrait: NDArray[np.uint8], known: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        """The head in the whole picture and its teachers' label; None if there is no such picture.

        Args:
            photo: the portrait.
            portrait: uint8 (128, 128, 3), its head.
            known: bool (128, 128): what of the head it shows.
        """
        path = self._whole / photo.path.name
        if self._teachers is None or not path.is_file():
            return None
        image = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)
        found = self._analyzer.detect(image, 1)
        if not found:
            return None
        face = self._analyzer.analyze(image, found[0])
        inside = _warped(np.zeros(image.shape[:2], np.uint8), head_matrix(face.matrix)) == 0
        crop = crop_face(image, head_matrix(face.matrix), HEAD_SIZE)
        if (inside & ~known).mean() < _LEAST_BEYOND:
            return None
        if np.abs(crop[known].astype(np.float32) - portrait[known]).mean() > _ALIKE:
            return None
        large = crop_face(image, head_matrix(face.matrix, _TEACHER_SIDE), _TEACHER_SIDE)
        hair, person = self._taught(large)
        label = np.full(inside.shape, UNKNOWN, np.uint8)
        label[person < _PERSON_NOT] = BACKGROUND
        label[(person > _PERSON_SURE) & (hair < _HAIR_NOT)] = REST
        label[(person > 0.5) & (hair > _HAIR_SURE)] = HAIR
        label[~inside] = UNKNOWN
        return crop, label

    def _taught(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        """Probabilities (128, 128) of hair and of a person, from a head (512, 512, 3)."""
        assert self._teachers is not None
        rgb = image[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
        before = np.zeros((1, 1, _TEACHER_SIDE, _TEACHER_SIDE), np.float32)
        small = cv2.resize(image, (_PERSON_SIDE, _PERSON_SIDE), interpolation=cv2.INTER_AREA)
        inputs = (np.concatenate([rgb, before], axis=1), cv2.dnn.blobFromImage(
            small, 1 / 255, swapRB=True
        ))  # fmt: skip
        hair, person = (
            _run(teacher, blob) for teacher, blob in zip(self._teachers, inputs, strict=True)
        )
        of_hair = 1 / (1 + np.exp(hair[0] - hair[1]))
        return _shrunk(of_hair), _shrunk(person[0])


def _run(network: cv2.dnn.Net, blob: FloatArray) -> FloatArray:
    network.setInput(np.ascontiguousarray(blob))
    return np.asarray(network.forward()[0], np.float32)


def _shrunk(plane: FloatArray) -> FloatArray:
    side = (HEAD_SIZE, HEAD_SIZE)
    return np.asarray(cv2.resize(plane, side, interpolation=cv2.INTER_AREA), np.float32)


def _warped(mask: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A mask (H, W) on the head's crop, unknown beyond the picture."""
    side = (HEAD_SIZE, HEAD_SIZE)
    return np.asarray(
        cv2.warpAffine(mask, matrix, side, flags=cv2.INTER_NEAREST, borderValue=UNKNOWN), np.uint8
    )


def _bearded_face(label: NDArray[np.uint8], face: FaceAnalysis) -> NDArray[np.uint8]:
    """A label (H, W) in which a beard is part of the face."""
    points = face.landmarks

    def filled(outline: FloatArray) -> NDArray[np.bool_]:
        mask = np.zeros(label.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
        return mask > 0

    chin = filled(np.concatenate([points[_CHIN], points[[54, 57, 48]]]))
    if not chin.any() or (label[chin] == HAIR).mean() < _BEARD:
        return label
    down = points[8] - points[_BELOW_NOSE]
    lower = np.concatenate([points[[2]], points[_JAW] + 0.45 * down, points[[14, _BELOW_NOSE]]])
    return np.where(filled(lower) & (label == HAIR), FACE, label).astype(np.uint8)
