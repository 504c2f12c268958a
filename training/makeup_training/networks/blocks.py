"""Building blocks shared by the makeup networks, with the key names of published checkpoints."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Normalisation = Callable[[int], nn.Module]
"""Builds a normalisation layer for a number of channels."""


def plain_instance_norm(channels: int) -> nn.Module:
    """Instance norm without parameters or statistics (eps 1e-5, biased variance)."""
    return nn.InstanceNorm2d(channels)


def affine_instance_norm(channels: int) -> nn.Module:
    """Instance norm with a learned weight and bias per channel, without running statistics."""
    return nn.InstanceNorm2d(channels, affine=True)


def no_norm(channels: int) -> nn.Module:
    """Identity in place of instance norm, for networks that keep the picture's own colour."""
    return nn.Identity()


class ResidualBlock(nn.Module):
    """x + [conv k3, norm, ReLU, conv k3, norm], no ReLU after the sum; zero padding, no bias.

    Keys `main.{0,3}` (convolutions) and, where the norm has parameters, `main.{1,4}`.
    Source: PSGAN and StarGAN, the residual block of both generators.

    Args:
        channels: width of input and output, (B, channels, H, W).
        norm: makes the two normalisation layers.
    """

    def __init__(self, channels: int, norm: Normalisation) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


class SpectralConv2d(nn.Module):
    """A convolution whose weight is divided by its largest singular value (power iteration).

    With W the weight as a matrix (out, in·k·k): v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖, σ = uᵀWv, and the
    layer convolves with W/σ. Gradients flow through σ; u and v are constants of a step.
    Source: Miyato et al., Spectral normalization for GANs (2018), Algorithm 1.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, bias: as in `torch.nn.Conv2d`.
        weight_name: key of the raw weight, as the published checkpoint has it.
        iterate_in_eval: whether to run the power iteration in evaluation mode too, as PSGAN does;
            torch's own layer (SSAT) runs it only in training.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        weight_name: Literal["weight_bar", "weight_orig"],
        iterate_in_eval: bool,
    ) -> None:
        super().__init__()
        plain = nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias)
        self.stride, self.padding = stride, padding
        self.weight_name, self.iterate_in_eval = weight_name, iterate_in_eval
        self.register_parameter(weight_name, plain.weight)
        self.register_parameter("bias", plain.bias)
        rows, columns = plain.weight.shape[0], plain.weight[0].numel()
        self.register_buffer("weight_u", functional.normalize(torch.randn(rows), dim=0))
        self.register_buffer("weight_v", functional.normalize(torch.randn(columns), dim=0))

    @property
    def raw_weight(self) -> Tensor:
        """The trained weight before division by σ, (out, in, k, k)."""
        weight: Tensor = getattr(self, self.weight_name)
        return weight

    def normalised_weight(self) -> Tensor:
        """W/σ, (out, in, k, k), after one power iteration if this pass runs one."""
        weight = self.raw_weight
        matrix = weight.flatten(1)
        if self.training or self.iterate_in_eval:
            with torch.no_grad():
                v = functional.normalize(matrix.t().mv(self.weight_u), dim=0, eps=1e-12)
                u = functional.normalize(matrix.mv(v), dim=0, eps=1e-12)
                self.weight_v.copy_(v)
                self.weight_u.copy_(u)
        # clones: a second forward pass before backward must not change the saved tensors
        sigma = self.weight_u.clone().dot(matrix.mv(self.weight_v.clone()))
        return weight / sigma

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.normalised_weight(), self.bias, stride=self.stride, padding=self.padding
        )


class PatchDiscriminator(nn.Module):
    """PSGAN's patch discriminator: k4 convolutions under spectral norm, LeakyReLU 0.01.

    Three stride-2 and one stride-1 stage, then a score map: (B, in_channels, H, W) to raw scores
    (B, 1, H/8 − 2, W/8 − 2), 30×30 at 256×256. 2,764,736 trainable parameters at width 64.
    Keys `main.{0,2,4,6}` and `conv1`, each `.weight_bar`, `.weight_u`, `.weight_v` (and `.bias`).
    Source: PSGAN (Jiang et al., 2020), the discriminators of both domains.

    Args:
        width: channels of the first stage (published: 64).
        in_channels: channels of the judged image.
    """

    def __init__(self, width: int = 64, *, in_channels: int = 3) -> None:
        super().__init__()
        channels = [in_channels, width, 2 * width, 4 * width, 8 * width]
        strides = (2, 2, 2, 1)
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            layers.append(_psgan_conv(channels[i], channels[i + 1], stride, bias=True))
            layers.append(nn.LeakyReLU(0.01, inplace=True))
        self.main = nn.Sequential(*layers)
        self.conv1 = _psgan_conv(channels[-1], 1, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.conv1(self.main(image))
        return scores


def _psgan_conv(in_channels: int, out_channels: int, stride: int, *, bias: bool) -> SpectralConv2d:
    return SpectralConv2d(
        in_channels,
        out_channels,
        4,
        stride=stride,
        padding=1,
        bias=bias,
        weight_name="weight_bar",
        iterate_in_eval=True,
    )


def initialise(network: nn.Module, method: Literal["xavier", "normal", "kaiming"]) -> None:
    """Initialise a network's weights in place; `xavier` and `normal` as published.

    Args:
        network: any network of this package.
        method: `xavier`: Xavier-normal convolutions (PSGAN); `normal`: N(0, 0.02) convolutions
            and linear layers, batch-norm weights N(1, 0.02) (SSAT, portrait editing); `kaiming`:
            Kaiming-normal ones, for networks without norms. Biases are 0.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            if method == "normal":
                nn.init.normal_(module.weight, 1.0, 0.02)
                nn.init.zeros_(module.bias)
            continue
        if isinstance(module, SpectralConv2d):
            weight, bias = module.raw_weight, module.bias
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight, bias = module.weight, module.bias
        else:
            continue
        if method == "xavier":
            nn.init.xavier_normal_(weight)
        elif method == "kaiming":
            nn.init.kaiming_normal_(weight, mode="fan_out" if _enlarges(module) else "fan_in")
        else:
            nn.init.normal_(weight, 0.0, 0.02)
        if bias is not None:
            nn.init.zeros_(bias)


def _enlarges(module: nn.Module) -> bool:
    return isinstance(module, nn.ConvTranspose2d)
