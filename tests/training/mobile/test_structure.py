"""What readers of lips and eyes are told of the finer structure."""

import pytest
import torch
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.faces.template import template_landmarks, template_regions
from makeup_training.mobile.closeups import WINDOWS, cut
from makeup_training.mobile.networks import planes
from makeup_training.mobile.structure import (
    LIP_RINGS,
    RIMS,
    STRUCTURE,
    colors_of,
    lip_rings,
    opening,
    place,
    structure,
)

LANDMARKS = torch.from_numpy(template_landmarks()[None])


def shares_of(region: Region) -> torch.Tensor:
    """Those of the template face in a region's window."""
    return planes(cut(region, torch.from_numpy(template_regions()[None].copy())))


@pytest.fixture
def lips() -> torch.Tensor:
    regions = torch.full((1, 48, 80), int(Region.SKIN), dtype=torch.uint8)
    regions[:, 10:30, 10:70] = Region.LIPS
    return planes(regions)


@pytest.mark.parametrize("region", WINDOWS)
def test_so_many_numbers_whatever_is_seen(region):
    shares = shares_of(region)
    light = torch.randn(1, 3, *shares.shape[2:])
    for seen in (shares, torch.zeros_like(shares)):
        found = structure(region, light, seen, LANDMARKS)
        assert found.shape == (1, STRUCTURE[region], 1, 1)
        assert torch.isfinite(found).all()


def test_edge_and_spots_tell_liner_and_gloss_from_plain_lips(lips):
    own, rim = lips[:, :1], lips[:, :1].clone()
    rim[..., 12:28, 12:68] = 0
    light = 1.0 + torch.zeros(1, 3, 48, 80)
    plain = structure(Region.LIPS, light * own, lips, LANDMARKS)[0, :5, 0, 0]
    assert plain.abs().max() < 1e-3
    lined = structure(Region.LIPS, light * own - 0.6 * rim, lips, LANDMARKS)[0, :5, 0, 0]
    assert torch.allclose(lined, torch.tensor([-0.6, -0.6, -0.6, 0, 0]), atol=0.02)
    shiny = light.clone()
    shiny[..., 20:23, 30:50] += 1.0
    spots = structure(Region.LIPS, shiny * own, lips, LANDMARKS)[0, 3:5, 0, 0]
    assert spots[0] > 0.03
    assert spots[1] == 0


def test_the_edge_of_eyes_is_at_the_eyeball():
    regions = torch.zeros(1, 56, 128, dtype=torch.uint8)
    regions[:, 5:50, 5:60] = Region.EYES
    regions[:, 25:35, 15:50] = Region.NONE
    light = torch.zeros(1, 3, 56, 128)
    light[..., 24, 15:50] = -1.0
    found = structure(Region.EYES, light, planes(regions), LANDMARKS)[0, :3, 0, 0]
    assert (found < -0.05).all()


def test_rings_divide_what_they_go_around():
    shares = shares_of(Region.LIPS)
    own, skin = shares[:, :1], shares[:, 1:2]
    rings = lip_rings(own, skin)
    assert rings.shape[1] == len(LIP_RINGS) + len(RIMS)
    assert rings.max() == 1
    near = F.max_pool2d(own, 2 * RIMS[-1] + 1, 1, RIMS[-1]) * skin
    assert torch.equal(rings[:, len(LIP_RINGS) :].sum(1, keepdim=True), near)
    assert (rings[:, : len(LIP_RINGS)].sum(1, keepdim=True) <= own).all()


def test_a_ring_of_another_colour_is_told_alone(lips):
    rings = lip_rings(lips[:, :1], lips[:, 1:2])
    for ring in range(len(LIP_RINGS)):
        found = colors_of(rings[:, ring : ring + 1].expand(-1, 3, -1, -1), rings).view(3, -1)
        assert (found[:, ring] > 0.9).all()
        assert (found.sum(1) <= 1).all()


def test_places_are_alike_on_both_sides():
    shares = shares_of(Region.EYES)
    left = shares[..., : shares.shape[3] // 2]
    shares = torch.cat([left, left.flip(3)], 3)
    found = place(Region.EYES, shares)
    assert torch.allclose(found, found.flip(3), atol=1e-4)
    middle = (found * opening(shares)).sum((2, 3)) / opening(shares).sum()
    assert middle.abs().max() < 0.1
    found = place(Region.LIPS, shares_of(Region.LIPS))
    assert found[:, 0].min() >= 0
