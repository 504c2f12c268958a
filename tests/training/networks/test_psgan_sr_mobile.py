"""Mobile-class low-resolution transfer: sizes, initial state, and which part learns."""

import torch
from torch import nn

from makeup_training.networks.psgan_sr import PriorNetwork
from makeup_training.networks.psgan_sr_mobile import (
    DetailModule,
    MobileSuperResolution,
    bicubic,
    halfway,
)

MAPS = {"gamma": torch.zeros(1, 3, 16, 16), "beta": torch.zeros(1, 3, 16, 16)}


def passed(network: MobileSuperResolution, small: torch.Tensor):
    return network.decode(network.encode_source(small), **MAPS, small=small)


def test_sizes() -> None:
    small = torch.rand(1, 3, 32, 32) * 2 - 1
    result = passed(MobileSuperResolution(width=8), small)
    assert result.blurry.shape == (1, 3, 64, 64)
    assert result.detail.shape == bicubic(small).shape == (1, 3, 128, 128)
    assert result.landmark_maps.shape == (1, 68, 16, 16)
    assert result.parsing.shape == (1, 5, 16, 16)
    assert halfway(3 * small).abs().max() <= 1


def test_it_starts_from_bicubic_enlargement_and_normalises_nothing() -> None:
    network = MobileSuperResolution(width=8)
    assert not passed(network, torch.rand(1, 3, 32, 32)).detail.any()
    assert not any(isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d) for m in network.modules())
    # of all the features of a face of 64 pixels none is enlarged before the last layer
    assert sum(p.numel() for p in DetailModule().parameters()) < 130_000


def test_hourglasses_without_norms_keep_the_size_of_what_they_are_given() -> None:
    torch.manual_seed(0)
    network = MobileSuperResolution(width=8).prior
    x = network.residuals(network.stem(torch.rand(1, 3, 64, 64)))
    assert network.hourglasses(x).abs().max() <= 1.01 * x.abs().max()
    published = PriorNetwork(width=8).hourglasses
    assert any(isinstance(m, nn.BatchNorm2d) for m in published.modules())


def test_the_makeup_learns_nothing_from_the_detail_and_all_the_rest_does() -> None:
    torch.manual_seed(0)
    network = MobileSuperResolution(width=8)
    nn.init.normal_(network.super_resolution.last.weight, 0, 0.1)
    result = passed(network, torch.rand(1, 3, 32, 32))
    (result.detail.square().mean() + result.landmark_maps.mean() + result.parsing.mean()).backward()
    for name, parameter in network.named_parameters():
        learns = parameter.grad is not None
        assert learns == (not name.startswith("makeup.")), name
