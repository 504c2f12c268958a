"""Class numberings against the tables of the publications."""

import numpy as np
import pytest

from makeup_kernels import InvalidInputError, Region
from makeup_training.data.parsing_classes import (
    FROM_MT,
    TO_MT,
    from_mt,
    mirrored_classes,
    region_gan_classes,
    to_mt,
)

RAW19_NAMES = (
    *("bg", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "glasses", "l_ear", "r_ear", "earring"),
    *("nose", "mouth", "u_lip", "l_lip", "neck", "necklace", "cloth", "hair", "hat"),
)
MT_NAMES = (
    *("bg", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "u_lip", "mouth", "l_lip"),
    *("hair", "l_ear", "r_ear", "neck"),
)


def test_raw19_and_mt_agree_by_name():
    expected = [MT_NAMES.index(n) if n in MT_NAMES else 0 for n in RAW19_NAMES]
    assert to_mt(np.arange(19)[None], "raw19")[0].tolist() == expected


def test_mt_to_raw19_is_the_inverse():
    ids = np.arange(14, dtype=np.uint8)[None]
    assert (to_mt(from_mt(ids, "raw19"), "raw19") == ids).all()


def test_helen_keeps_face_and_hair_and_drops_ears_and_neck():
    ids = from_mt(np.arange(14)[None], "helen11")[0]
    assert ids.tolist() == [*range(11), 0, 0, 0]


def test_scgan_groups():
    table = np.array(TO_MT["scgan"])
    assert set(table[[9, 13]]) == {7, 9}
    assert set(table[[4, 8, 10]]) == {1}
    assert set(table[[6, 1]]) == {4, 5}


def test_tables_cover_all_ids():
    assert {name: len(table) for name, table in TO_MT.items()} == {
        "mt": 14,
        "raw19": 19,
        "faces12": 12,
        "scgan": 14,
    }
    assert all(len(table) == 14 for table in FROM_MT.values())


def test_unknown_class_is_named():
    with pytest.raises(InvalidInputError, match=r"got class 14, expected 0 to 13.*'mt'"):
        to_mt(np.array([[14]]), "mt")


def test_region_gan_classes():
    ids = np.array([[Region.NONE, Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS]], np.uint8)
    assert region_gan_classes(ids)[0].tolist() == [0, 3, 2, 1, 0]


def test_mirroring_twice_changes_nothing():
    ids = np.arange(14, dtype=np.uint8).reshape(2, 7)
    once = mirrored_classes(ids)
    assert once[0].tolist() == [6, 4, 5, 2, 3, 1, 0]
    assert (mirrored_classes(once) == ids).all()
