"""Networks for lips and eyes, in windows of the crop.

Lips are about 16 pixels high in a crop: on cells of 4 pixels half of their area is border. A face
crop is upright and of fixed size, so each feature lies within a fixed window of it, one part in
twenty of its area, and a painter there can afford full resolution. What a feature wears is one list
of numbers (pigment, opacity, gloss, extent, liner, as the network sees fit), the same in all cells
of its region; where it goes, the painter knows from the face itself.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS
from makeup_training.mobile.networks import (
    CHANGE,
    CODES,
    DETAIL,
    GAMMA,
    HEAD_SCALE,
    REGION_PLANES,
    SLOPE,
    ConvNorm,
    finer,
    log_light,
    planes,
    weighted_mean,
)
from makeup_training.mobile.structure import PLACE, STRUCTURE, place, structure

TONE = 9
"""Mean log light of a region (3) and of the skin in its window (3), both relative to that of the
cheeks, and that one's own (3)."""

SHOWN = {Region.LIPS: slice(0, 3), Region.EYES: slice(1, 4)}
"""Planes of the regions that a window can show: brows are never in that of lips, nor lips in that
of eyes."""

HIDDEN = 128

CELL_NOISE = 0.06
"""Log light; standard deviation of the noise that the reader learns under."""

STRUCTURE_NOISE = 0.04
"""The same on `structure`."""


WINDOWS = {Region.LIPS: CHANGE_GRIDS["lips"], Region.EYES: CHANGE_GRIDS["eyes"]}


def cut(region: Region, image: Tensor) -> Tensor:
    """Of (..., 256, 256) the region's window."""
    rows, columns = WINDOWS[region].pixels
    return image[..., rows, columns]


class CloseUpReader(nn.Module):
    """A made-up feature to the list of numbers that describes what it wears.

    It sees the mean light of the region in cells of 4 pixels, in training under noise, and of
    anything finer only what `structure` says: a reader that saw the pixels took real lipsticks for
    bare lips, apparently because it knew painted faces by what the renderer's brushwork leaves
    behind.

    Args:
        region: the feature.
        widths: channels on the cells and on those of 8 pixels.
    """

    def __init__(self, region: Region, widths: tuple[int, int] = (48, 64)) -> None:
        super().__init__()
        self.region = region
        fine, coarse = widths
        self.fine = ConvNorm(3 + REGION_PLANES, fine)
        self.told = nn.Conv2d(TONE, fine, 1)
        self.coarse = nn.Sequential(ConvNorm(fine, coarse, 2), ConvNorm(coarse, coarse))
        self.sum_up = nn.Sequential(
            nn.Conv2d(fine + coarse + TONE + STRUCTURE[region], HIDDEN, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(HIDDEN, HIDDEN, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(HIDDEN, CODES, 1),
        )

    def forward(self, image: Tensor, regions: Tensor, cheeks: Tensor, landmarks: Tensor) -> Tensor:
        """See `view`; landmarks (B, 68, 2), crop pixels; gives (B, 16, 1, 1)."""
        light, shares, tone = view(self.region, image, regions, cheeks)
        own = shares[:, self.region - 1 : self.region]
        cells, own = F.avg_pool2d(light * own, 4), F.avg_pool2d(own, 4)
        cells = cells / own.clamp(min=0.05)
        if self.training:
            cells = cells + CELL_NOISE * torch.randn_like(cells) * (own > 0)
        fine = self.fine(torch.cat([cells, F.avg_pool2d(shares, 4)], 1)) + self.told(tone)
        coarse = self.coarse(fine)
        means = [weighted_mean(fine, own), weighted_mean(coarse, F.avg_pool2d(own, 2))]
        finest = structure(self.region, light, shares, landmarks)
        if self.training:
            finest = finest + STRUCTURE_NOISE * torch.randn_like(finest)
        codes: Tensor = self.sum_up(torch.cat([*means, tone, finest], 1))
        return codes


class CloseUpPainter(nn.Module):
    """A bare feature and such a list to a change of its colours.

    Beside the convolutions an affine map from list and tone to a change of log light, the same in
    all pixels, is the first guess of the gain. The convolutions are told where a pixel is
    (`place`). Two last small ones see the pixels themselves: lips are 16 of them high, their liner
    is one wide.

    Args:
        region: the feature.
        widths: channels at strides 2, 4 and 8.
    """

    def __init__(self, region: Region, widths: tuple[int, int, int] = (32, 48, 64)) -> None:
        super().__init__()
        self.region = region
        fine, middle, coarse = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3 + REGION_PLANES + PLACE, fine, 4, 2, 1, bias=False),
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
        self.context = nn.Conv2d(fine, 4 * DETAIL, 1)
        self.detail = ConvNorm(DETAIL + 3 + 3 + PLACE, 2 * DETAIL)
        self.detail_on = ConvNorm(2 * DETAIL, 2 * DETAIL)
        nn.init.zeros_(self.detail_on[1].weight)
        self.last = nn.Conv2d(2 * DETAIL, CHANGE, 1)
        self.direct = nn.Conv2d(CODES + TONE, 3, 1)
        for last in (self.head, self.last, self.direct):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def forward(self, image: Tensor, regions: Tensor, cheeks: Tensor, codes: Tensor) -> Tensor:
        """See `view`; codes (B, 16, 1, 1); gives (B, 6, h, w)."""
        light, shares, tone = view(self.region, image, regions, cheeks)
        where = place(self.region, shares)
        given = torch.cat([codes, tone], 1)
        to_fine, to_middle, to_coarse = (told(given) for told in self.told)
        fine = self.fine(self.stem(torch.cat([light, shares, where], 1)) + to_fine)
        middle = self.middle_on(self.middle(fine) + to_middle)
        coarse = self.coarse_on(self.coarse(middle) + to_coarse)
        middle = self.on_middle(middle + _doubled(self.to_middle(coarse)))
        fine = self.on_fine(fine + _doubled(self.to_fine(middle)) + self.told_last(given))
        first = torch.exp(self.direct(given).float() / GAMMA) - 1
        context = F.pixel_shuffle(self.context(fine), 2)
        near = [light, shares[:, SHOWN[self.region]], where]
        detail = self.detail(torch.cat([context, *near], 1))
        found: Tensor = HEAD_SCALE * (
            finer(self.head(fine)) + self.last(detail + self.detail_on(detail))
        )
        return torch.cat([found[:, :3] + first, found[:, 3:]], 1)


def view(
    region: Region, image: Tensor, regions: Tensor, cheeks: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Log light relative to the cheeks (B, 3, h, w), shares of the regions (B, 4, h, w), and the
    tone (B, 9, 1, 1) of one of them.

    image (B, 3, h, w) in [0, 1] and regions uint8 (B, h, w), both of the window; cheeks
    (B, 3, 1, 1), see `cheek_light`.
    """
    light, shares = log_light(image.float()) - cheeks, planes(regions)
    means = [weighted_mean(light, shares[:, k - 1 : k]) for k in (region, Region.SKIN)]
    return light, shares, torch.cat([*means, cheeks], 1)


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")
