"""Labels of heads: from a portrait's mask, and from teachers where a whole picture shows more."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from makeup_kernels.head import HEAD_SIZE, head_matrix
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_training.data.portraits import BadDataError
from makeup_training.systems.faces import Photo, photos
from makeup_training.systems.heads import BACKGROUND, FACE, HAIR, REST, UNKNOWN, HeadLabels

FACES = os.environ.get("MAKEUP_FACES", "")


@pytest.fixture(scope="module")
def analyzer() -> BundledFaceAnalyzer:
    return BundledFaceAnalyzer(threads=1)


@pytest.fixture
def portrait(faces_folder: Path, analyzer: BundledFaceAnalyzer) -> tuple[Photo, FaceAnalysis]:
    path = faces_folder / "train" / "images" / "light.jpg"
    image = cv2.imread(str(path))
    return Photo(path, None, False, False), analyzer.analyze(image, analyzer.detect(image, 1)[0])


def row_of(
    portrait: tuple[Photo, FaceAnalysis], mask: np.ndarray, folder: Path, labels: HeadLabels
) -> tuple[np.ndarray, np.ndarray]:
    photo, face = portrait
    path = folder / "mask.png"
    cv2.imwrite(str(path), mask)
    return labels.row(Photo(photo.path, path, False, False), face)


def test_the_label_is_the_mask_and_unknown_beyond_the_photo(
    portrait: tuple[Photo, FaceAnalysis],
    faces_folder: Path,
    tmp_path: Path,
    analyzer: BundledFaceAnalyzer,
) -> None:
    height, width = cv2.imread(str(portrait[0].path)).shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 6  # a nose is face
    mask[: height // 4] = 10
    mask[-height // 8 :] = 11
    image, label = row_of(portrait, mask, tmp_path, HeadLabels(faces_folder, analyzer))
    assert image.shape == (HEAD_SIZE, HEAD_SIZE, 3)
    assert set(np.unique(label)) == {BACKGROUND, FACE, HAIR, REST, UNKNOWN}
    matrix = head_matrix(portrait[1].matrix)
    for (x, y), expected in (
        ((0.25, 0.5), FACE),
        ((0.75, 0.5), BACKGROUND),
        ((0.6, 0.1), HAIR),
        ((0.5, 0.97), REST),
        ((-0.2, 0.5), UNKNOWN),
    ):
        column, row = np.rint(matrix @ (x * width, y * height, 1)).astype(int)
        assert label[row, column] == expected


def test_a_beard_is_face_and_bangs_are_hair(
    portrait: tuple[Photo, FaceAnalysis],
    faces_folder: Path,
    tmp_path: Path,
    analyzer: BundledFaceAnalyzer,
) -> None:
    """Without hair on the chin, strands beside the mouth stay hair."""
    points = portrait[1].landmarks
    mask = np.ones(cv2.imread(str(portrait[0].path)).shape[:2], np.uint8)
    mask[: int(points[19, 1])] = 10
    labels = HeadLabels(faces_folder, analyzer)
    matrix = head_matrix(portrait[1].matrix)
    cheek = np.rint(matrix @ (*(points[4] * 0.7 + points[48] * 0.3), 1)).astype(int)
    strand = mask.copy()
    strand[int(points[33, 1]) : int(points[5, 1]), : int(points[48, 0])] = 10
    bearded = mask.copy()
    bearded[int(points[33, 1]) :] = 10
    forehead = np.rint(matrix @ (points[27, 0], points[19, 1] - 30, 1)).astype(int)
    for drawn, expected in ((strand, HAIR), (bearded, FACE)):
        _, label = row_of(portrait, drawn, tmp_path, labels)
        assert label[cheek[1], cheek[0]] == expected
        assert label[forehead[1], forehead[0]] == HAIR


def test_a_missing_picture_is_named(
    portrait: tuple[Photo, FaceAnalysis],
    faces_folder: Path,
    tmp_path: Path,
    analyzer: BundledFaceAnalyzer,
) -> None:
    gone = Photo(tmp_path / "gone.jpg", tmp_path / "mask.png", False, False)
    cv2.imwrite(str(gone.mask), np.ones((90, 90), np.uint8))
    with pytest.raises(BadDataError, match=r"gone\.jpg: missing or not a readable picture"):
        HeadLabels(faces_folder, analyzer).row(gone, portrait[1])


@pytest.mark.skipif(not FACES, reason="MAKEUP_FACES names no faces folder")
def test_whole_pictures_show_more(analyzer: BundledFaceAnalyzer) -> None:
    data = Path(FACES)
    photo = next(
        one
        for one in photos(data)
        if one.mask is not None and (data / "detect" / "images" / one.path.name).is_file()
    )
    image = cv2.imread(str(photo.path))
    face = analyzer.analyze(image, analyzer.detect(image, 1)[0])
    labels = HeadLabels(data, analyzer)
    _, wide = labels.row(photo, face)
    assert photo.mask is not None
    mask = cv2.imread(str(photo.mask), cv2.IMREAD_GRAYSCALE)
    side = (HEAD_SIZE, HEAD_SIZE)
    shown = cv2.warpAffine(np.ones_like(mask), head_matrix(face.matrix), side) > 0
    assert (wide[~shown] != UNKNOWN).mean() > 0.2
    assert (wide[shown] != UNKNOWN).mean() > 0.9
