"""Initialise networks to copy colours: their first channels carry a picture's colours."""

import torch
from torch import Tensor

COLORS = 6
"""Channels that carry colours: red, green and blue, then the negative of each."""

SIGNS = torch.cat([torch.eye(3), -torch.eye(3)])
"""Matrix from colours to these channels; its transpose inverts it even after a ReLU."""

SMALL = 0.1
"""Scale of the random weights in the last convolutions of residual branches and of the network."""


def carry(weight: Tensor, kernel: Tensor, colors: Tensor) -> None:
    """Set a convolution's (out, in, k, k) first outputs to `colors` times its first inputs."""
    rows, columns = colors.shape
    weight[:rows] = 0
    weight[:rows, :columns] = colors[..., None, None] * kernel
