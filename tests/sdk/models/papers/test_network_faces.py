"""Inputs of the published networks, and the area of their makeup."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import FaceAnalysis, Region
from makeup_sdk.faces.parsing import face_classes
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.papers.faces import NetworkFace, makeup_mask, planes


@pytest.fixture
def face(analysis: Callable[[str], FaceAnalysis]) -> FaceAnalysis:
    return analysis("medium.jpg")


def classes_of(face: NetworkFace) -> NDArray[np.uint8]:
    return face_classes(face.landmarks, face.regions)


def middle(classes: NDArray[np.uint8], value: int) -> NDArray[np.float64]:
    return np.argwhere(classes == value).mean(axis=0)


def test_parsing_has_every_part_in_its_place(face: FaceAnalysis) -> None:
    classes = classes_of(NetworkFace.of(face, 256))
    points = face.crop_landmarks[:, ::-1]
    for value, outline in ((4, range(36, 42)), (5, range(42, 48)), (2, range(17, 22))):
        np.testing.assert_allclose(middle(classes, value), points[list(outline)].mean(0), atol=6)
    np.testing.assert_allclose(middle(classes, 3), points[22:27].mean(0), atol=6)
    assert points[27, 0] < middle(classes, 6)[0] < points[33, 0]
    assert middle(classes, 7)[0] < points[[61, 62, 63]].mean(0)[0] < middle(classes, 9)[0]
    assert middle(classes, 10)[0] < points[17:27, 0].min()
    np.testing.assert_array_equal(np.isin(classes, (7, 9)), face.regions == Region.LIPS)
    skin = (face.regions == Region.SKIN) | (face.regions == Region.EYES)
    np.testing.assert_array_equal(np.isin(classes, (1, 6)), skin)


def test_covered_skin_is_no_skin(face: FaceAnalysis) -> None:
    regions = face.regions.copy()
    regions[150:] = Region.NONE
    covered = replace(face, regions=regions)
    classes = classes_of(NetworkFace.of(covered, 256))
    assert not np.isin(classes[150:], (1, 2, 3, 6, 7, 9, 10)).any()


def test_smaller_crop_is_the_same_face(face: FaceAnalysis) -> None:
    small = NetworkFace.of(face, 64)
    assert small.image.shape == (64, 64, 3)
    np.testing.assert_allclose((small.landmarks + 0.5) * 4 - 0.5, face.crop_landmarks, atol=1e-3)
    away = cv2.resize(classes_of(small), (256, 256), interpolation=0) != classes_of(
        NetworkFace.of(face, 256)
    )
    assert away.mean() < 0.06


def test_planes() -> None:
    classes = np.array([[0, 3], [2, 7]], np.uint8)
    found = planes(classes, 4)
    assert found.shape == (1, 4, 2, 2)
    np.testing.assert_array_equal(found.sum(axis=1)[0], [[1, 1], [1, 0]])
    np.testing.assert_array_equal(found[0, 3], [[0, 1], [0, 0]])


def test_mask_is_soft_and_stays_inside() -> None:
    regions = np.full((256, 256), Region.SKIN, np.uint8)
    cv2.ellipse(regions, (128, 180), (36, 12), 0, 0, 360, int(Region.LIPS), -1)
    mask = makeup_mask(regions, {Region.LIPS: 1.0, Region.SKIN: 0.0})
    lips = regions == Region.LIPS
    assert not mask[~lips].any()
    core = cv2.erode(lips.astype(np.uint8), np.ones((13, 13))) > 0
    assert core.any()
    np.testing.assert_allclose(mask[core], 1, atol=3e-3)
    assert 0 < mask[lips].min() + 1e-3 < 0.5 < mask.max() <= 1
    half = makeup_mask(regions, {Region.LIPS: 0.5})
    np.testing.assert_allclose(half, mask / 2, atol=1e-6)


def test_mask_has_no_seams_between_regions_worn_alike(face: FaceAnalysis) -> None:
    mask = makeup_mask(face.regions, dict.fromkeys(MAKEUP_REGIONS, 1.0))
    inside = cv2.erode((face.regions > 0).astype(np.uint8), np.ones((15, 15))) > 0
    np.testing.assert_allclose(mask[inside], 1, atol=1e-3)
