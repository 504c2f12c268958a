"""What readers of lips and eyes are told of the finer structure."""

import pytest
import torch
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.classic.template import template_regions
from makeup_training.mobile.closeups import WINDOWS, cut
from makeup_training.mobile.networks import planes
from makeup_training.mobile.structure import (
    EYE_RINGS,
    EYE_SECTORS,
    LIP_RINGS,
    RIMS,
    STRUCTURE,
    TEXTURE_SCALES,
    colors_of,
    eye_rings,
    lip_rings,
    opening,
    place,
    structure,
    texture,
)


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
        found = structure(region, light, seen)
        assert found.shape == (1, STRUCTURE[region], 1, 1)
        assert torch.isfinite(found).all()


def test_edge_and_spots_tell_liner_and_gloss_from_plain_lips(lips):
    own, rim = lips[:, :1], lips[:, :1].clone()
    rim[..., 12:28, 12:68] = 0
    light = 1.0 + torch.zeros(1, 3, 48, 80)
    plain = structure(Region.LIPS, light * own, lips)[0, :5, 0, 0]
    assert plain.abs().max() < 1e-3
    lined = structure(Region.LIPS, light * own - 0.6 * rim, lips)[0, :5, 0, 0]
    assert torch.allclose(lined, torch.tensor([-0.6, -0.6, -0.6, 0, 0]), atol=0.02)
    shiny = light.clone()
    shiny[..., 20:23, 30:50] += 1.0
    spots = structure(Region.LIPS, shiny * own, lips)[0, 3:5, 0, 0]
    assert spots[0] > 0.03
    assert spots[1] == 0


def test_the_edge_of_eyes_is_at_the_eyeball():
    regions = torch.zeros(1, 56, 128, dtype=torch.uint8)
    regions[:, 5:50, 5:60] = Region.EYES
    regions[:, 25:35, 15:50] = Region.NONE
    light = torch.zeros(1, 3, 56, 128)
    light[..., 24, 15:50] = -1.0
    found = structure(Region.EYES, light, planes(regions))[0, :3, 0, 0]
    assert (found < -0.05).all()


def test_rings_divide_what_they_go_around():
    shares = shares_of(Region.EYES)
    own = shares[:, Region.EYES - 1]
    rings = eye_rings(shares)
    assert rings.shape[1] == 2 * (len(EYE_RINGS) + 1) * (len(EYE_SECTORS) + 1)
    assert torch.equal(rings.sum(1), own)
    shares = shares_of(Region.LIPS)
    own, skin = shares[:, :1], shares[:, 1:2]
    rings = lip_rings(own, skin)
    assert rings.shape[1] == len(LIP_RINGS) + len(RIMS)
    assert rings.max() == 1
    near = F.max_pool2d(own, 2 * RIMS[-1] + 1, 1, RIMS[-1]) * skin
    assert torch.equal(rings[:, len(LIP_RINGS) :].sum(1, keepdim=True), near)
    assert (rings[:, : len(LIP_RINGS)].sum(1, keepdim=True) <= own).all()


def test_a_wing_is_seen_beside_the_outer_corner_only():
    shares = shares_of(Region.EYES)
    across, down = place(Region.EYES, shares).split(1, 1)
    wing = shares[:, Region.EYES - 1 : Region.EYES] * ((across > 2.1) & (down < 0)).float()
    assert wing.sum() > 20
    light = -wing.expand(-1, 3, -1, -1)
    found = colors_of(light, eye_rings(shares)).view(3, 2, len(EYE_SECTORS) + 1, -1)[0]
    assert found[0, -1].min() < -0.5
    assert not found[0, :-1].any()
    assert not found[1].any()


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


def test_texture_tells_an_even_colour_from_an_uneven_one_in_blurred_photos_too(lips):
    generator = torch.Generator().manual_seed(0)
    where = lips[:, :1]
    shade = torch.randn(1, 1, 48, 80, generator=generator)
    blotches = torch.randn(1, 3, 48, 80, generator=generator)
    bare, covered = (0.2 * shade + amount * blotches for amount in (0.15, 0.03))
    for sigma in (1, 3):
        found = [
            texture(F.avg_pool2d(light, sigma, 1, sigma // 2), where)[0, :, 0, 0]
            for light in (bare, covered)
        ]
        assert len(found[0]) == 14 * len(TEXTURE_SCALES)
        more = (found[0] - found[1])[:6].view(2, 3)
        assert (more[:, 1:] - more[:, :1] > 0.5).all()


def test_texture_follows_colour_that_comes_with_light(lips):
    shade = 0.3 * torch.randn(1, 1, 48, 80, generator=torch.Generator().manual_seed(0))
    light = torch.cat([shade, shade, 1.5 * shade], 1)
    slope, likeness = texture(light, lips[:, :1])[0, [6, 10], 0, 0]
    assert slope == pytest.approx(0.5 / (3.5 / 3), abs=0.02)
    assert likeness == pytest.approx(1, abs=0.02)
