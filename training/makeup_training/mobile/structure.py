"""What is finer than the cells that the readers of lips and eyes see, in numbers.

Colours in rings around the eye's opening or along the lips' outline say where liner, wings and the
colours of a shadow are. Statistics of the texture say how opaque and how glossy makeup is: pigment
evens colour out but leaves the light and dark of the skin beneath it, gloss adds highlights.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_training.mobile.networks import weighted_mean

PLACE = 2
"""Planes that `place` gives."""

EDGE = 2
"""Pixels; so wide is the edge of lips towards the skin, where lip liner is, and that of eyes
towards the eyeball, where liner and lashes are."""

SPOT = 0.2
"""Log light; what differs more from the mean is a highlight or a dark spot."""

EYE_RINGS = (2, 5, 9)
"""Pixels from the opening to where rings around it end; the last one takes the rest."""

EYE_SECTORS = (-0.8, 0.8, 1.9)
"""Where they are cut, see `place`: about at the inner corner, the outer one, and at the temple."""

LIP_RINGS = (1, 2, 3, 5)
"""Pixels from the skin to where rings along the outline of the lips end."""

RIMS = (1, 2)
"""Pixels from the lips to where rings of the skin around them end."""

TEXTURE_SCALES = (1, 2, 4)
"""Pixels across which texture is averaged before it is described."""

AROUND = 7
"""Of these, so many across are what texture is finer than."""

VARIED = 3
"""Planes whose variation is described."""

COLORS = {
    Region.LIPS: 1 + len(LIP_RINGS) + len(RIMS),
    Region.EYES: 1 + (len(EYE_RINGS) + 1) * (len(EYE_SECTORS) + 1) * 2,
}
"""Places whose colour is told, the edge first."""

SPOTS = 2

STATISTICS = VARIED + 2 * (VARIED - 1)
"""Of these planes: deviations; slopes and correlations of the later ones by the first."""

TEXTURE = 2 * 2 * STATISTICS * len(TEXTURE_SCALES)
"""Numbers about the region and the skin around, as they are and relative to what is around."""

STRUCTURE = {region: 3 * colors + SPOTS + TEXTURE for region, colors in COLORS.items()}
"""Numbers that `structure` gives."""

_LEAST = 2.0
"""Pixels; the colour of a smaller place counts less."""


def structure(region: Region, light: Tensor, shares: Tensor) -> Tensor:
    """Log light of the edge relative to the rest of the region (3), highlights and dark spots of
    the rest (2), log light of rings relative to the region, `texture` of the region and the skin.

    light (B, 3, h, w) and shares (B, 4, h, w) of the region's window; returns
    (B, `STRUCTURE`, 1, 1).
    """
    own = shares[:, region - 1 : region]
    skin = shares[:, Region.SKIN - 1 : Region.SKIN]
    outside = opening(shares) if region == Region.EYES else skin
    edge = grown(outside, EDGE) * own
    rest = own - edge
    mean = weighted_mean(light, rest)
    away = (light - mean).mean(1, keepdim=True)
    spots = [weighted_mean(F.relu(side * away - SPOT), rest) for side in (1, -1)]
    places = eye_rings(shares) if region == Region.EYES else lip_rings(own, skin)
    # lips from 2 pixels inside: their outline is no texture
    inner = own if region == Region.EYES else F.relu(25 * F.avg_pool2d(own, 5, 1, 2) - 24)
    return torch.cat(
        [
            weighted_mean(light - mean, edge),
            *spots,
            colors_of(light - weighted_mean(light, own), places),
            texture(light, torch.cat([inner, skin], 1)),
        ],
        1,
    )


def place(region: Region, shares: Tensor) -> Tensor:
    """Where pixels are: outwards of the middle of the eye's opening or of the lips, and down.

    In standard deviations of its width; both eyes alike, and both halves of the lips.

    shares (B, 4, h, w) of the region's window; returns (B, 2, h, w).
    """
    own = shares[:, region - 1 : region]
    if region == Region.LIPS:
        across, down = _from_middle(own)
        return torch.cat([across.abs(), down], 1)
    middle = opening(shares) + 0.02 * own
    half = int(middle.shape[3]) // 2
    sides = [_from_middle(middle[..., :half]), _from_middle(middle[..., half:])]
    across = torch.cat([-sides[0][0], sides[1][0]], 3)
    return torch.cat([across, torch.cat([sides[0][1], sides[1][1]], 3)], 1)


def _from_middle(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows from the middle of (B, 1, h, w), in standard deviations of its columns."""
    counts = (torch.arange(int(count), device=weights.device) for count in weights.shape[2:])
    rows, columns = (grid.float() for grid in torch.meshgrid(*counts, indexing="ij"))
    across, down = (steps - weighted_mean(steps, weights) for steps in (columns, rows))
    width = weighted_mean(across.square(), weights).sqrt().clamp(min=3)
    return across / width, down / width


