"""Label-conditioned, mask-controlled makeup: a StarGAN-type generator with a mask network.

No reference is needed: a style name and region bits say what to paint where. The generator works
only on full 256×256 crops: instance norm cancels any constant that a label plane adds, so the label
acts through the zero padding at the border (keep it, never tile the image).
Parent: StarGAN (Choi et al., 2018).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.blocks import ResidualBlock

REGION_BITS = 3
"""Eye shadow, lips, base (cheeks), in this order."""

MASK_CLASSES = 4
"""Classes of the mask network: 0 unchanged, 1 eye shadow, 2 base, 3 lips."""

MASK_CLASS_OF_BIT = (1, 3, 2)
"""The mask class that each region bit selects."""


@dataclass(frozen=True)
class LabelLayout:
    """Layout of a label vector.

    Style one-hot | region bits (eye shadow, lips, base) | auxiliary attributes | data set one-hot
    ([1, 0] makeup, [0, 1] attributes). The last two exist only in joint training; the other data
    set's entries are zero.

    Attributes:
        styles: number of makeup styles.
        attributes: number of auxiliary attributes (CelebA: up to 40); 0 for makeup only.
    """

    styles: int = 5
    attributes: int = 0

    @property
    def channels(self) -> int:
        """Length of a label vector."""
        joint = self.attributes + 2 if self.attributes else 0
        return self.styles + REGION_BITS + joint

    def makeup(self, styles: Tensor, region_bits: Tensor) -> Tensor:
        """Labels of makeup images.

        Args:
            styles: int64 (B,), style ids.
            region_bits: (B, 3), 0 or 1: eye shadow, lips, base.

        Returns:
            float32 (B, channels).
        """
        parts = [functional.one_hot(styles, self.styles).float(), region_bits.float()]
        if self.attributes:
            parts.append(region_bits.new_zeros(len(styles), self.attributes).float())
            parts.append(region_bits.new_tensor([1, 0]).float().expand(len(styles), 2))
        return torch.cat(parts, 1)

    def auxiliary(self, attributes: Tensor) -> Tensor:
        """Labels of attribute images: (B, attributes) of 0 or 1 to float32 (B, channels)."""
        attributes = attributes.float()
        zeros = attributes.new_zeros(len(attributes), self.styles + REGION_BITS)
        dataset = attributes.new_tensor([0, 1]).expand(len(attributes), 2)
        return torch.cat([zeros, attributes, dataset], 1)


class PerImageInstanceNorm2d(nn.InstanceNorm2d):
    """Affine instance norm that always uses the image's own statistics.

    StarGAN's checkpoints contain running statistics that its code never uses, as it never calls
    `eval()`; their keys are loaded and saved but have no effect.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True, track_running_stats=True)

    def forward(self, x: Tensor) -> Tensor:
        return functional.instance_norm(x, weight=self.weight, bias=self.bias)


class RegionGenerator(nn.Module):
    """StarGAN's generator: image and label planes, two stride-2 stages, 6 residual blocks.

    8,439,936 parameters at width 64 and 8 label channels. Keys `main.{0,3,6}` convolutions,
    `main.{9..14}` residual blocks, `main.{15,18}` transposed convolutions, `main.21`.

    Args:
        label_channels: length of the label vector (`LabelLayout.channels`).
        width: channels of the first stage (published: 64; 16 is the mobile-class variant).
    """

    FEATURE_LAYERS = 15
    """Layers of `main` before up-sampling; the mask network reads their output."""

    def __init__(self, label_channels: int, width: int = 64) -> None:
        super().__init__()
        norm = PerImageInstanceNorm2d

        def stage(conv: nn.Module, channels: int) -> list[nn.Module]:
            return [conv, norm(channels), nn.ReLU(inplace=True)]

        inner = 4 * width
        self.main = nn.Sequential(
            *stage(nn.Conv2d(3 + label_channels, width, 7, 1, 3, bias=False), width),
            *stage(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), 2 * width),
            *stage(nn.Conv2d(2 * width, inner, 4, 2, 1, bias=False), inner),
            *(ResidualBlock(inner, norm) for _ in range(6)),
            *stage(nn.ConvTranspose2d(inner, 2 * width, 4, 2, 1, bias=False), 2 * width),
            *stage(nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), width),
            nn.Conv2d(width, 3, 7, 1, 3, bias=False),
            nn.Tanh(),
        )

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [−1, 1] and label (B, label_channels) to the result."""
        return self.decode(self.encode(image, label))

    def encode(self, image: Tensor, label: Tensor) -> Tensor:
        """Image and label to the features (B, 4·width, H/4, W/4) before up-sampling."""
        planes = label[:, :, None, None].expand(-1, -1, *image.shape[2:])
        features: Tensor = self.main[: self.FEATURE_LAYERS](torch.cat([image, planes], 1))
        return features

    def decode(self, features: Tensor) -> Tensor:
        """Features to the image (B, 3, H, W) in [−1, 1]."""
        image: Tensor = self.main[self.FEATURE_LAYERS :](features)
        return image


class StyledRegionGenerator(nn.Module):
    """Mobile-class `RegionGenerator`: the label sets the norms; the output is laid over the face.

    A narrow network learns label planes, which act only at the picture's border, far too slowly.
    Here a small network turns the label into the scale and shift of every instance norm
    (conditional instance norm, Dumoulin et al., 2017).

    Makeup covers: the network gives a color and how much of the face's own color it replaces. A
    change to be added would depend on the face's own color, which instance norm discards.

    Args:
        label_channels: length of the label vector (`LabelLayout.channels`).
        width: channels of the first stage, a multiple of 4.
    """

    HIDDEN, RESIDUAL = 64, 6

    def __init__(self, label_channels: int, width: int = 16) -> None:
        super().__init__()
        inner = 4 * width
        self.down = nn.ModuleList(
            [
                nn.Conv2d(3, width, 7, 1, 3, bias=False),
                nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
                nn.Conv2d(2 * width, inner, 4, 2, 1, bias=False),
            ]
        )
        self.middle = nn.ModuleList(
            nn.Conv2d(inner, inner, 3, 1, 1, bias=False) for _ in range(2 * self.RESIDUAL)
        )
        self.up = nn.ModuleList(
            [
                nn.ConvTranspose2d(inner, 2 * width, 4, 2, 1, bias=False),
                nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            ]
        )
        self.last = nn.Conv2d(width, 3, 7, 1, 3)
        self.cover = nn.Conv2d(width, 1, 7, 1, 3)
        self.channels = [width, 2 * width, *[inner] * (1 + 2 * self.RESIDUAL), 2 * width, width]
        self.norms = nn.Sequential(
            nn.Linear(label_channels, self.HIDDEN),
            nn.ReLU(),
            nn.Linear(self.HIDDEN, 2 * sum(self.channels)),
        )

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [−1, 1] and label (B, label_channels) to the result."""
        norms = self.norms(label)
        return image + self.decode(self.encode(image, norms), norms, image)

    def encode(self, image: Tensor, norms: Tensor) -> Tensor:
        """Image and norms (B, 2·sum of channels) to the features (B, 4·width, H/4, W/4)."""
        parts = self._parts(norms)
        x = image
        for convolution, part in zip(self.down, parts, strict=False):
            x = functional.relu(_normed(convolution(x), part))
        for block in range(self.RESIDUAL):
            first, second = self.middle[2 * block], self.middle[2 * block + 1]
            at = len(self.down) + 2 * block
            inside = functional.relu(_normed(first(x), parts[at]))
            x = x + _normed(second(inside), parts[at + 1])
        return x

    def decode(self, features: Tensor, norms: Tensor, image: Tensor) -> Tensor:
        """Features to the change (B, 3, H, W): cover · (color − mean of the image over 3×3)."""
        x = features
        for convolution, part in zip(self.up, self._parts(norms)[-2:], strict=True):
            x = functional.relu(_normed(convolution(x), part))
        own = functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
        change: Tensor = self.cover(x).sigmoid() * (self.last(x) - own)
        return change

    def _parts(self, norms: Tensor) -> list[Tensor]:
        """(B, 2C, 1, 1) for each norm."""
        return list(norms[:, :, None, None].split([2 * c for c in self.channels], 1))


