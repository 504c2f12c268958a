"""Networks used only in training portrait editing: face parser and multi-scale discriminator."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.portrait_edit import LABEL_CLASSES


class FaceParser(nn.Module):
    """U-Net of six stride-2 stages that parses a face into 11 classes (`P`, kept fixed).

    The last layer is a tanh followed by a soft-max, so the probabilities are soft. The published
    transposed convolutions produce one extra row and column and cut them off; these produce the
    final size, with the same result in evaluation mode. 29,260,427 parameters at width 64.
    Keys: `model.model.{0,1,3}` and, nested at each `…1` and `…3`, `.model.{1,2,3,5,6}`; innermost
    `.model.{1,3,4}`.

    Args:
        width: channels of the first stage (published: 64).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.model = _OuterLevel(width)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [−1, 1], sides divisible by 64, to probabilities (B, 11, H, W)."""
        scores: Tensor = self.model(image)
        return scores.softmax(1)


class _OuterLevel(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 8 * width, 8 * width, 8 * width]
        inner: nn.Module = _UNetLevel(channels[-2], channels[-1], None)
        for level in range(4, 0, -1):
            inner = _UNetLevel(channels[level - 1], channels[level], inner, dropout=level == 4)
        self.model = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1, bias=False),
            inner,
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * width, LABEL_CLASSES, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class _UNetLevel(nn.Module):
    """Down, the levels below, up; the output is the activated input beside the result."""

    def __init__(
        self, outer: int, inner: int, below: nn.Module | None, *, dropout: bool = False
    ) -> None:
        super().__init__()
        down = nn.Conv2d(outer, inner, 4, 2, 1, bias=False)
        width = inner if below is None else 2 * inner
        up = [
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, outer, 4, 2, 1, bias=False),
            nn.BatchNorm2d(outer),
        ]
        between = [] if below is None else [nn.BatchNorm2d(inner), below]
        tail = [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(nn.LeakyReLU(0.2), down, *between, *up, *tail)

    def forward(self, x: Tensor) -> Tensor:
        # as published: the activation is in place, so the skip connection carries its result
        activated = self.model[0](x)
        return torch.cat([activated, self.model[1:](activated)], 1)


class MultiScaleDiscriminator(nn.Module):
    """Patch discriminators on image and label at full and half size (`D`, `D2`).

    Four k4p2 stages (64, 128, 256 with stride 2, 512 with stride 1) and a score map; LeakyReLU 0.2,
    batch norm on stages 2 to 4. 5,555,586 parameters at width 64. Keys
    `scale{0,1}_layer{0..4}.{0,1}`; scale 1 is the full-resolution one.

    Args:
        width: channels of the first stage (published: 64).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = [LABEL_CLASSES + 3, width, 2 * width, 4 * width, 8 * width]
        for scale in (0, 1):
            for i in range(4):
                layers: list[nn.Module] = [
                    nn.Conv2d(channels[i], channels[i + 1], 4, 1 if i == 3 else 2, 2)
                ]
                if i:
                    layers.append(nn.BatchNorm2d(channels[i + 1]))
                layers.append(nn.LeakyReLU(0.2, inplace=True))
                self.add_module(f"scale{scale}_layer{i}", nn.Sequential(*layers))
            score = nn.Sequential(nn.Conv2d(channels[-1], 1, 4, 1, 2))
            self.add_module(f"scale{scale}_layer4", score)

    def forward(self, label_planes: Tensor, image: Tensor) -> list[list[Tensor]]:
        """One-hot labels (B, 11, H, W) and image (B, 3, H, W) to the outputs of all layers.

        Returns:
            per scale, full resolution first, the five layers' outputs; the last is the raw score
            map.
        """
        x = torch.cat([label_planes, image], 1)
        outputs = []
        for scale in (1, 0):
            layers = []
            y = x
            for i in range(5):
                y = self.get_submodule(f"scale{scale}_layer{i}")(y)
                layers.append(y)
            outputs.append(layers)
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return outputs
