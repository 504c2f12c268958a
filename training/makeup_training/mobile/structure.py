"""What is finer than the cells that the readers of lips and eyes see, in numbers.

Colours of soft cells of the eyes (`eye_cells`) or in rings along the lips' outline say where liner,
wings and the colours of a shadow are. Nothing is told of the texture: it gives away what the
renderer painted, and makeup on real photos then passes for none.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS
from makeup_training.mobile.eye_cells import EYE_CELLS, LEAST_PLACE, eye_cells
from makeup_training.mobile.networks import weighted_mean

PLACE = 2
"""Planes that `place` gives."""

EDGE = 2
"""Pixels; so wide is the edge of lips towards the skin, where lip liner is, and that of eyes
towards the eyeball, where liner and lashes are."""

SPOT = 0.2
"""Log light; what differs more from the mean is a highlight or a dark spot."""

LIP_RINGS = (1, 2, 3, 5)
"""Pixels from the skin to where rings along the outline of the lips end."""

RIMS = (1, 2)
"""Pixels from the lips to where rings of the skin around them end."""

COLORS = {
    Region.LIPS: 1 + len(LIP_RINGS) + len(RIMS),
    Region.EYES: 1 + EYE_CELLS,
}
"""Places whose colour is told, the edge first."""

SPOTS = 2

STRUCTURE = {region: 3 * colors + SPOTS for region, colors in COLORS.items()}
"""Numbers that `structure` gives."""


def structure(region: Region, light: Tensor, shares: Tensor, landmarks: Tensor) -> Tensor:
    """Log light of the edge relative to the rest of the region (3), highlights and dark spots of
    the rest (2), log light of cells or rings relative to the region.

    light (B, 3, h, w) and shares (B, 4, h, w) of the region's window; landmarks (B, 68, 2), crop
    pixels, which only the eyes' cells need; returns (B, `STRUCTURE`, 1, 1).
    """
    own = shares[:, region - 1 : region]
    skin = shares[:, Region.SKIN - 1 : Region.SKIN]
    outside = opening(shares) if region == Region.EYES else skin
    edge = grown(outside, EDGE) * own
    rest = own - edge
    mean = weighted_mean(light, rest)
    away = (light - mean).mean(1, keepdim=True)
    spots = [weighted_mean(F.relu(side * away - SPOT), rest) for side in (1, -1)]
    relative = light - weighted_mean(light, own)
    colors = (
        eye_cells(relative, own, landmarks, CHANGE_GRIDS["eyes"])
        if region == Region.EYES
        else colors_of(relative, lip_rings(own, skin))
    )
    return torch.cat([weighted_mean(light - mean, edge), *spots, colors], 1)


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
    area = places.sum((2, 3), keepdim=True) + LEAST_PLACE
    totals = [(light[:, c : c + 1] * places).sum((2, 3), keepdim=True) for c in range(3)]
    return torch.cat([total / area for total in totals], 1)
