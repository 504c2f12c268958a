"""The networks of `mobile` for the whole face: one reads what skin and brows wear, one paints it.

Lips and eyes have networks of their own (`closeups`). Both are given what physics knows, so that
they learn little else: the log light of each cell relative to the mean skin (`evidence`), in which
exposure and the light's colour cancel out, and that of the mean skin, since the same pigment looks
lighter on dark skin. On a path beside the convolutions each region has an affine map of its own
from evidence to answer.

A cell belongs to one region, and what is said of it is said of its pixels in that region alone;
the painter answers for each region apart, and mixes the answers by the finer shares that regions
have in the cells of the change. Otherwise every brow would have a fringe, half brow and half skin.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makeup_kernels import Region

CODES = 16
"""Maps that describe a look. On skin and brows: how makeup changed the log light of the face that
it was read from (3), that face's evidence (6), and what the reader found worth adding (7). On lips
and on eyes: one list of numbers for all cells of the region."""

EVIDENCE = 6
CHANGED, SEEN = slice(0, 3), slice(3, 3 + EVIDENCE)
"""The first two kinds of codes on skin and brows."""

SLOPE = 0.1
"""Of the activations below 0."""

REGION_PLANES = 4
"""Lips, skin, eyes, brows."""

FACE = (Region.SKIN, Region.BROWS)
"""What the networks of this module are for."""

GAMMA, LOG_FLOOR = 2.2, 0.012
"""Light is code to this power; what is added to it before the logarithm."""

CHANGE = 6
"""Planes of a change."""

MAP_STRIDE = 2
"""Crop pixels per cell of a change."""

SHINE = 0.1
"""Log light over that of the skin around, from which on skin shines."""

DETAIL = 8
"""Features on the grid of the change."""

HEAD_SCALE = 0.1
"""Factor of the painter's last layers: one step of the optimiser then moves colours a little."""


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


class FaceReader(nn.Module):
    """A made-up face to code maps of skin and brows."""

    def __init__(self, widths: tuple[int, int, int] = (32, 48, 64), blocks: int = 2) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.encoder = Encoder(widths, blocks)
        self.middle = Merge(coarse, middle)
        self.fine = Merge(middle, fine)
        self.head = nn.Sequential(ConvNorm(fine, fine), nn.Conv2d(fine, CODES - EVIDENCE, 1))
        nn.init.zeros_(self.head[1].weight[:3])
        nn.init.zeros_(self.head[1].bias)
        self.direct = region_maps(EVIDENCE, CODES - EVIDENCE)

    def forward(self, image: Tensor, regions: Tensor) -> Tensor:
        """image (B, 3, 256, 256) in [0, 1], regions uint8 (B, 256, 256); gives (B, 16, 64, 64)."""
        shares, seen = region_shares(regions), evidence(image, regions)
        fine, middle, coarse = self.encoder(image, shares, seen)
        found = self.head(self.fine(self.middle(coarse, middle), fine))
        found = found + by_region(self.direct(seen), regions)
        return torch.cat([found[:, :3], seen, found[:, 3:]], 1)


