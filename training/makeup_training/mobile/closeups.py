"""Networks for lips and eyes, in windows of the crop.

Lips are about 16 pixels high in a crop: on cells of 4 pixels half of their area is border. A face
crop is upright and of fixed size, so each feature lies within a fixed window of it, one part in
twenty of its area, and a painter there can afford full resolution. What a feature wears is one list
of numbers (pigment, opacity, gloss, extent, liner, as the network sees fit), the same in all cells
of its region; where it goes, the painter knows from the face itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makeup_kernels import CROP_SIZE, Region
from makeup_training.mobile.networks import (
    CHANGE,
    CODES,
    GAMMA,
    HEAD_SCALE,
    MAP_STRIDE,
    REGION_PLANES,
    SLOPE,
    ConvNorm,
    log_light,
    planes,
)

TONE = 9
"""Mean log light of a region (3) and of the skin in its window (3), both relative to that of the
whole face's skin, and that one's own (3)."""

HIDDEN = 128

CELL_NOISE = 0.06
"""Log light; standard deviation of the noise that the reader learns under."""


@dataclass(frozen=True)
class Window:
    """A part of the crop, in cells of the change (2 pixels), each a multiple of 4."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns in the crop, in pixels."""
        return (
            slice(MAP_STRIDE * self.top, MAP_STRIDE * self.bottom),
            slice(MAP_STRIDE * self.left, MAP_STRIDE * self.right),
        )

    def pixels(self, image: Tensor) -> Tensor:
        """Of (..., 256, 256) the window."""
        rows, columns = self.slices
        return image[..., rows, columns]

    def put(self, change: Tensor) -> Tensor:
        """(B, N, h, w) of the window to (B, N, 128, 128), 0 around it."""
        side = CROP_SIZE // MAP_STRIDE
        around = (self.left, side - self.right, self.top, side - self.bottom)
        return F.pad(change, around)


WINDOWS = {Region.LIPS: Window(80, 104, 44, 84), Region.EYES: Window(40, 68, 32, 96)}
"""With 999 of 1000 of the regions' pixels on the training faces."""


class CloseUpReader(nn.Module):
    """A made-up feature to the list of numbers that describes what it wears.

    It sees the mean light of the region in cells of 4 pixels, in training under noise, and nothing
    finer: a reader that saw the pixels took real lipsticks for bare lips, apparently because it
    knew painted faces by what the renderer's brushwork leaves behind.

    Args:
        region: the feature.
        widths: channels on the cells and on those of 8 pixels.
    """

    def __init__(self, region: Region, widths: tuple[int, int] = (48, 64)) -> None:
        super().__init__()
        self.region, self.window = region, WINDOWS[region]
        fine, coarse = widths
        self.fine = ConvNorm(3 + REGION_PLANES, fine)
        self.told = nn.Conv2d(TONE, fine, 1)
        self.coarse = nn.Sequential(ConvNorm(fine, coarse, 2), ConvNorm(coarse, coarse))
        self.sum_up = nn.Sequential(
            nn.Conv2d(fine + coarse + TONE, HIDDEN, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(HIDDEN, HIDDEN, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(HIDDEN, CODES, 1),
        )

    def forward(self, image: Tensor, regions: Tensor, skin: Tensor) -> Tensor:
        """See `view`; gives (B, 16, 1, 1)."""
        light, shares, tone = view(self.region, image, regions, skin)
        own = shares[:, self.region - 1 : self.region]
        cells, own = F.avg_pool2d(light * own, 4), F.avg_pool2d(own, 4)
        cells = cells / own.clamp(min=0.05)
        if self.training:
            cells = cells + CELL_NOISE * torch.randn_like(cells) * (own > 0)
        fine = self.fine(torch.cat([cells, F.avg_pool2d(shares, 4)], 1)) + self.told(tone)
        coarse = self.coarse(fine)
        means = [_mean(fine, own), _mean(coarse, F.avg_pool2d(own, 2))]
        codes: Tensor = self.sum_up(torch.cat([*means, tone], 1))
        return codes


class CloseUpPainter(nn.Module):
    """A bare feature and such a list to a change of its colours.

    Beside the convolutions an affine map from list and tone to a change of log light, the same in
    all cells, is the first guess of the gain.

    Args:
        region: the feature.
        widths: channels at strides 2, 4 and 8.
    """

    def __init__(self, region: Region, widths: tuple[int, int, int] = (32, 48, 64)) -> None:
        super().__init__()
        self.region, self.window = region, WINDOWS[region]
        fine, middle, coarse = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3 + REGION_PLANES, fine, 4, 2, 1, bias=False),
            nn.BatchNorm2d(fine),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.fine = ConvNorm(fine, fine)
        self.middle = nn.Sequential(ConvNorm(fine, middle, 2))
        self.middle_on = ConvNorm(middle, middle)
        self.coarse = ConvNorm(middle, coarse, 2)
        self.coarse_on = ConvNorm(coarse, coarse)
        self.told = nn.ModuleList(nn.Conv2d(CODES + TONE, width, 1) for width in widths)
        self.to_middle, self.to_fine = nn.Conv2d(coarse, middle, 1), nn.Conv2d(middle, fine, 1)
        self.on_middle, self.on_fine = ConvNorm(middle, middle), ConvNorm(fine, fine)
        self.told_last = nn.Conv2d(CODES + TONE, fine, 1)
        self.head = nn.Conv2d(fine, CHANGE, 1)
        self.direct = nn.Conv2d(CODES + TONE, 3, 1)
        for last in (self.head, self.direct):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def forward(self, image: Tensor, regions: Tensor, skin: Tensor, codes: Tensor) -> Tensor:
        """See `view`; codes (B, 16, 1, 1); gives (B, 6, h / 2, w / 2)."""
        light, shares, tone = view(self.region, image, regions, skin)
        given = torch.cat([codes, tone], 1)
        to_fine, to_middle, to_coarse = (told(given) for told in self.told)
        fine = self.fine(self.stem(torch.cat([light, shares], 1)) + to_fine)
        middle = self.middle_on(self.middle(fine) + to_middle)
        coarse = self.coarse_on(self.coarse(middle) + to_coarse)
        middle = self.on_middle(middle + _doubled(self.to_middle(coarse)))
        fine = self.on_fine(fine + _doubled(self.to_fine(middle)) + self.told_last(given))
        first = torch.exp(self.direct(given).float() / GAMMA) - 1
        found: Tensor = HEAD_SCALE * self.head(fine)
        return torch.cat([found[:, :3] + first, found[:, 3:]], 1)


def view(
    region: Region, image: Tensor, regions: Tensor, skin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Log light relative to the skin (B, 3, h, w), shares of the regions (B, 4, h, w), and the tone
    (B, 9, 1, 1) of one of them.

    image (B, 3, h, w) in [0, 1] and regions uint8 (B, h, w), both of the window; skin (B, 3, 1, 1),
    mean log light of the whole face's skin.
    """
    light, shares = log_light(image.float()) - skin, planes(regions)
    means = [_mean(light, shares[:, k - 1 : k]) for k in (region, Region.SKIN)]
    return light, shares, torch.cat([*means, skin], 1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Over (B, V, h, w), weighted by (B, 1, h, w); gives (B, V, 1, 1)."""
    total = (values.float() * weights).sum((2, 3), keepdim=True)
    return total / (weights.sum((2, 3), keepdim=True) + 1e-3)


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")
