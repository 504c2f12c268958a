"""The two networks of `mobile`: one reads a look off a face, one paints it on another.

Both are given what physics knows, so that they learn little else: the log light of each cell
relative to the mean skin (`evidence`), in which exposure and the light's colour cancel out, and
that of the mean skin, since the same pigment looks lighter on dark skin. On a path beside the
convolutions each region has an affine map of its own from evidence to answer.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CODES = 16
"""Maps that describe a look: how makeup changed the log light of the face that it was read from
(3), that face's evidence (6), and what the reader found worth adding (7)."""

EVIDENCE = 6
CHANGED, SEEN = slice(0, 3), slice(3, 3 + EVIDENCE)
"""The first two kinds of codes."""

SLOPE = 0.1
"""Of the activations below 0."""

REGION_PLANES = 4
"""Lips, skin, eyes, brows."""

GAMMA, LOG_FLOOR = 2.2, 0.012
"""Light is code to this power; what is added to it before the logarithm."""

HEAD_SCALE = 0.1
"""Factor of the painter's last layer: one step of the optimiser then moves colours a little."""


class ConvNorm(nn.Sequential):
    """3×3 convolution, batch normalisation (folded into it at export), leaky ReLU.

    With a plain ReLU whole faces fall silent early on, since no change is a good first guess.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(SLOPE, inplace=True),
        )


class Residual(nn.Module):
    """Two 3×3 convolutions beside a skip, and the mean over the picture added to every cell.

    The mean carries what belongs to the whole face: the skin's tone, the light.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.overall = nn.Conv2d(width, width, 1)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first(x)
        inner = inner + self.overall(x.mean((2, 3), keepdim=True))
        return F.leaky_relu(x + self.second(inner), SLOPE)


