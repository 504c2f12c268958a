"""Light, camera, and what training lowers."""

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede94, rgb2lab

from makeup_kernels import Region
from makeup_sdk.faces.template import template_regions
from makeup_training.mobile.light import Relight, degrade
from makeup_training.mobile.losses import (
    REGION_WEIGHTS,
    ROUNDING,
    painting_losses,
    reading_losses,
    rounded_cie94,
    worn_change,
)
from makeup_training.mobile.networks import CHANGED, CODES, log_light


def test_light_multiplies_bare_and_made_up_alike():
    generator = torch.Generator().manual_seed(0)
    light = Relight(3, generator, share=1.0)
    image = 0.01 + torch.rand(3, 3, 64, 64) * 0.2
    ratio = light(image * 0.5) / light(image).clamp(min=1e-6)
    assert torch.allclose(ratio, torch.full_like(ratio, 0.5), atol=1e-3)
    assert light(image).std(0).mean() > 0


def test_unlit_faces_stay():
    light = Relight(2, torch.Generator().manual_seed(0), share=0.0)
    image = torch.rand(2, 3, 64, 64)
    assert torch.allclose(light(image), image, atol=1e-6)


def test_degraded_faces_stay_pictures():
    image = torch.rand(24, 3, 128, 128)
    worse = degrade(image, torch.Generator().manual_seed(1))
    assert worse.shape == image.shape
    assert worse.min() >= 0
    assert worse.max() <= 1
    touched = (worse != image).flatten(1).any(1)
    assert touched.any()
    assert not touched.all()


def test_painting_losses_count_regions_not_pixels():
    regions = torch.zeros(1, 256, 256, dtype=torch.uint8)
    regions[:, :10, :10] = Region.BROWS
    regions[:, 20:, :] = Region.SKIN
    clean = torch.full((1, 3, 256, 256), 0.5)
    change = torch.zeros(1, 6, 128, 128)
    change[:, :3], change[:, 3:] = 0.1, 0.05
    losses = painting_losses(change, clean, clean, regions)
    for region in (Region.BROWS, Region.SKIN):
        off = rounded_cie94(clean * 1.1 + 0.05, clean, ROUNDING[region]).mean()
        wanted = REGION_WEIGHTS[region] * float(off)
        assert losses[region.name.lower()] == pytest.approx(wanted, rel=1e-3)
        assert wanted > 0
    right = painting_losses(change, clean, clean * 1.1 + 0.05, regions)
    assert max(right.values()) < 1e-6


def test_reading_losses_are_zero_for_the_right_codes():
    regions = torch.from_numpy(template_regions()[None].copy())
    bare = torch.full((1, 3, 256, 256), 0.5)
    worn = bare * torch.tensor([0.5, 0.8, 1.1]).view(1, 3, 1, 1)
    codes = torch.zeros(1, CODES, 64, 64)
    wrong = reading_losses(codes, worn_change(worn, bare, regions), regions)
    codes[:, CHANGED] = (log_light(worn) - log_light(bare))[:, :, ::4, ::4]
    right = reading_losses(codes, worn_change(worn, bare, regions), regions)
    assert max(right.values()) < 1e-5 < min(wrong.values())


def test_rounded_cie94_is_scikit_images():
    generator = torch.Generator().manual_seed(0)
    wanted = torch.rand(1, 3, 16, 16, generator=generator)
    near = (wanted + 0.1 * torch.randn(wanted.shape, generator=generator)).clamp(0, 1)
    labs = [rgb2lab(image[0].permute(1, 2, 0).numpy()[..., ::-1]) for image in (wanted, near)]
    found = rounded_cie94(near, wanted, 1e-6)[0, 0].numpy() * 100
    assert np.abs(found - deltaE_ciede94(*labs)).max() < 0.05


def test_colour_differences_have_gradients_everywhere():
    black = torch.zeros(1, 3, 4, 4, requires_grad=True)
    rounded_cie94(black, torch.zeros(1, 3, 4, 4), 0.01).sum().backward()
    assert torch.isfinite(black.grad).all()
