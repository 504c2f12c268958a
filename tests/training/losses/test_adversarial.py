import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from makeup_training.losses.adversarial import (
    gradient_penalty,
    least_squares,
    logistic,
    wasserstein,
)

SCORES = torch.tensor([[-1.0, 0.5], [2.0, 3.0]], dtype=torch.float64)


@pytest.mark.parametrize("real", [True, False])
def test_least_squares(real):
    expected = sum((s - real) ** 2 for s in (-1, 0.5, 2, 3)) / 4
    assert least_squares(SCORES, real=real).item() == pytest.approx(expected)


@pytest.mark.parametrize("real", [True, False])
def test_logistic_is_the_cross_entropy_of_the_sigmoid(real):
    target = torch.full_like(SCORES, float(real))
    expected = binary_cross_entropy(SCORES.sigmoid(), target)
    torch.testing.assert_close(logistic(SCORES, real=real), expected)


def test_logistic_of_large_scores_is_finite():
    assert logistic(torch.tensor([-1e4, 1e4]), real=True).item() == 5e3


def test_wasserstein_is_antisymmetric():
    assert wasserstein(SCORES, real=True).item() == pytest.approx(-1.125)
    assert wasserstein(SCORES, real=False).item() == pytest.approx(1.125)


def test_gradient_penalty_of_a_linear_critic():
    slope = torch.tensor([3.0, 4.0], dtype=torch.float64).view(1, 2, 1, 1).requires_grad_()
    real, fake = torch.rand(2, 5, 2, 1, 1, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), real, fake)
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    (gradient,) = torch.autograd.grad(penalty, slope)
    # d/dw (‖w‖ − 1)² = 2 (‖w‖ − 1) w/‖w‖
    torch.testing.assert_close(gradient.flatten(), 2 * 4 * slope.detach().flatten() / 5)


def test_gradient_penalty_is_a_mean_over_images_of_spatial_scores():
    def critic(x):
        return x.square()[:, :, :1]  # a score map; slope 2x on one of two rows

    ones = torch.ones(3, 1, 2, 1)
    assert gradient_penalty(critic, ones, ones).item() == pytest.approx((2 - 1) ** 2)
