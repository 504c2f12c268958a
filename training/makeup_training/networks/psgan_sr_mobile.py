"""Low-resolution makeup transfer of mobile class: makeup at 128 pixels, detail at 64.

As `psgan_sr` has it, a PSGAN makes the enlarged face up, a prior reads the blurry result, and
super-resolution joins the prior with the made-up features. What differs is what makes it light: the
small face is enlarged ×2 for the makeup, the prior works at a quarter of that and super-resolution
at the small face's own size, which it enlarges last; it gives what bicubic enlargement has lost, so
that it starts from that; and nothing
is normalised. Shapes below are those of width 16 and a face of 64×64.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.blocks import ResidualBlock, no_norm
from makeup_training.networks.inputs import FEATURE_STRIDE
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.psgan_sr import ENLARGEMENT, PriorNetwork

HALF = 2
"""The makeup part sees the small face enlarged so many times."""

MAPS = 3
"""Channels of gamma and of beta."""

LANDMARK_MAPS, CLASSES = 68, 5
"""What supervises the prior: our landmarks, and our regions with what is none of them."""

_BLOCKS = 6


class Sharpened(NamedTuple):
    """What one pass gives.

    Attributes:
        blurry: float (B, 3, 128, 128) in [−1, 1], the makeup part's own result.
        detail: float (B, 3, 256, 256): the sharp made-up face less the bicubic enlargement of the
            small one in the same makeup.
        landmark_maps: float (B, 68, 32, 32), predicted heat maps.
        parsing: float (B, 5, 32, 32), logits of the regions.
    """

    blurry: Tensor
    detail: Tensor
    landmark_maps: Tensor
    parsing: Tensor


class MobileSuperResolution(nn.Module):
    """The whole generator: `makeup` (PSGAN with three maps), `prior` and `super_resolution`.

    Args:
        width: channels of the first stages.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.makeup = PSGANGenerator(width, MAPS)
        self.prior = PriorNetwork(width, LANDMARK_MAPS, CLASSES, no_norm, FEATURE_STRIDE)
        self.super_resolution = DetailModule(width)

    def encode_source(self, small: Tensor) -> Tensor:
        """A small face (B, 3, 64, 64) to the makeup part's source features (B, 64, 32, 32)."""
        return self.makeup.encode_source(halfway(small))

    def sharpen(self, made_up: Tensor, blurry: Tensor, small: Tensor) -> Tensor:
        """Made-up features, the blurry result and the small face to the detail; see `Sharpened`."""
        detail: Tensor = self.super_resolution(self.prior(blurry), made_up, small)
        return detail

    def decode(self, features: Tensor, gamma: Tensor, beta: Tensor, small: Tensor) -> Sharpened:
        """Source features, morphed maps (B, 3, 32, 32) and the small face to the result.

        The makeup part learns nothing from the detail.
        """
        made_up = self.makeup.apply_makeup(features, gamma, beta)
        blurry = self.makeup.render(made_up)
        prior = self.prior(blurry.detach())
        detail = self.super_resolution(prior, made_up.detach(), small)
        return Sharpened(blurry, detail, *self.prior.predict(prior))


class DetailModule(nn.Module):
    """Prior, made-up features and the small face to the detail that enlargement lacks.

    Reduced to 32 channels by 1×1 and 3×3 convolutions, six residual blocks, a convolution to 48
    channels that become 4×4 pixels of three. The last convolution starts at 0.

    Args:
        width: half of the channels throughout.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        channels = 2 * width
        self.features = nn.Conv2d(6 * width, channels, 1, bias=False)
        self.pixels = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            nn.ReLU(inplace=True),
            *(ResidualBlock(channels, no_norm) for _ in range(_BLOCKS)),
        )
        self.last = nn.Conv2d(channels, 3 * ENLARGEMENT**2, 3, padding=1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, prior: Tensor, made_up: Tensor, small: Tensor) -> Tensor:
        """(B, 32, 32, 32), (B, 64, 32, 32), (B, 3, 64, 64) to (B, 3, 256, 256)."""
        features = functional.interpolate(
            self.features(torch.cat([prior, made_up], 1)),
            scale_factor=2,
            mode="bilinear",
            align_corners=False,
        )
        x = features + self.pixels(small)
        return functional.pixel_shuffle(self.last(self.body(x)), ENLARGEMENT)


def halfway(small: Tensor) -> Tensor:
    """The small face as the makeup part sees it: bicubic ×2, overshoots cut off."""
    return _bicubic(small, HALF).clamp(-1, 1)


def bicubic(small: Tensor) -> Tensor:
    """What the detail is added to: the small face enlarged ×4."""
    return _bicubic(small, ENLARGEMENT)


def _bicubic(image: Tensor, times: int) -> Tensor:
    return functional.interpolate(image, scale_factor=times, mode="bicubic", align_corners=False)
