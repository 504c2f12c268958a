"""What the mobile-class networks are trained for: the right change of colour in each region.

At run time the paint is the smoothed difference of two passes, with a look and with none, so
reconstruction errors cancel and the face's own pixels stay. The loss compares that difference.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from makeup_kernels import Region
from makeup_training.systems.pairs import LIGHT_RANGE
from makeup_training.systems.truth import NEAR_LIPS, SKIN_LIGHTNESS

_REGION_WEIGHTS = {Region.LIPS: 1.0, Region.SKIN: 4.0, Region.EYES: 1.5, Region.BROWS: 0.4}
"""Changes of skin are small, and count for more."""
_CHROMA = 0.75
"""How much more a difference of colour counts than one of lightness."""


@dataclass(frozen=True)
class ChangeWeights:
    """Of the terms of `change_terms`.

    Attributes:
        change: of the smoothed change in the regions.
        outside: of any change outside them.
        picture: of the face that is rebuilt when nothing is asked for, and of the made-up one.
    """

    change: float = 1.0
    outside: float = 0.05
    picture: float = 0.5


def change_terms(
    image: Tensor,
    result: Tensor,
    nothing: Tensor,
    change: Tensor,
    regions: Tensor,
    weights: ChangeWeights,
    *,
    lab: bool = False,
) -> dict[str, Tensor]:
    """The weighted losses of a batch.

    Args:
        image: float (B, 3, S, S), the faces (`pairs.LIGHT_RANGE`).
        result: float (B, 3, S, S), the network's faces with the look.
        nothing: float (B, 3, S, S), the network's faces without any.
        change: float (B, 3, S, S), the wanted change of log light.
        regions: integer (B, S, S).
        weights: of the terms.
        lab: whether images and change are CIELAB, in units of `LAB_UNIT`, in place of log light.
    """
    on_skin = (regions == Region.SKIN)[:, None]
    error = as_painted(LIGHT_RANGE * (result - nothing), regions, lab=lab) - change
    sigma = image.shape[-1] / 128
    inside = regions != Region.NONE
    total = error.new_zeros(())
    for region, weight in _REGION_WEIGHTS.items():
        here = taken_from(regions, region).to(error.dtype)
        if not here.any():
            continue
        smooth = blurred(error * here, sigma) / blurred(here, sigma).clamp(min=1e-3)
        chroma = smooth[:, 1:] if lab else smooth - smooth.mean(1, True)
        distance = smooth.abs().mean(1) + _CHROMA * chroma.abs().mean(1)
        total = total + weight * (distance * here[:, 0]).sum() / here.sum()
    outside = (error.abs().mean(1) * ~inside).sum() / (~inside).sum().clamp(min=1)
    picture = (nothing - image).abs().mean()
    made_up = (image + change / LIGHT_RANGE).clamp(-1, 1)
    painted = inside & ~on_skin[:, 0]
    picture = picture + ((result - made_up).abs().mean(1) * painted).sum() / painted.sum().clamp(1)
    return {
        "change": weights.change * total,
        "outside": weights.outside * outside,
        "picture": weights.picture * picture,
    }


def as_painted(change: Tensor, regions: Tensor, *, lab: bool) -> Tensor:
    """A change (B, 3, S, S) of which skin takes little lightness: the rest is light."""
    on_skin = (regions == Region.SKIN)[:, None]
    if lab:
        lightness = torch.cat([change[:, :1], torch.zeros_like(change[:, 1:])], 1)
    else:
        lightness = change.mean(1, True)
    return change - (1 - SKIN_LIGHTNESS) * lightness * on_skin


def taken_from(regions: Tensor, region: Region) -> Tensor:
    """bool (B, 1, S, S): where a region's change is taken from; of skin, not beside the lips."""
    here = (regions == region)[:, None]
    if region is not Region.SKIN:
        return here
    near = round(NEAR_LIPS * regions.shape[-1])
    lips = (regions == Region.LIPS)[:, None].float()
    return here & (functional.max_pool2d(lips, 2 * near + 1, 1, near) == 0)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Gaussian mean of (B, C, H, W), separable, zeros beyond the border."""
    reach = max(1, round(2.5 * sigma))
    steps = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = (-(steps**2) / (2 * sigma**2)).exp()
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    x = functional.conv2d(x, kernel[..., None, :], padding=(0, reach), groups=x.shape[1])
    return functional.conv2d(x, kernel[..., None], padding=(reach, 0), groups=x.shape[1])