class FacePainter(nn.Module):
    """A bare face and laid codes to a change of the colours of skin and brows.

    The change is (gain − 1, offset) for B, G, R on a 128×128 grid, offset in units of 255:
    result = face + change[:3] · face + change[3:]. It is the mean of what each region asks for,
    by their shares, and two corrections that see the face itself on that grid: how far the skin's
    unevenness is levelled out (foundation), and what a small convolution finds (pores, hairs).
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 48, 64), blocks: int = 2) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.encoder = Encoder(widths, blocks)
        self.middle = Merge(coarse, middle, CODES)
        self.fine = Merge(middle, fine, CODES)
        self.head = nn.Sequential(ConvNorm(fine, fine), nn.Conv2d(fine, CHANGE * len(FACE), 1))
        self.direct = region_maps(3 + 2 * EVIDENCE, CHANGE)
        self.context = nn.Conv2d(fine, 4 * DETAIL, 1)
        self.detail = nn.Sequential(
            ConvNorm(DETAIL + 3 + REGION_PLANES + 1, 2 * DETAIL), nn.Conv2d(2 * DETAIL, CHANGE, 1)
        )
        self.level = nn.Conv2d(fine, 3 * 3, 1)
        for last in (self.head[1], self.detail[1], self.level):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, image: Tensor, regions: Tensor, codes: Tensor) -> Tensor:
        """image (B, 3, 256, 256) in [0, 1], regions uint8 (B, 256, 256), codes (B, 16, 64, 64);
        returns (B, 6, 128, 128)."""
        shares, seen = region_shares(regions), evidence(image, regions)
        codes = codes * of_face(planes(regions[:, ::4, ::4])).sum(1, keepdim=True)
        fine, middle, coarse = self.encoder(image, shares, seen)
        middle = self.middle(coarse, middle, F.avg_pool2d(codes, 2))
        fine = self.fine(middle, fine, codes)
        direct = self.direct(torch.cat([codes[:, CHANGED], codes[:, SEEN], seen], 1))
        asked = spread(direct, regions) + HEAD_SCALE * self.head(fine)
        fine_shares = F.avg_pool2d(planes(regions), 2)
        light = log_light(F.avg_pool2d(image.float(), 2)) - seen[:, 3:, :1, :1]
        uneven = unevenness(light, fine_shares[:, 1:2])
        mean = uneven.mean(1, keepdim=True)
        context = F.pixel_shuffle(self.context(fine), 2)
        detail = self.detail(torch.cat([context, light, fine_shares, mean], 1))
        weights = weights_of(fine_shares)
        answer = mix(asked, weights) + HEAD_SCALE * detail * weights.sum(1, keepdim=True)
        own, all_alike, shine = finer(HEAD_SCALE * self.level(fine)).split(3, 1)
        levelled = own * uneven + all_alike * mean + shine * F.relu(mean - SHINE)
        return torch.cat([answer[:, :3] + levelled * weights[:, :1], answer[:, 3:]], 1)


def log_light(image: Tensor) -> Tensor:
    """Codes in [0, 1] to log light.

    The power is taken by way of the logarithm: at run time that is three times as fast.
    """
    return torch.log(torch.exp(GAMMA * torch.log(image.clamp(min=1e-6))) + LOG_FLOOR)


def unevenness(light: Tensor, skin: Tensor) -> Tensor:
    """Log light of the skin relative to that of the skin around it, 0 elsewhere.

    light (B, 3, 128, 128), skin (B, 1, 128, 128) its share; returns (B, 3, 128, 128).
    """
    around = F.avg_pool2d(F.avg_pool2d(torch.cat([light * skin, skin], 1), 2), 7, 1, 3)
    return (light - finer(around[:, :3] / around[:, 3:].clamp(min=1e-3))) * skin


def evidence(image: Tensor, regions: Tensor) -> Tensor:
    """Log light of each cell relative to the mean skin's, and the mean skin's.

    image (B, 3, 256, 256) in [0, 1], regions uint8 (B, 256, 256); returns (B, 6, 64, 64).
    """
    light = cell_means(log_light(F.avg_pool2d(image.float(), 2)), regions)
    mean = weighted_mean(light, region_shares(regions)[:, 1:2])
    return torch.cat([light - mean, mean.expand_as(light)], 1)


def cheek_light(image: Tensor, regions: Tensor) -> Tensor:
    """Log light of the lit skin between eyes and mouth, (B, 3, 1, 1); arguments as of `evidence`.

    How bright a light the face stands in: of shadows, beards and highlights it takes little notice,
    unlike the mean over all skin. Cells count by how near they are to a level somewhat above the
    mean; then once more, around the mean that this gives.
    """
    rows, columns = (slice(span.start // 4, span.stop // 4) for span in CHEEKS)
    light = cell_means(log_light(F.avg_pool2d(image.float(), 2)), regions)[..., rows, columns]
    skin = region_shares(regions)[:, 1:2, rows, columns]
    level = (light * _LUMINANCE.to(light)).sum(1, keepdim=True)
    mean = weighted_mean(level, skin)
    spread = (weighted_mean((level - mean).square(), skin) + 1e-4).sqrt()
    for _ in range(2):
        away = ((level - mean) / spread - _ABOVE) / _WITHIN
        weight = skin / (1 + away.square().square())
        mean, spread = weighted_mean(level, weight), 0.8 * spread
    return weighted_mean(light, weight)


CHEEKS = (slice(100, 192), slice(52, 204))
"""Rows and columns of the crop between eyes and mouth, with nose and cheeks."""

_LUMINANCE = torch.tensor([0.0722, 0.7152, 0.2126])[:, None, None]
"""Of B, G, R."""

_ABOVE, _WITHIN = 0.25, 0.6
"""Standard deviations above the mean at which skin counts as lit, and around it."""


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Over (B, V, H, W), weighted by (B, 1, H, W) or each by its own; gives (B, V, 1, 1)."""
    total = (values.float() * weights).sum((2, 3), keepdim=True)
    return total / (weights.sum((2, 3), keepdim=True) + 1e-3)