def opening(shares: Tensor) -> Tensor:
    """What is of no region near the eyes: the eyeball. (B, 4, h, w) to (B, 1, h, w)."""
    own = shares[:, Region.EYES - 1 : Region.EYES]
    return (1 - shares.sum(1, keepdim=True)) * grown(own, 3)


def grown(mask: Tensor, pixels: int) -> Tensor:
    """A mask, and what is around it."""
    return F.max_pool2d(mask, 2 * pixels + 1, 1, pixels)


def eye_rings(shares: Tensor) -> Tensor:
    """Rings around the opening, above and below, cut into sectors.

    shares (B, 4, h, w); returns (B, 32, h, w).
    """
    own, hole = shares[:, Region.EYES - 1 : Region.EYES], opening(shares)
    reach = [hole, *(grown(hole, pixels) for pixels in EYE_RINGS)]
    rings = torch.cat([*_between(reach), 1 - reach[-1]], 1) * own
    across, down = place(Region.EYES, shares).split(1, 1)
    beyond = [(across > cut).float() for cut in EYE_SECTORS]
    sectors = [1 - beyond[0], *(-more for more in _between(beyond)), beyond[-1]]
    below = (down > 0).float()
    parts = [side * sector for side in (1 - below, below) for sector in sectors]
    return torch.cat([rings * part for part in parts], 1)


def lip_rings(own: Tensor, skin: Tensor) -> Tensor:
    """Rings along the outline, those of the lips and those of the skin around them.

    own, skin (B, 1, h, w); returns (B, 6, h, w).
    """
    inwards = [grown(skin, pixels) * own for pixels in LIP_RINGS]
    outwards = [grown(own, pixels) * skin for pixels in RIMS]
    return torch.cat([inwards[0], *_between(inwards), outwards[0], *_between(outwards)], 1)


def _between(masks: list[Tensor]) -> list[Tensor]:
    """What each mask has more than the one before it."""
    return [masks[i + 1] - masks[i] for i in range(len(masks) - 1)]


def colors_of(light: Tensor, places: Tensor) -> Tensor:
    """Mean light of each place, less where it is small, channel by channel; (B, 3, h, w) and
    (B, N, h, w) to (B, 3 · N, 1, 1)."""
    area = places.sum((2, 3), keepdim=True) + _LEAST
    totals = [(light[:, c : c + 1] * places).sum((2, 3), keepdim=True) for c in range(3)]
    return torch.cat([total / area for total in totals], 1)


def texture(light: Tensor, masks: Tensor) -> Tensor:
    """How light and colour vary in each mask, at each scale, as they are and relative to what is
    around: log deviations of the mean of the channels and of two differences between them (3),
    slopes (2) and correlations (2) of these by that.

    Slopes, correlations and ratios of deviations are the same in a blurred photo and a sharp one.

    light (B, 3, h, w), masks (B, M, h, w); returns (B, 14 · M · scales, 1, 1): for each scale the
    deviations, then the slopes, then the correlations.
    """
    blue, green, red = light.split(1, 1)
    varied = torch.cat([light.mean(1, keepdim=True), red - green, green - blue], 1)
    count = int(masks.shape[1])
    masked = torch.cat([varied * masks[:, m : m + 1] for m in range(count)], 1)
    masks = masks[:, [m for m in range(count) for _ in range(VARIED)]]
    found = []
    for scale in TEXTURE_SCALES:
        share = F.avg_pool2d(masks, scale)
        here = F.avg_pool2d(masked, scale) / share.clamp(min=0.05)
        around = F.avg_pool2d(here * share, AROUND, 1, AROUND // 2)
        around = around / F.avg_pool2d(share, AROUND, 1, AROUND // 2).clamp(min=0.02)
        both = torch.cat([here, here - around], 1)
        found.append(_statistics(both, torch.cat([share, share], 1)))
    return torch.cat(found, 1)


def _statistics(varied: Tensor, share: Tensor) -> Tensor:
    """Of threes of planes, (B, 3 · N, h, w) both; returns (B, 7 · N, 1, 1)."""
    away = varied - weighted_mean(varied, share)
    variance = weighted_mean(away.square(), share) + 1e-4
    colors = [plane for plane in range(int(varied.shape[1])) if plane % VARIED]
    means = [plane - plane % VARIED for plane in colors]
    together = weighted_mean(away[:, colors] * away[:, means], share[:, colors])
    slopes = (together / variance[:, means]).clamp(-2, 2)
    alike = together / (variance[:, colors] * variance[:, means]).sqrt()
    return torch.cat([0.5 * variance.log() + 2.5, slopes, alike], 1)