class RegionAffine(nn.Module):
    """An affine map of each cell's values for each region, by the share that regions have in it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.map = nn.Conv2d((inputs + 1) * REGION_PLANES, outputs, 1, bias=False)
        nn.init.zeros_(self.map.weight)

    def forward(self, values: Tensor, shares: Tensor) -> Tensor:
        """values (B, V, H, W), shares (B, 4, H, W); returns (B, outputs, H, W)."""
        parts = [values * shares[:, k : k + 1] for k in range(REGION_PLANES)]
        mapped: Tensor = self.map(torch.cat([*parts, shares], 1))
        return mapped


class Encoder(nn.Module):
    """A face to features at strides 4, 8 and 16.

    Args:
        widths: channels at the three strides.
        blocks: residual blocks at stride 16.
    """

    def __init__(self, widths: tuple[int, int, int], blocks: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, fine, 6, 4, 1, bias=False),
            nn.BatchNorm2d(fine),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.fine = ConvNorm(fine + REGION_PLANES + EVIDENCE, fine)
        self.middle = nn.Sequential(ConvNorm(fine, middle, 2), ConvNorm(middle, middle))
        self.coarse = nn.Sequential(
            ConvNorm(middle, coarse, 2), *(Residual(coarse) for _ in range(blocks))
        )

    def forward(self, image: Tensor, shares: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """image (B, 3, 256, 256) in [0, 1]; shares (B, 4, 64, 64); evidence (B, 6, 64, 64)."""
        fine = self.fine(torch.cat([self.stem(image * 2 - 1), shares, seen], 1))
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)


class Merge(nn.Module):
    """Coarse features, doubled, added to finer ones and to codes; then a 3×3 convolution.

    Sums instead of concatenations: a third of the time at run time.
    """

    def __init__(self, coarse: int, fine: int, codes: int = 0) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(coarse, fine, 1)
        self.wear = nn.Conv2d(codes, fine, 1, bias=False) if codes else None
        self.mix = ConvNorm(fine, fine)

    def forward(self, coarse: Tensor, fine: Tensor, codes: Tensor | None = None) -> Tensor:
        fine = fine + F.interpolate(self.narrow(coarse), scale_factor=2, mode="nearest")
        if self.wear is not None:
            fine = fine + self.wear(codes)
        mixed: Tensor = self.mix(fine)
        return mixed


class Reader(nn.Module):
    """A made-up face to code maps; runs once per look."""

    def __init__(self, widths: tuple[int, int, int] = (32, 48, 64), blocks: int = 2) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.encoder = Encoder(widths, blocks)
        self.middle = Merge(coarse, middle)
        self.fine = Merge(middle, fine)
        self.head = nn.Sequential(ConvNorm(fine, fine), nn.Conv2d(fine, CODES - EVIDENCE, 1))
        nn.init.zeros_(self.head[1].weight[:3])
        nn.init.zeros_(self.head[1].bias)
        self.direct = RegionAffine(EVIDENCE, CODES - EVIDENCE)

    def forward(self, image: Tensor, shares: Tensor) -> Tensor:
        """image (B, 3, 256, 256) in [0, 1], shares (B, 4, 64, 64); returns (B, 16, 64, 64)."""
        seen = evidence(image, shares)
        fine, middle, coarse = self.encoder(image, shares, seen)
        found = self.head(self.fine(self.middle(coarse, middle), fine))
        found = found + self.direct(seen, shares)
        return torch.cat([found[:, :3], seen, found[:, 3:]], 1)


class Painter(nn.Module):
    """A bare face and laid codes to a change of its colours; runs for every frame.

    The change is (gain − 1, offset) for B, G, R on a 128×128 grid, offset in units of 255:
    result = face + change[:3] · face + change[3:].
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 48, 64), blocks: int = 2) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.encoder = Encoder(widths, blocks)
        self.middle = Merge(coarse, middle, CODES)
        self.fine = Merge(middle, fine, CODES)
        self.head = nn.Sequential(ConvNorm(fine, fine), nn.Conv2d(fine, 24, 3, 1, 1))
        nn.init.zeros_(self.head[1].weight)
        nn.init.zeros_(self.head[1].bias)
        self.direct = RegionAffine(3 + 2 * EVIDENCE, 6)

    def forward(self, image: Tensor, shares: Tensor, codes: Tensor) -> Tensor:
        """image (B, 3, 256, 256) in [0, 1], shares (B, 4, 64, 64), codes (B, 16, 64, 64);
        returns (B, 6, 128, 128)."""
        seen = evidence(image, shares)
        fine, middle, coarse = self.encoder(image, shares, seen)
        middle = self.middle(coarse, middle, F.avg_pool2d(codes, 2))
        change = F.pixel_shuffle(HEAD_SCALE * self.head(self.fine(middle, fine, codes)), 2)
        direct = self.direct(torch.cat([codes[:, CHANGED], codes[:, SEEN], seen], 1), shares)
        return change + F.interpolate(direct, scale_factor=2, mode="nearest")


def log_light(image: Tensor) -> Tensor:
    """Codes in [0, 1] to log light."""
    return torch.log(image.clamp(min=1e-6).pow(GAMMA) + LOG_FLOOR)


def evidence(image: Tensor, shares: Tensor) -> Tensor:
    """Log light of each cell relative to the mean skin's, and the mean skin's.

    image (B, 3, 256, 256) in [0, 1], shares (B, 4, 64, 64); returns (B, 6, 64, 64).
    """
    light = log_light(F.avg_pool2d(image.float(), 4))
    skin = shares[:, 1:2]
    mean = (light * skin).sum((2, 3), keepdim=True) / (skin.sum((2, 3), keepdim=True) + 1e-3)
    return torch.cat([light - mean, mean.expand_as(light)], 1)


def region_shares(regions: Tensor) -> Tensor:
    """uint8 (B, 256, 256) region maps to float (B, 4, 64, 64), the share of each region in each
    cell, of which every other row and column is looked at."""
    ids = torch.arange(1, REGION_PLANES + 1, dtype=torch.int32, device=regions.device)
    planes = regions[:, None, ::2, ::2].int() == ids.view(1, -1, 1, 1)
    return F.avg_pool2d(planes.float(), 2)
