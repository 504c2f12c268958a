"""Exact rewrites of trained networks before export: same function, cheaper or simpler graphs."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

HALF_RANGE = 127.5
"""Exported graphs read pixel − 127.5; an output value v means the pixel 127.5·v + 127.5."""


def read_pixels(convolution: nn.Conv2d) -> None:
    """Make a first convolution read BGR pixels minus 127.5 instead of RGB in [−1, 1], in place.

    The division and the channel order move into the weights. The mean stays outside: zero padding
    means mid-grey, which a bias could not reproduce at the border.
    """
    reorder_inputs(convolution)
    with torch.no_grad():
        convolution.weight[:, :3] /= HALF_RANGE


def reorder_inputs(convolution: nn.Conv2d) -> None:
    """Make a convolution that reads an RGB image read BGR, in place."""
    with torch.no_grad():
        convolution.weight[:, :3] = convolution.weight[:, :3].flip(1).clone()


def reorder_outputs(convolution: nn.Conv2d) -> None:
    """Make a convolution that outputs an RGB image output BGR, in place."""
    with torch.no_grad():
        convolution.weight.copy_(convolution.weight.flip(0).clone())
        if convolution.bias is not None:
            convolution.bias.copy_(convolution.bias.flip(0).clone())


def drop_bias(*convolutions: nn.Module) -> None:
    """Remove biases that a directly following instance norm cancels, in place."""
    for convolution in convolutions:
        convolution.bias = None  # type: ignore[assignment]


class PhaseTransposed(nn.Module):
    """A transposed convolution k4 s2 p1 as a 2×2 convolution whose channels become pixels.

    Output pixel 2m − 1 mixes x[m−1]·w[2] + x[m]·w[0], and pixel 2m mixes x[m−1]·w[3] + x[m]·w[1],
    along each axis: one 2×2 convolution over the map padded by 1 gives all four phases. It needs
    the same multiply-adds, but every runtime has tuned it and it quantises like any convolution.
    Pixels are placed as rows of channels: CPU runtimes gather rows several times faster than they
    shuffle and slice planes. Exact up to the order of additions.

    (B, C, H, W) to (B, C', 2H, 2W).
    """

    def __init__(self, transposed: nn.ConvTranspose2d) -> None:
        super().__init__()
        taps = ((2, 0), (3, 1))
        weight = transposed.weight.detach().transpose(0, 1)  # (C', C, 4, 4)
        phases = [weight[:, :, list(rows)][..., list(columns)] for rows in taps for columns in taps]
        inputs, outputs = transposed.in_channels, transposed.out_channels
        with_bias = transposed.bias is not None
        self.convolution = nn.Conv2d(inputs, 4 * outputs, 2, padding=1, bias=with_bias)
        self.convolution.weight = nn.Parameter(torch.cat(phases))
        if transposed.bias is not None:
            self.convolution.bias = nn.Parameter(transposed.bias.detach().repeat(4))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        phases = self.convolution(x).permute(0, 2, 3, 1).unflatten(3, (4, -1))
        y, x_ = np.ogrid[1 : 2 * height + 1, 1 : 2 * width + 1]
        rows = (y // 2 * (width + 1) + x_ // 2) * 4 + y % 2 * 2 + x_ % 2
        pixels = phases.flatten(1, 3).index_select(1, torch.from_numpy(rows.ravel()))
        # a copy: an in-place ReLU on a view would be traced as a write into its base
        return pixels.transpose(1, 2).unflatten(2, (2 * height, 2 * width)).contiguous()


class BlockOutput(nn.Module):
    """A last convolution with few output channels, computed in blocks of 4×4 output pixels.

    Runtimes compute output channels in blocks of 8 or 16, so the 3 of an image cost as much as 16.
    Here the kernel, shifted to each pixel of a block, gives 16 times the channels at stride 4,
    which are then shuffled into place: about a third of the work. Exact.

    (B, C, H, W) to (B, C', H', W'), H' and W' multiples of 4.

    Args:
        convolution: of stride 1.
    """

    SIDE = 4

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        kernel, outputs, step = convolution.weight.detach(), convolution.out_channels, self.SIDE
        side = convolution.kernel_size[0]
        inputs, large = convolution.in_channels, side + step - 1
        weight = kernel.new_zeros(outputs, step, step, inputs, large, large)
        for y in range(step):
            for x in range(step):
                weight[:, y, x, :, y : y + side, x : x + side] = kernel
        with_bias = convolution.bias is not None
        self.convolution = nn.Conv2d(
            inputs, outputs * step**2, large, step, convolution.padding, bias=with_bias
        )
        self.convolution.weight = nn.Parameter(weight.flatten(0, 2))
        if convolution.bias is not None:
            bias = convolution.bias.detach().repeat_interleave(step**2)
            self.convolution.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.convolution(x), self.SIDE)


def rewrite_transposed(network: nn.Module) -> None:
    """Replace every transposed convolution k4 s2 p1 by its `PhaseTransposed`, in place.

    A batch norm directly after one, in a `Sequential`, is folded into it first.
    """
    children = list(network.named_children())
    for i, (name, child) in enumerate(children):
        if not isinstance(child, nn.ConvTranspose2d):
            rewrite_transposed(child)
        elif (child.kernel_size, child.stride, child.padding) == ((4, 4), (2, 2), (1, 1)):
            following = children[i + 1] if i + 1 < len(children) else ("", nn.Identity())
            if isinstance(network, nn.Sequential) and isinstance(following[1], nn.BatchNorm2d):
                child = fuse_conv_bn_eval(child, following[1], transpose=True)  # noqa: PLW2901
                setattr(network, following[0], nn.Identity())
            setattr(network, name, PhaseTransposed(child))
