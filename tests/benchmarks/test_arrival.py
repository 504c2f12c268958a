"""The measure of how much makeup arrives, on pictures whose answer is known."""

import numpy as np
import pytest
from arrival import REGIONS, MeanFace
from numpy.typing import NDArray

from makeup_sdk import Region
from makeup_sdk.faces.demo_face import demo_face

Map = NDArray[np.float32]


@pytest.fixture(scope="module")
def mean() -> MeanFace:
    return MeanFace.make()


@pytest.fixture
def maps(mean: MeanFace) -> tuple[Map, Map]:
    rng = np.random.default_rng(0)
    source = rng.normal(0, 5, (128, 128, 3)).astype(np.float32)
    return source, source + np.float32([-8, 12, 6])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.5])
def test_a_share_of_the_way_arrives_as_that_share(
    mean: MeanFace, maps: tuple[Map, Map], share: float
) -> None:
    source, reference = maps
    found = mean.compare(source, reference, source + share * (reference - source))
    assert set(found) == set(REGIONS)
    for region in REGIONS:
        np.testing.assert_allclose(found[region].arrival, share, atol=1e-5)
        np.testing.assert_allclose(found[region].left, abs(1 - share), atol=1e-5)


def test_a_change_beside_the_wanted_one_does_not_arrive(
    mean: MeanFace, maps: tuple[Map, Map]
) -> None:
    source, reference = maps
    found = mean.compare(source, reference, source + np.float32([0, 6, -12]))
    assert abs(found[Region.LIPS].arrival) < 1e-5
    assert found[Region.LIPS].left > 1


def test_lightness_of_skin_counts_nothing(mean: MeanFace, maps: tuple[Map, Map]) -> None:
    source, reference = maps
    found = mean.compare(source, reference, reference + np.float32([30, 0, 0]))
    assert found[Region.SKIN].left < 1e-6
    assert found[Region.LIPS].left > 1


def test_colours_are_those_of_the_face_in_any_place(mean: MeanFace) -> None:
    face = demo_face()
    here = mean.colors(face.crop, face.crop_landmarks)
    moved = np.roll(face.crop, (9, -7), (0, 1))
    there = mean.colors(moved, face.crop_landmarks + [-7, 9])
    inside = np.isin(mean.regions, REGIONS)
    np.testing.assert_allclose(here[inside], there[inside], atol=0.05)
    lips, cheeks = mean.regions == Region.LIPS, mean.regions == Region.SKIN
    cheeks[92:] = False
    assert here[lips][:, 1].mean() > 3  # redder than the cheeks
    np.testing.assert_allclose(np.median(here[cheeks], axis=0), 0, atol=1.5)
