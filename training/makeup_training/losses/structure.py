"""The spatial profile loss (SPL) of Sarfraz et al. (2019), as SSAT uses it.

Images are (B, 3, H, W) in [−1, 1] and are mapped to [0, 1] inside. Values are means over the batch
and sums over channels; the minimum, a perfect match, is negative.
"""

import torch
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)


def profile_similarity_loss(x: Tensor, y: Tensor) -> Tensor:
    """T(x, y) = −[Σ_columns cos(column profiles) + Σ_rows cos(row profiles)] / H.

    Args:
        x, y: float (B, C, H, W); the sum is divided by this H.

    Returns:
        a scalar, averaged over B and summed over C; −C·(W + H)/H for equal images.
    """
    columns = (functional.normalize(x, dim=2) * functional.normalize(y, dim=2)).sum()
    rows = (functional.normalize(x, dim=3) * functional.normalize(y, dim=3)).sum()
    return -(columns + rows) / (x.shape[2] * x.shape[0])


def gradient_profile_loss(result: Tensor, original: Tensor) -> Tensor:
    """GP: T of horizontal differences plus T of vertical ones; keeps a face's identity.

    Published weight 1 (SSAT). Compares a result with its own input.
    """
    return _difference_loss(_to_unit(result), _to_unit(original))


def colour_profile_loss(result: Tensor, target: Tensor) -> Tensor:
    """CP: T of RGB, of YUV and of YUV's differences; transfers the target's colours.

    Published weight 2 (SSAT). Compares a result with a pseudo target (a warped reference).
    """
    x, y = _to_unit(result), _to_unit(target)
    u, v = _to_yuv(x), _to_yuv(y)
    return profile_similarity_loss(x, y) + profile_similarity_loss(u, v) + _difference_loss(u, v)


def _difference_loss(x: Tensor, y: Tensor) -> Tensor:
    return sum(
        (profile_similarity_loss(x.diff(dim=axis), y.diff(dim=axis)) for axis in (3, 2)),
        start=x.new_zeros(()),
    )


def _to_unit(image: Tensor) -> Tensor:
    return (image + 1) / 2


def _to_yuv(rgb: Tensor) -> Tensor:
    """RGB in [0, 1] to Y, U = 0.493·(B − Y), V = 0.877·(R − Y)."""
    red, green, blue = rgb.unbind(1)
    y = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return torch.stack([y, 0.493 * (blue - y), 0.877 * (red - y)], 1)
