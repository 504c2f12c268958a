"""Low-resolution makeup transfer: PSGAN, a facial prior, and super-resolution ×4.

Inputs are 64×64 faces, enlarged bicubically to 256×256 before PSGAN; a prior network reads the
blurry made-up image (after FSRNet, Chen et al., 2018), and the super-resolution module joins the
prior with PSGAN's made-up features. The discriminators of the two domains and of the sharp image
are `blocks.PatchDiscriminator`, read as logits. Shapes below are those of width 64.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.blocks import Normalisation, ResidualBlock, no_norm
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.psgan import PSGANGenerator

LANDMARK_MAPS = 201
"""Landmark heat maps that supervise the prior."""

PARSING_CLASSES = 19
"""Parsing classes that supervise the prior (raw face-parsing ids)."""

ENLARGEMENT = 4


class SuperResolved(NamedTuple):
    """What one pass gives.

    Attributes:
        image: float (B, 3, 4h, 4w) in [−1, 1], the sharp made-up face.
        blurry: float (B, 3, 4h, 4w) in [−1, 1], the makeup part's own result.
        landmark_maps: float (B, 201, 2h, 2w), predicted heat maps.
        parsing: float (B, 19, 2h, 2w), class logits.
    """

    image: Tensor
    blurry: Tensor
    landmark_maps: Tensor
    parsing: Tensor


class PSGANSuperResolution(nn.Module):
    """The whole generator: `makeup` (PSGAN), `prior` and `super_resolution`.

    Args:
        width: channels of the first stages (published: 64; 16 is the mobile-class variant).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.makeup = PSGANGenerator(width)
        self.prior = PriorNetwork(width)
        self.super_resolution = SuperResolutionModule(width)

    def forward(self, source: FaceBatch, reference: FaceBatch) -> SuperResolved:
        """Low-resolution faces to the sharp result.

        Args:
            source: images (B, 3, h, w), h and w divisible by 8; region maps (B, 4h, 4w) and
                landmarks in pixels of the enlarged crop.
            reference: likewise.
        """
        large_source, large_reference = (
            face.with_image(enlarge(face.image)) for face in (source, reference)
        )
        features = self.makeup.encode_source(large_source.image)
        gamma, beta = self.makeup.morph(features, large_source, large_reference)
        return self.decode(features, gamma, beta)

    def decode(self, features: Tensor, gamma: Tensor, beta: Tensor) -> SuperResolved:
        """Source features (B, 256, h, w) and morphed maps (B, 1, h, w) to the result."""
        made_up = self.makeup.apply_makeup(features, gamma, beta)
        blurry = self.makeup.render(made_up)
        prior = self.prior(blurry)
        landmark_maps, parsing = self.prior.predict(prior)
        image = self.super_resolution(prior, made_up)
        return SuperResolved(image, blurry, landmark_maps, parsing)


def enlarge(image: Tensor) -> Tensor:
    """Bicubic ×4 of (B, 3, h, w) in [−1, 1], overshoots cut off."""
    large = functional.interpolate(
        image, scale_factor=ENLARGEMENT, mode="bicubic", align_corners=False
    )
    return large.clamp(-1, 1)


