"""The measure of transferred makeup, on pictures with a known answer."""

import numpy as np
import pytest
from arrival_measure import REGIONS, arrival, asymmetry, mean_regions, on_mean_face
from numpy.typing import NDArray

from makeup_sdk import Region
from makeup_sdk.faces.demo_face import demo_face

Map = NDArray[np.float32]


@pytest.fixture
def maps() -> tuple[Map, Map]:
    rng = np.random.default_rng(0)
    source = rng.normal(0, 5, (128, 128, 3)).astype(np.float32)
    return source, source + np.float32([-8, 12, 6])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.5])
def test_a_share_of_the_way_arrives_as_that_share(maps: tuple[Map, Map], share: float) -> None:
    source, reference = maps
    found = arrival(source, reference, source + share * (reference - source)).regions
    assert set(found) == set(REGIONS)
    for region in REGIONS:
        np.testing.assert_allclose(found[region][0], share, atol=1e-5)
        np.testing.assert_allclose(found[region][1], abs(1 - share), atol=1e-5)


def test_a_change_beside_the_wanted_one_does_not_arrive(maps: tuple[Map, Map]) -> None:
    source, reference = maps
    found = arrival(source, reference, source + np.float32([0, 6, -12])).regions
    assert abs(found[Region.LIPS][0]) < 1e-5
    assert found[Region.LIPS][1] > 1


def test_lightness_of_skin_counts_nothing(maps: tuple[Map, Map]) -> None:
    source, reference = maps
    found = arrival(source, reference, reference + np.float32([30, 0, 0])).regions
    assert found[Region.SKIN][1] < 1e-6
    assert found[Region.LIPS][1] > 1


def test_colours_are_those_of_the_face_in_any_place() -> None:
    face = demo_face()
    here = on_mean_face(face.crop, face.crop_landmarks)
    moved = np.roll(face.crop, (9, -7), (0, 1))
    there = on_mean_face(moved, face.crop_landmarks + [-7, 9])
    regions = mean_regions()
    inside = np.isin(regions, REGIONS)
    np.testing.assert_allclose(here[inside], there[inside], atol=0.05)
    lips, cheeks = regions == Region.LIPS, regions == Region.SKIN
    cheeks[92:] = False
    assert here[lips][:, 1].mean() > 3  # redder than the cheeks
    np.testing.assert_allclose(np.median(here[cheeks], axis=0), 0, atol=1.5)


def test_lips_glow_where_they_come_out_lighter_than_both() -> None:
    dark = np.zeros((128, 128, 3), np.float32)
    dark[..., 0] = -5  # halved lightness
    assert not arrival(dark, dark + np.float32([1, 1, 0]), dark + np.float32([2.9, 0, 0])).glows
    assert arrival(dark, dark + np.float32([1, 1, 0]), dark + np.float32([3.1, 0, 0])).glows


def test_asymmetry_is_what_sets_the_halves_apart() -> None:
    before = np.zeros((128, 128, 3), np.float32)
    even, one_sided = before + 4, before.copy()
    one_sided[:, :64] = 4
    assert asymmetry(before, even) < 0.3  # but for the outlines' rounding
    assert asymmetry(before, one_sided) > 1.2
