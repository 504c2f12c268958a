import numpy as np
import pytest
import torch

from makeup_training.losses.structure import (
    colour_profile_loss,
    gradient_profile_loss,
    profile_similarity_loss,
)


def cosine(a, b):
    return (a @ b) / max(np.linalg.norm(a), 1e-12) / max(np.linalg.norm(b), 1e-12)


def profile_oracle(x, y):
    """Loops over (B, C, H, W) arrays, one image at a time."""
    total = 0.0
    for image, other in zip(x, y, strict=True):
        for a, b in zip(image, other, strict=True):
            total += sum(cosine(a[:, j], b[:, j]) for j in range(a.shape[1]))
            total += sum(cosine(a[i], b[i]) for i in range(a.shape[0]))
    return -total / x.shape[2] / len(x)


def yuv(x):
    y = 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]
    return np.stack([y, 0.493 * (x[:, 2] - y), 0.877 * (x[:, 0] - y)], 1)


def differences_oracle(x, y):
    return profile_oracle(np.diff(x, axis=3), np.diff(y, axis=3)) + profile_oracle(
        np.diff(x, axis=2), np.diff(y, axis=2)
    )


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(2, 2, 3, 5, 7, dtype=torch.float64) * 2 - 1


def test_profiles_against_loops(images):
    x, y = images
    assert profile_similarity_loss(x, y).item() == pytest.approx(
        profile_oracle(x.numpy(), y.numpy())
    )
    assert profile_similarity_loss(x, x).item() == pytest.approx(-3 * (5 + 7) / 5)


def test_gradient_profiles_against_loops(images):
    x, y = ((t.numpy() + 1) / 2 for t in images)
    assert gradient_profile_loss(*images).item() == pytest.approx(differences_oracle(x, y))


def test_colour_profiles_against_loops(images):
    x, y = ((t.numpy() + 1) / 2 for t in images)
    expected = (
        profile_oracle(x, y) + profile_oracle(yuv(x), yuv(y)) + differences_oracle(yuv(x), yuv(y))
    )
    assert colour_profile_loss(*images).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [gradient_profile_loss, colour_profile_loss])
def test_batch_of_two_is_the_mean_of_two_batches_of_one(images, loss):
    x, y = images
    alone = [loss(x[b : b + 1], y[b : b + 1]).item() for b in range(2)]
    assert loss(x, y).item() == pytest.approx(np.mean(alone))


@pytest.mark.parametrize("loss", [gradient_profile_loss, colour_profile_loss])
def test_gradcheck(images, loss):
    x, y = images[:, :1]
    assert torch.autograd.gradcheck(lambda a: loss(a, y), x.clone().requires_grad_())


def test_flat_images_have_finite_gradients():
    flat = torch.zeros(1, 3, 8, 8, requires_grad=True)
    gradient_profile_loss(flat, torch.zeros(1, 3, 8, 8)).backward()
    assert flat.grad.isfinite().all()