class PriorNetwork(nn.Module):
    """Facial prior from a blurry face: stem, three residual blocks, two hourglasses of order 4.

    The hourglass features are the prior that super-resolution reads; landmark heat maps and the
    parsing are side outputs for supervision. 2,927,168 parameters at width 64, heads apart.
    Pre-activation blocks start as their skips and both heads at 0 (Goyal et al., 2017): the sums
    of two hourglasses of order 4 would otherwise make the first heat maps so large that their
    squared error is a thousand times the picture's.

    Args:
        width: channels of the stem; the hourglasses have twice as many.
        maps: landmark heat maps.
        classes: of the parsing.
        norm: makes the normalisation layers (published: batch norm); without any, hourglasses
            average what the published ones add up.
        stride: of the stem; the sizes below are those of 2.
    """

    def __init__(
        self,
        width: int = 64,
        maps: int = LANDMARK_MAPS,
        classes: int = PARSING_CLASSES,
        norm: Normalisation = nn.BatchNorm2d,
        stride: int = 2,
    ) -> None:
        super().__init__()
        inner = 2 * width
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, stride, 3, bias=False), norm(width), nn.ReLU(inplace=True)
        )
        self.residuals = nn.Sequential(
            PreActivationBlock(width, inner, norm),
            *(_ReflectedResidual(inner, norm) for _ in range(2)),
        )
        self.hourglasses = nn.Sequential(*(Hourglass(inner, 4, norm) for _ in range(2)))
        self.landmark_head = _zeroed(nn.Conv2d(inner, maps, 1))
        self.parsing_head = _zeroed(nn.Conv2d(inner, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [−1, 1], sides divisible by 32, to the prior (B, 128, H/2, W/2)."""
        prior: Tensor = self.hourglasses(self.residuals(self.stem(image)))
        return prior

    def predict(self, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Prior to landmark heat maps (B, 201, H/2, W/2) and parsing logits (B, 19, H/2, W/2)."""
        return self.landmark_head(prior), self.parsing_head(prior)


class Hourglass(nn.Module):
    """A stacked-hourglass level: a branch at this scale plus all that happens below it.

    Three residual blocks after each pooling, one before each up-sampling and one on each branch;
    one more at the bottom. (B, C, H, W) to the same shape.
    Source: Newell et al., Stacked hourglass networks (2016).

    Args:
        channels: width throughout.
        order: number of poolings; H and W must be divisible by 2^order.
        norm: makes the normalisation layers; without any, branch and rest are averaged.
    """

    def __init__(self, channels: int, order: int, norm: Normalisation = nn.BatchNorm2d) -> None:
        super().__init__()

        def block() -> PreActivationBlock:
            return PreActivationBlock(channels, channels, norm)

        self.share = 0.5 if norm is no_norm else 1.0
        self.branch = block()
        self.down = nn.Sequential(*(block() for _ in range(3)))
        self.inner: nn.Module = Hourglass(channels, order - 1, norm) if order > 1 else block()
        self.up = block()

    def forward(self, x: Tensor) -> Tensor:
        low = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        both = self.branch(x) + functional.interpolate(low, scale_factor=2, mode="nearest")
        return both if self.share == 1 else self.share * both


class PreActivationBlock(nn.Module):
    """Bottleneck residual: BN-ReLU-1×1 to half, BN-ReLU-3×3, BN-ReLU-1×1; 1×1 skip if it widens.

    (B, in_channels, H, W) to (B, out_channels, H, W). The last convolution starts at 0.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: Normalisation = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        middle = out_channels // 2
        self.body = nn.Sequential(
            *_pre_activated(nn.Conv2d(in_channels, middle, 1), norm),
            *_pre_activated(nn.Conv2d(middle, middle, 3, padding=1), norm),
            *_pre_activated(_zeroed(nn.Conv2d(middle, out_channels, 1)), norm),
        )
        self.skip: nn.Module = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.skip(x) + self.body(x)
        return y


class SuperResolutionModule(nn.Module):
    """Prior and made-up features to the sharp image; 510,656 parameters at width 64.

    Concatenated (features enlarged ×2 bilinearly), convolved 384→64, up-sampled by a transposed
    convolution, three residual blocks, a last convolution and tanh.

    Args:
        width: channels throughout.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(6 * width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            *(ResidualBlock(width, nn.BatchNorm2d) for _ in range(3)),
            nn.Conv2d(width, 3, 3, padding=1, bias=False),
            nn.Tanh(),
        )

    def forward(self, prior: Tensor, made_up: Tensor) -> Tensor:
        """Prior (B, 128, H/2, W/2), features (B, 256, H/4, W/4) to (B, 3, H, W) in [−1, 1]."""
        large = functional.interpolate(
            made_up, scale_factor=2, mode="bilinear", align_corners=False
        )
        image: Tensor = self.body(torch.cat([prior, large], 1))
        return image


class _ReflectedResidual(nn.Module):
    def __init__(self, channels: int, norm: Normalisation) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            norm(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


def _zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _pre_activated(conv: nn.Conv2d, norm: Normalisation) -> list[nn.Module]:
    return [norm(conv.in_channels), nn.ReLU(), conv]
