"""Region maps on the CPU, which measure pieces along OpenCV's contours, against plain NumPy."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import makeup_sdk
from makeup_kernels import InvalidInputError, Region, crop_face, crop_matrix, region_maps
from makeup_kernels.region_maps.reference import hull_distance, region_maps_reference
from makeup_sdk.faces import BundledFaceAnalyzer

PHOTOS = sorted((Path(makeup_sdk.__file__).parent / "assets" / "demo").glob("*.jpg"))[:3]


def test_maps_of_photos_are_those_of_the_reference():
    analyzer = BundledFaceAnalyzer()
    found = []
    for photo in PHOTOS:
        frame = cv2.imread(str(photo))
        landmarks = analyzer.analyze(frame, analyzer.detect(frame, 1)[0]).landmarks
        found.append(analyzer.network.analyze(crop_face(frame, crop_matrix(landmarks))))
    maps = region_maps(
        np.stack([face.logits for face in found]), np.stack([face.landmarks for face in found])
    )
    for face, regions in zip(found, maps, strict=True):
        expected = region_maps_reference(face.logits, face.landmarks, size=256)
        assert set(np.unique(expected)) == set(Region)
        assert (regions != expected).mean() < 1e-3


def test_distance_from_a_hull_by_hand():
    triangle = np.array([(2.0, 2.0), (8.0, 2.0), (2.0, 8.0), (3.0, 3.0)])
    distance = hull_distance(triangle, 12)
    assert distance[3, 3] == distance[2, 5] == 0
    assert distance[2, 0] == 2
    assert distance[0, 11] == pytest.approx(np.hypot(3, 2))
    assert distance[8, 8] == pytest.approx(np.hypot(3, 3))
    point = hull_distance(np.full((5, 2), 4.0), 9)
    assert point[4, 4] == 0
    assert point[0, 4] == 4


def test_wrong_arrays_raise():
    logits, landmarks = np.zeros((5, 8, 8), np.float32), np.zeros((68, 2), np.float32)
    with pytest.raises(InvalidInputError, match=r"logits: got float64 \(5, 8, 8\), expected"):
        region_maps(logits.astype(np.float64), landmarks)
    with pytest.raises(InvalidInputError, match=r"logits: got float32 \(5, 8, 7\), expected"):
        region_maps(logits[..., :7], landmarks)
    with pytest.raises(InvalidInputError, match="landmarks: 68 of the points"):
        region_maps(logits, landmarks * np.nan)
    with pytest.raises(InvalidInputError, match="size: got 0, expected at least 2"):
        region_maps(logits, landmarks, size=0)
