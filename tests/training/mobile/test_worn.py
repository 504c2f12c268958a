"""What is worn, as numbers."""

import numpy as np
import pytest

from makeup_kernels import Region
from makeup_training.cosmetics import Liner, Lipstick, Makeup, random_makeup
from makeup_training.mobile.worn import NUMBERS, numbers


@pytest.mark.parametrize("region", NUMBERS)
def test_makeups_are_told_apart(region):
    rng = np.random.default_rng(0)
    rows = np.stack([numbers(random_makeup(rng), region) for _ in range(50)])
    assert rows.shape == (50, NUMBERS[region])
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) >= 45
    assert np.abs(rows).max() < 5


def test_nothing_is_nothing():
    assert not any(numbers(Makeup(), region).any() for region in NUMBERS)


def test_each_region_has_its_own_products():
    lips, eyes = Makeup(lipstick=Lipstick("#b3101f")), Makeup(liner=Liner())
    assert numbers(lips, Region.LIPS).any()
    assert not numbers(lips, Region.EYES).any()
    assert numbers(eyes, Region.EYES).any()
    assert not numbers(eyes, Region.LIPS).any()
