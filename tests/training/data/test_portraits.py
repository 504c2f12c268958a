"""Framing, augmentation and regions of a portrait."""

import numpy as np
import pytest

from makeup_kernels import TEMPLATE_LANDMARKS, Region
from makeup_training.data.portraits import framed, mirrored, regions_of
from makeup_training.data.readers import open_collection
from makeup_training.networks.inputs import psgan_regions


@pytest.fixture
def portrait(faces_layout):
    return open_collection(faces_layout).bare[0].load()


def test_framed_face_lies_on_the_template(portrait):
    crop = framed(portrait, 96, None)
    assert crop.image.shape == (96, 96, 3)
    assert crop.parsing.shape == (96, 96)
    assert np.abs(crop.landmarks - TEMPLATE_LANDMARKS * 96).mean() < 3


def test_labels_move_with_the_picture(portrait):
    for seed in range(6):
        crop = framed(portrait, 128, np.random.default_rng(seed))
        for points, classes in ((slice(36, 42), (4, 5)), (slice(48, 60), (7, 8, 9))):
            x, y = crop.landmarks[points].mean(0).round().astype(int)
            assert crop.parsing[y, x] in classes
        # the picture's left eye stays class 4 and has points 36 to 41, mirrored or not
        x, y = crop.landmarks[36:42].mean(0).round().astype(int)
        assert crop.parsing[y, x] == 4
        assert crop.landmarks[36, 0] < crop.landmarks[45, 0]


def test_augmentation_is_a_function_of_the_seed(portrait):
    one, again, other = (framed(portrait, 64, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (one.image == again.image).all()
    assert (one.landmarks == again.landmarks).all()
    assert (one.image != other.image).any()


def test_mirroring_twice_changes_nothing(portrait):
    twice = mirrored(mirrored(portrait))
    assert (twice.image == portrait.image).all()
    assert (twice.parsing == portrait.parsing).all()
    assert np.abs(twice.landmarks - portrait.landmarks).max() < 1e-4


def test_published_regions_at_their_size(portrait):
    crop = framed(portrait, 256, None)
    assert (regions_of(crop, "psgan") == psgan_regions(crop.parsing, crop.landmarks)).all()


def test_region_rules(portrait):
    crop = framed(portrait, 128, None)
    maps = {rule: regions_of(crop, rule) for rule in ("psgan", "psgan+brows", "sdk")}
    assert set(np.unique(maps["psgan"])) == {0, 1, 2, 3}
    assert set(np.unique(maps["psgan+brows"])) == {0, 1, 2, 3, 4}
    assert set(np.unique(maps["sdk"])) == {0, 1, 2, 3, 4}
    lips = np.isin(crop.parsing, (7, 9))
    assert ((maps["sdk"] == Region.LIPS) == lips).all()
    assert ((maps["psgan"] == Region.LIPS) == lips).mean() > 0.995
