import numpy as np
import pytest
import torch

from makeup_training.losses.supervised import (
    PARSING_CLASS_WEIGHTS,
    attribute_classification,
    feature_matching,
    parsing_cross_entropy,
    part_reconstruction,
    prior_mse,
    semantic_correspondence,
    style_classification,
)
from makeup_training.networks.region_gan import LabelLayout

LAYOUT = LabelLayout(styles=3, attributes=2)


def test_style_head_ignores_the_attributes():
    logits = torch.tensor([[1.0, 2.0, 3.0, 9.0, -9.0]])
    expected = -3.0 + np.log(np.exp([1.0, 2.0, 3.0]).sum())
    assert style_classification(logits, LAYOUT, torch.tensor([2])).item() == pytest.approx(expected)


def test_attribute_head_ignores_the_styles_and_sums_over_attributes():
    logits = torch.tensor([[9.0, 9.0, 9.0, 0.5, -1.0], [0.0, 0.0, 0.0, 2.0, 0.0]])
    attributes = torch.tensor([[1, 0], [0, 1]])
    p = 1 / (1 + np.exp(-np.array([[0.5, -1.0], [2.0, 0.0]])))
    expected = -(np.log(p[0, 0]) + np.log(1 - p[0, 1]) + np.log(1 - p[1, 0]) + np.log(p[1, 1])) / 2
    actual = attribute_classification(logits, LAYOUT, attributes).item()
    assert actual == pytest.approx(expected)


def test_parsing_softmaxes_the_probabilities_again_and_weighs_classes():
    torch.manual_seed(0)
    p = torch.rand(1, 11, 1, 2, dtype=torch.float64).softmax(1)
    label = torch.tensor([[[0, 7]]])
    q = np.exp(p.numpy()[0, :, 0])
    q /= q.sum(0)
    expected = -(0.2 * np.log(q[0, 0]) + 8.0 * np.log(q[7, 1])) / 8.2
    assert len(PARSING_CLASS_WEIGHTS) == 11
    assert parsing_cross_entropy(p, label).item() == pytest.approx(expected)


def test_feature_matching_reads_the_layer_before_the_score():
    def outputs(value):
        return [[torch.full((1, 1), 99.0 * value), torch.full((1, 2), value), torch.ones(1)]] * 2

    real = outputs(1.0)
    real[0][1].requires_grad_()
    loss = feature_matching(outputs(0.25), real)
    assert loss.item() == 0.75
    assert not loss.requires_grad


def test_correspondence_of_a_known_shift():
    parsing = torch.zeros(1, 2, 8, 8)
    parsing[:, 0, :, :4], parsing[:, 1, :, 4:] = 1, 1
    swapped = parsing.flip(3)
    identity = torch.eye(4)[None]
    swap = identity[:, [1, 0, 3, 2]]
    assert semantic_correspondence(parsing, parsing, identity).item() == 0
    assert semantic_correspondence(parsing, swapped, identity).item() == 1
    assert semantic_correspondence(parsing, swapped, swap).item() == 0


def test_part_reconstruction():
    images = [torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 4, 4)]
    targets = [torch.zeros(1, 3, 2, 2), torch.full((1, 3, 4, 4), 2.0)]
    assert part_reconstruction(images, targets, (10.0, 5.0)).item() == 10 + 20


def test_prior_mse():
    image, prior = torch.zeros(2, 3, 4, 4), torch.zeros(2, 5, 2, 2)
    assert prior_mse(image, image + 2, prior, prior + 1).item() == 0.5 * (4 + 1)
    assert prior_mse(image, image + 2, prior, prior + 1, prior_weight=3.0).item() == 0.5 * 7


def test_gradchecks():
    torch.manual_seed(0)
    logits = torch.rand(2, 5, dtype=torch.float64, requires_grad=True)
    styles, attributes = torch.tensor([0, 2]), torch.tensor([[0, 1], [1, 1]])
    assert torch.autograd.gradcheck(lambda x: style_classification(x, LAYOUT, styles), logits)
    assert torch.autograd.gradcheck(
        lambda x: attribute_classification(x, LAYOUT, attributes), logits
    )
    parsing = torch.rand(2, 1, 3, 8, 8, dtype=torch.float64)
    correspondence = torch.rand(1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: semantic_correspondence(*parsing, x), correspondence)
