"""Exact rewrites of trained networks before export: same function, cheaper or plainer graphs."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

HALF_RANGE = 127.5
"""Exported graphs read pixel − 127.5 and give a value v for the pixel 127.5·v + 127.5."""


def read_pixels(convolution: nn.Conv2d) -> None:
    """Let a first convolution read BGR pixels minus 127.5 instead of RGB in [−1, 1], in place.

    The division and the channel order move into the weights. The mean stays outside: zero padding
    stands for mid-grey, which a bias could not keep at the border.
    """
    reorder_inputs(convolution)
    with torch.no_grad():
        convolution.weight[:, :3] /= HALF_RANGE


def reorder_inputs(convolution: nn.Conv2d) -> None:
    """Let a convolution of an RGB image read BGR, in place."""
    with torch.no_grad():
        convolution.weight[:, :3] = convolution.weight[:, :3].flip(1).clone()


def reorder_outputs(convolution: nn.Conv2d) -> None:
    """Let a convolution that makes an RGB image make BGR, in place."""
    with torch.no_grad():
        convolution.weight.copy_(convolution.weight.flip(0).clone())
        if convolution.bias is not None:
            convolution.bias.copy_(convolution.bias.flip(0).clone())


def drop_bias(*convolutions: nn.Module) -> None:
    """Remove biases that an instance norm right behind cancels, in place."""
    for convolution in convolutions:
        convolution.bias = None  # type: ignore[assignment]


class PhaseTransposed(nn.Module):
    """A transposed convolution k4 s2 p1 as a 2×2 convolution and a shuffle of its channels.

    Output pixel 2m − 1 mixes x[m−1]·w[2] + x[m]·w[0], and pixel 2m mixes x[m−1]·w[3] + x[m]·w[1],
    along each axis: one 2×2 convolution over the map padded by 1 gives all four phases, shuffled
    into place and cut by one pixel all around. The same multiply-adds, in an operation that every
    runtime has tuned and that quantises like any convolution. Exact but for the order of additions.

    (B, C, H, W) to (B, C', 2H, 2W).
    """

    def __init__(self, transposed: nn.ConvTranspose2d) -> None:
        super().__init__()
        taps = ((2, 0), (3, 1))
        weight = transposed.weight.detach().transpose(0, 1)  # (C', C, 4, 4)
        phases = [weight[:, :, list(rows)][..., list(columns)] for rows in taps for columns in taps]
        stacked = torch.stack(phases, 1).flatten(0, 1)
        self.convolution = nn.Conv2d(
            stacked.shape[1], stacked.shape[0], 2, padding=1, bias=transposed.bias is not None
        )
        self.convolution.weight = nn.Parameter(stacked)
        if transposed.bias is not None:
            bias = transposed.bias.detach().repeat_interleave(len(phases))
            self.convolution.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        cut = functional.pixel_shuffle(self.convolution(x), 2)[..., 1:-1, 1:-1]
        # a copy: an in-place ReLU behind a view would be traced as a write into the uncut map
        return cut.contiguous()


class PairedOutput(nn.Module):
    """A last convolution with few output channels, run for 2×2 output pixels at once.

    Runtimes compute output channels in blocks of 8 or 16, so that the 3 of an image cost as much as
    16. Here the kernel, shifted by each pixel of a 2×2 block, makes 4 times the channels at stride
    2, which are then shuffled into place: about a third of the work. Exact.

    (B, C, H, W) to (B, C', H', W'), H' and W' even.

    Args:
        convolution: of stride 1.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        side = convolution.kernel_size[0]
        channels, count = convolution.in_channels, convolution.out_channels
        weight = convolution.weight.detach().new_zeros(count, 4, channels, side + 1, side + 1)
        for phase in range(4):
            y, x = divmod(phase, 2)
            weight[:, phase, :, y : y + side, x : x + side] = convolution.weight.detach()
        padding = convolution.padding
        bias = convolution.bias
        self.convolution = nn.Conv2d(
            channels, 4 * count, side + 1, 2, padding, bias=bias is not None
        )
        self.convolution.weight = nn.Parameter(weight.flatten(0, 1))
        if bias is not None:
            self.convolution.bias = nn.Parameter(bias.detach().repeat_interleave(4))

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.convolution(x), 2)


def rewrite_transposed(network: nn.Module) -> None:
    """Replace every transposed convolution k4 s2 p1 by its `PhaseTransposed`, in place.

    A batch norm right behind one, in a `Sequential`, is folded into it first.
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