def _normed(x: Tensor, part: Tensor) -> Tensor:
    """Instance norm of (B, C, H, W), with scales 1 + `part[:, :C]` and shifts `part[:, C:]`."""
    scale, shift = part.chunk(2, 1)
    return functional.instance_norm(x) * (1 + scale) + shift


class MaskNetwork(nn.Module):
    """Segments where each kind of makeup goes, from the generator's features (reduced DeepLab-v2).

    Four parallel 3×3 convolutions of dilation 6, 12, 18 and 24, summed, bilinear ×4, soft-max;
    36,880 parameters at width 64.

    Args:
        width: the generator's width.
    """

    DILATIONS = (6, 12, 18, 24)

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(4 * width, MASK_CLASSES, 3, padding=d, dilation=d) for d in self.DILATIONS
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, 4·width, H/4, W/4) to class logits (B, 4, H, W), before the soft-max."""
        scores = torch.stack([branch(features) for branch in self.branches]).sum(0)
        return functional.interpolate(scores, scale_factor=4, mode="bilinear", align_corners=False)


def select_masks(probabilities: Tensor, region_bits: Tensor) -> tuple[Tensor, Tensor]:
    """Masks of the parts to paint, and of everything that must not change.

    Args:
        probabilities: float (B, 4, H, W), soft-max of the mask network; detach it so that losses do
            not change the masks, or pass a one-hot arg max for hard masks.
        region_bits: (B, 3), 0 or 1: eye shadow, lips, base.

    Returns:
        part masks (B, 3, H, W) in the order of the bits, zero if the bit is 0, and the invariant
        mask (B, 1, H, W): the unchanged class and the unselected parts.
    """
    parts = probabilities[:, list(MASK_CLASS_OF_BIT)]
    selected = region_bits.to(parts.dtype)[:, :, None, None]
    invariant = probabilities[:, :1] + (parts * (1 - selected)).sum(1, keepdim=True)
    return parts * selected, invariant


class StarGANDiscriminator(nn.Module):
    """StarGAN's critic: six stride-2 k4 convolutions with LeakyReLU 0.01, a score map, and classes.

    Keys `main.{0,2,4,6,8,10}`, `conv1` (scores, k3) and `conv2` (classes, a kernel as large as the
    last map). 44.9 M parameters at width 64 and side 256. The global discriminator has no classes;
    the local one judges part crops (`crops.crop_parts`) and classifies their style.

    Args:
        side: height and width of the judged images, a multiple of 64.
        classes: number of class logits (of both heads, with two data sets); 0 for none.
        width: channels of the first stage (published: 64).
    """

    def __init__(self, side: int, classes: int, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for i in range(6):
            layers += [nn.Conv2d(channels, width * 2**i, 4, 2, 1), nn.LeakyReLU(0.01, inplace=True)]
            channels = width * 2**i
        self.main = nn.Sequential(*layers)
        self.conv1 = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, classes, side // 64, bias=False) if classes else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, 3, side, side) to raw scores (B, 1, side/64, side/64) and logits (B, classes)."""
        features = self.main(image)
        logits = None if self.conv2 is None else self.conv2(features).flatten(1)
        return self.conv1(features), logits
