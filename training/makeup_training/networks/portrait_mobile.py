"""Mobile-class portrait editing: a parser of faces and a parser of heads.

The published editor encodes each part as a vector and decodes it, which needs a wide network and
many faces. The mobile-class editor moves the parts' pixels instead (`makeup_sdk.editor`), so its
networks only have to predict the label of the face, and where the hair is.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.portrait_edit import LABEL_CLASSES

CHANNELS = (1, 2, 4, 6, 8)
"""Channels of the stages, in units of the width."""
HEAD_CLASSES = ("background", "face", "hair", "rest")
"""Classes of the head's crop; the rest is of the person: ears, neck, clothes."""


class UNet(nn.Module):
    """U-Net with two convolutions per stage, strided down, bilinear up, skip connections.

    No norms: the output at a pixel does not depend on distant parts of the picture.

    Args:
        inputs, outputs: channels.
        width: channels of the first stage.
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        sizes = [factor * width for factor in CHANNELS]
        self.first = nn.Conv2d(inputs, sizes[0], 3, padding=1)
        self.down = nn.ModuleList(_Stage(a, b, 2) for a, b in pairwise(sizes))
        self.up = nn.ModuleList(
            _Stage(a + b, a, 1) for a, b in zip(sizes[-2::-1], sizes[:0:-1], strict=True)
        )
        self.last = nn.Conv2d(sizes[0], outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, S, S) to (B, outputs, S, S), S a multiple of 16."""
        x = _active(self.first(x))
        skips = [x]
        for stage in self.down:
            skips.append(x := stage(x))
        skips.pop()
        for stage in self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = stage(torch.cat([x, skips.pop()], 1))
        result: Tensor = self.last(x)
        return result


class _Stage(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.refine = nn.Conv2d(outputs, outputs, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = _active(self.enter(x))
        return x + _active(self.refine(x))


def _active(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.1)


class MobilePortraitEditor(nn.Module):
    """The two parsers of the mobile-class portrait editor.

    Args:
        width: channels of the face parser's first stage; the head parser has three quarters.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.parser = UNet(3, LABEL_CLASSES, width)
        self.head = UNet(3, len(HEAD_CLASSES), max(1, 3 * width // 4))

    def forward(self, image: Tensor) -> Tensor:
        """Face (B, 3, S, S) in [−1, 1] to class logits (B, 11, S, S)."""
        logits: Tensor = self.parser(image)
        return logits

    def parse_head(self, image: Tensor) -> Tensor:
        """Head (B, 3, S, S) in [−1, 1] to class logits (B, 4, S, S)."""
        logits: Tensor = self.head(image)
        return logits
