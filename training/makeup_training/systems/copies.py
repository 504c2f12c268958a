"""How networks begin as copiers of colours: their first channels carry a picture's colours."""

import torch
from torch import Tensor

COLORS = 6
"""Channels that carry colours: red, green and blue, then the negative of each."""

SIGNS = torch.cat([torch.eye(3), -torch.eye(3)])
"""Colours to these channels; transposed, back, of what a ReLU leaves of them."""

SMALL = 0.1
"""Of what is random beside them: last convolutions of residual branches and of the network."""


def carry(weight: Tensor, kernel: Tensor, colors: Tensor) -> None:
    """Let the first channels of a convolution, (out, in, k, k), be `colors` of its first inputs."""
    rows, columns = colors.shape
    weight[:rows] = 0
    weight[:rows, :columns] = colors[..., None, None] * kernel