def cell_means(values: Tensor, regions: Tensor) -> Tensor:
    """Means over those quarters of each cell that are of the cell's region, which is that of its
    first pixel (`FaceLayout.grid`).

    values (B, V, 128, 128), regions uint8 (B, 256, 256); returns (B, V, 64, 64).
    """
    quarters = regions[:, None, ::2, ::2].float()
    cells = F.interpolate(quarters[:, :, ::2, ::2], scale_factor=2, mode="nearest")
    same = (quarters == cells).float()
    return F.avg_pool2d(values * same, 2) / F.avg_pool2d(same, 2)


def region_maps(inputs: int, outputs: int) -> nn.Conv2d:
    """An affine map for each of `FACE`, of each cell's values; their outputs in turn."""
    maps = nn.Conv2d(inputs, outputs * len(FACE), 1)
    nn.init.zeros_(maps.weight)
    assert maps.bias is not None
    nn.init.zeros_(maps.bias)
    return maps


def by_region(answers: Tensor, regions: Tensor) -> Tensor:
    """Of each cell the answer of its own region, 0 where it has none.

    answers (B, 2 · N, 64, 64), regions uint8 (B, 256, 256); returns (B, N, 64, 64).
    """
    return _weighted(answers, of_face(planes(regions[:, ::4, ::4])))


def spread(answers: Tensor, regions: Tensor) -> Tensor:
    """Each region's answers in its own cells, and from there in those up to two cells away.

    That is as far as a pixel of the region can be from the middles of its cells.

    answers (B, 2 · N, 64, 64), regions uint8 (B, 256, 256); returns the shape of `answers`.
    """
    own = of_face(planes(regions[:, ::4, ::4]))
    around = (1 - own) / F.avg_pool2d(own, 5, 1, 2).clamp(min=0.01)
    count = int(answers.shape[1]) // len(FACE)
    of_region = [region for region in range(len(FACE)) for _ in range(count)]
    inside = answers * own[:, of_region]
    return inside + F.avg_pool2d(inside, 5, 1, 2) * around[:, of_region]


def mix(answers: Tensor, weights: Tensor) -> Tensor:
    """The regions' answers on a grid twice as fine, weighted.

    answers (B, 2 · N, 64, 64), weights (B, 2, 128, 128); returns (B, N, 128, 128).
    """
    return _weighted(finer(answers), weights)


def weights_of(shares: Tensor) -> Tensor:
    """How much each region of `FACE` counts where both are; shares (B, 4, H, W) of all."""
    own = of_face(shares)
    return own / own.sum(1, keepdim=True).clamp(min=1e-3)


def of_face(values: Tensor) -> Tensor:
    """Of (B, 4, H, W), one for each region, those of `FACE`."""
    return values[:, [region - 1 for region in FACE]]


def region_shares(regions: Tensor) -> Tensor:
    """uint8 (B, 256, 256) region maps to float (B, 4, 64, 64), the share of each region in each
    cell, of which every other row and column is looked at."""
    return F.avg_pool2d(planes(regions[:, ::2, ::2]), 2)


def planes(regions: Tensor) -> Tensor:
    """Region maps, uint8 (B, H, W), to float (B, 4, H, W): 1 where a region is."""
    ids = torch.arange(1, REGION_PLANES + 1, dtype=torch.int32, device=regions.device)
    return (regions[:, None].int() == ids.view(1, -1, 1, 1)).float()


def finer(answers: Tensor) -> Tensor:
    """On a grid twice as fine."""
    return F.interpolate(answers, scale_factor=2, mode="bilinear", align_corners=False)


def _weighted(answers: Tensor, weights: Tensor) -> Tensor:
    """Sum over `FACE` of (B, 2 · N, H, W) times (B, 2, H, W); returns (B, N, H, W)."""
    parts = answers.chunk(len(FACE), 1)
    total = parts[0] * weights[:, :1]
    for k in range(1, len(FACE)):
        total = total + parts[k] * weights[:, k : k + 1]
    return total
