import numpy as np
import pytest
import torch

from makeup_kernels import Region
from makeup_training.losses.histogram import (
    matched_to_reference,
    region_histogram_losses,
    region_makeup_loss,
    weighted_histogram_loss,
)


def table_oracle(source, reference):
    """The published table of one channel: source and reference values inside one region."""
    source_cdf = np.cumsum(np.bincount(source, minlength=256)) / len(source)
    reference_cdf = np.cumsum(np.bincount(reference, minlength=256)) / len(reference)
    table = np.arange(256)
    table[0], table[255] = 0, 255
    for i in range(1, 255):
        for j in range(1, 256):
            if reference_cdf[j - 1] <= source_cdf[i] <= reference_cdf[j]:
                table[i] = j
                break
    return table


def bytes_of(image):
    return ((image.numpy() + 1) * 127.5).round().astype(np.int64)


def losses_oracle(fake, reference):
    """Region to loss, for one face."""
    x, r = bytes_of(fake.image[0]), bytes_of(reference.image[0])
    losses = {}
    for region in (1, 2, 3):
        inside, other = fake.regions[0].numpy() == region, reference.regions[0].numpy() == region
        total = 0
        for c in range(3):
            table = table_oracle(x[c][inside], r[c][other])
            total += np.abs(x[c][inside] - table[x[c][inside]]).sum()
        losses[region] = total / x.size
    return losses


def one(face, b):
    return type(face)(*(t[b : b + 1] for t in face))


def test_losses_against_the_published_table(random_faces):
    fake, reference = random_faces(1, 64, 1), random_faces(1, 64, 2)
    expected = losses_oracle(fake, reference)
    actual = region_histogram_losses(fake, reference)
    assert {k: v.item() for k, v in actual.items()} == pytest.approx(expected, abs=1e-3)
    total = weighted_histogram_loss(fake, reference).item()
    assert total == pytest.approx(expected[1] + 0.1 * expected[2] + expected[3], abs=1e-3)


def test_batch_of_two_is_the_mean_of_two_batches_of_one(random_faces):
    fake, reference = random_faces(2, 32, 1), random_faces(2, 32, 2)
    alone = [weighted_histogram_loss(one(fake, b), one(reference, b)).item() for b in range(2)]
    assert weighted_histogram_loss(fake, reference).item() == pytest.approx(np.mean(alone))


def test_a_face_matches_itself(random_faces):
    face = random_faces(1, 32, 1)
    assert weighted_histogram_loss(face, face).item() < 1e-3
    assert region_makeup_loss(face, face).item() < 1e-9


def test_gradient_pulls_each_pixel_towards_its_match(random_faces):
    fake, reference = random_faces(1, 32, 1), random_faces(1, 32, 2)
    image = fake.image.clone().requires_grad_()
    target = matched_to_reference(fake, reference, (1, 2, 3))
    assert not target.requires_grad
    region_histogram_losses(fake.with_image(image), reference)[Region.LIPS].backward()
    lips = (fake.regions == Region.LIPS)[:, None].expand_as(image)
    difference = ((fake.image + 1) * 127.5 - target)[lips]
    moved = (difference.abs() > 0.01) & (fake.image[lips].abs() < 1)
    assert torch.equal(image.grad[lips][moved].sign(), difference[moved].sign())
    assert image.grad[~lips].abs().sum() == 0


def test_squared_form_counts_the_three_regions_alone(random_faces):
    fake, reference = random_faces(1, 32, 1), random_faces(1, 32, 2)
    target = matched_to_reference(fake, reference, (1, 2, 3)) / 127.5 - 1
    inside = ((fake.regions >= 1) & (fake.regions <= 3))[:, None]
    expected = ((fake.image - target)[inside.expand_as(target)] ** 2).sum() / fake.image.numel()
    torch.testing.assert_close(region_makeup_loss(fake, reference), expected)
