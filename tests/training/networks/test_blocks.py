import pytest
import torch
from torch import nn

from makeup_training.networks.blocks import (
    PatchDiscriminator,
    ResidualBlock,
    SpectralConv2d,
    affine_instance_norm,
    initialise,
)


def spectral(**options):
    return SpectralConv2d(
        3, 4, 2, weight_name="weight_orig", iterate_in_eval=False, **options
    ).double()


def test_residual_block_adds_its_input_without_a_last_relu():
    block = ResidualBlock(4, affine_instance_norm)
    nn.init.zeros_(block.main[4].weight)
    nn.init.constant_(block.main[4].bias, -2.0)
    x = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(block(x), x - 2)


def test_spectral_norm_equals_torchs_own():
    torch.manual_seed(0)
    ours = spectral(stride=2, padding=1)
    theirs = nn.utils.spectral_norm(nn.Conv2d(3, 4, 2, 2, 1).double())
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    for _ in range(2):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    assert set(ours.state_dict()) == {"weight_orig", "weight_u", "weight_v", "bias"}


def test_spectral_norm_gradient_flows_through_sigma():
    torch.manual_seed(0)
    layer = spectral().eval()
    x = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(layer, {"weight_orig": weight}, x),
        layer.weight_orig,
    )


# a 4×4 convolution from 32 to 64 channels: Xavier's deviation is sqrt(2 / (16·(32 + 64)))
@pytest.mark.parametrize(("method", "deviation"), [("xavier", 0.03608), ("normal", 0.02)])
def test_initialisation(method, deviation):
    torch.manual_seed(0)
    network = nn.Sequential(PatchDiscriminator(width=32), nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    initialise(network, method)
    assert network[0].main[2].raw_weight.std().item() == pytest.approx(deviation, rel=0.05)
    assert network[0].main[0].bias.abs().sum() == 0
    assert network[1].bias.abs().sum() == 0
    assert (network[2].weight.std() > 0) == (method == "normal")
