import pytest
import torch

from makeup_training.losses.masks import mask_invariance, soft_inverse_mask, weighted_cycle


def test_invariance_counts_the_mask_alone():
    original, result = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    invariant = torch.zeros(1, 1, 4, 4)
    invariant[..., :1] = 1
    assert mask_invariance(result, original, invariant).item() == pytest.approx(0.5 / 4)
    assert mask_invariance(result, original, 0 * invariant).item() == 0


def test_soft_inverse_mask_is_one_outside_floor_inside_and_half_way_at_an_edge():
    parts = torch.zeros(1, 1, 64, 64)
    parts[..., 32:] = 1
    mask = soft_inverse_mask(parts, floor=0.2, sigma=3.0)
    assert mask.shape == parts.shape
    torch.testing.assert_close(mask[..., :20], torch.ones(1, 1, 64, 20))
    torch.testing.assert_close(mask[..., 44:], torch.full((1, 1, 64, 20), 0.2))
    middle = (mask[..., 31] + mask[..., 32]) / 2
    torch.testing.assert_close(middle, torch.full((1, 1, 64), 0.6))


def test_weighted_cycle():
    original, back = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), -0.5)
    weight = torch.full((2, 1, 4, 4), 0.25)
    assert weighted_cycle(back, original, weight).item() == pytest.approx(0.125)


def test_gradchecks():
    torch.manual_seed(0)
    original, result = torch.rand(2, 1, 3, 4, 4, dtype=torch.float64)
    mask = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    result.requires_grad_()
    for loss in (mask_invariance, weighted_cycle):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, original, mask), result)
