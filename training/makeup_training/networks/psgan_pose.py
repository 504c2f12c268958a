"""Improved PSGAN: pose correction instead of attention, and three makeup discriminators.

The reference is warped onto the source's landmarks, so that its makeup maps fit the source pixel by
pixel. Three discriminators based on SFTGAN's network (Wang et al., 2018) judge brows, eyes and
lips.
"""

from enum import Enum
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_kernels import Region
from makeup_training.networks.crops import crop_boxes
from makeup_training.networks.inputs import FEATURE_STRIDE, FaceBatch
from makeup_training.networks.psgan import MakeupBranches
from makeup_training.networks.warp import (
    reduce_grid,
    sample,
    sampling_grid,
    thin_plate_positions,
    visible,
)


class PoseCorrectedGenerator(MakeupBranches):
    """PSGAN's branches without attention; PSGAN's keys without `atten_*`.

    Makeup is applied where source and warped reference show the same region; areas hidden in the
    reference get none.

    Args:
        width, maps: see `MakeupBranches`.
        warp: `image` warps the reference image and runs its branch for every source pose; `maps`
            runs it once on the unwarped reference and warps the two maps, so that the reference can
            be cached.
    """

    def __init__(
        self, width: int = 64, maps: int = 1, *, warp: Literal["image", "maps"] = "image"
    ) -> None:
        super().__init__(width, maps)
        self.warp = warp

    def forward(self, source: FaceBatch, reference: FaceBatch) -> Tensor:
        """Source faces with the reference's makeup: (B, 3, H, W) in [−1, 1]."""
        return self.transfer(source.image, reference.image, *pose_correction(source, reference))

    def transfer(self, image: Tensor, reference: Tensor, grid: Tensor, mask: Tensor) -> Tensor:
        """The exported part, from images (B, 3, H, W) and the results of `pose_correction`."""
        if self.warp == "image":
            _, gamma, beta = self.encode_reference(sample(reference, grid))
        else:
            _, *maps = self.encode_reference(reference)
            gamma, beta = (sample(m, reduce_grid(grid, FEATURE_STRIDE)) for m in maps)
        small = functional.avg_pool2d(mask, FEATURE_STRIDE)
        return self.decode(self.encode_source(image), gamma * small, beta * small)


def pose_correction(source: FaceBatch, reference: FaceBatch) -> tuple[Tensor, Tensor]:
    """The warp from reference to source, and where its makeup applies.

    Returns:
        sampling grid float (B, H, W, 2) into the reference, and mask float (B, 1, H, W): 1 where
        both faces show the same region.
    """
    height, width = source.image.shape[2:]
    positions = thin_plate_positions(source.landmarks, reference.landmarks, (height, width))
    grid = sampling_grid(positions).to(source.image.dtype)
    regions = sample(reference.regions[:, None].to(grid.dtype), grid, "nearest")[:, 0]
    same = (regions == source.regions) & (source.regions != Region.NONE) & visible(positions)
    return grid, same[:, None].to(grid.dtype)


class Part(Enum):
    """The face parts that have their own discriminator."""

    BROWS = "brows"
    EYES = "eyes"
    LIPS = "lips"

    @property
    def region(self) -> Region:
        """The part's region."""
        return {Part.BROWS: Region.BROWS, Part.EYES: Region.EYES, Part.LIPS: Region.LIPS}[self]

    @property
    def points(self) -> tuple[slice, ...]:
        """Landmarks of the part, or of its left and right half."""
        halves = {
            Part.BROWS: (slice(17, 22), slice(22, 27)),
            Part.EYES: (slice(36, 42), slice(42, 48)),
            Part.LIPS: (slice(48, 68),),
        }
        return halves[self]

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of a crop."""
        return {Part.BROWS: (32, 64), Part.EYES: (48, 64), Part.LIPS: (48, 96)}[self]


def part_inputs(face: FaceBatch, part: Part, margin: float = 16.0) -> tuple[Tensor, Tensor]:
    """Inputs of a part's discriminator.

    The image is the landmarks' rectangle with pixels outside the region zeroed; left and right
    parts are concatenated as channels. The condition is the region's mask: unchanged, flipped left
    to right, and with each half mirrored onto the other.

    Args:
        face: B faces.
        part: the part.
        margin: pixels around the landmarks.

    Returns:
        image float (B, 3 or 6, h, w) and condition float (B, 4 or 8, h, w).
    """
    mask = (face.regions == part.region)[:, None].to(face.image.dtype)
    images, conditions = [], []
    for points in part.points:
        corners = face.landmarks[:, points]
        boxes = torch.cat([corners.amin(1) - margin, corners.amax(1) + margin], 1)
        images.append(crop_boxes(face.image * mask, boxes, part.crop_size, "bilinear"))
        conditions.append(_mirrored(crop_boxes(mask, boxes, part.crop_size, "nearest")))
    return torch.cat(images, 1), torch.cat(conditions, 1)


def _mirrored(mask: Tensor) -> Tensor:
    """(B, 1, h, w) to (B, 4, h, w): itself, flipped, left half on the right, right on the left."""
    half = mask.shape[3] // 2
    left, right = mask[..., :half], mask[..., half:]
    to_right = torch.cat([left, left.flip(3)], 3)
    to_left = torch.cat([right.flip(3), right], 3)
    return torch.cat([mask, mask.flip(3), to_right, to_left], 1)


class MakeupDiscriminator(nn.Module):
    """SFTGAN's network with 8 residual blocks and no up-sampling, as a patch discriminator.

    The condition scales and shifts the features of each block. Keys `conv0`, `sft_branch.{0..7}`,
    the lone SFT layer and convolution `sft_branch.{8,9}`, `CondNet.{0,2,4,6,8}`; our score layer is
    `score`. 809,184 parameters before it at width 64 with 6 + 8 channels, 799,264 with 3 + 4.

    Args:
        part: the part to judge.
        width: channels (published: 64).
        blocks: residual blocks.
    """

    def __init__(self, part: Part, width: int = 64, *, blocks: int = 8) -> None:
        super().__init__()
        halves = len(part.points)
        condition = width // 2
        self.conv0 = nn.Conv2d(3 * halves, width, 3, padding=1)
        self.sft_branch = nn.ModuleList(
            [
                *(_SFTResidualBlock(width, condition) for _ in range(blocks)),
                _SFTLayer(width, condition),
                nn.Conv2d(width, width, 3, padding=1),
            ]
        )
        layers: list[nn.Module] = [nn.Conv2d(4 * halves, 2 * width, 4, 4)]
        for _ in range(3):
            layers += [nn.LeakyReLU(0.1, inplace=True), nn.Conv2d(2 * width, 2 * width, 1)]
        layers += [nn.LeakyReLU(0.1, inplace=True), nn.Conv2d(2 * width, condition, 1)]
        self.CondNet = nn.Sequential(*layers)
        self.score = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """`part_inputs` to raw scores (B, 1, h, w).

        CondNet has stride 4 but the image keeps its size, so the masks are enlarged ×4 first.
        """
        large = functional.interpolate(condition, scale_factor=4, mode="nearest")
        maps = self.CondNet(large)
        first = self.conv0(image)
        x = first
        for layer in self.sft_branch[:-1]:
            x = layer(x, maps)
        scores: Tensor = self.score(first + self.sft_branch[-1](x))
        return scores


class _SFTLayer(nn.Module):
    """x·(scale + 1) + shift, each from two 1×1 convolutions of the condition, LeakyReLU 0.1."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.SFT_scale_conv0 = nn.Conv2d(condition, condition, 1)
        self.SFT_scale_conv1 = nn.Conv2d(condition, width, 1)
        self.SFT_shift_conv0 = nn.Conv2d(condition, condition, 1)
        self.SFT_shift_conv1 = nn.Conv2d(condition, width, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale = self.SFT_scale_conv1(functional.leaky_relu(self.SFT_scale_conv0(condition), 0.1))
        shift = self.SFT_shift_conv1(functional.leaky_relu(self.SFT_shift_conv0(condition), 0.1))
        return x * (scale + 1) + shift


class _SFTResidualBlock(nn.Module):
    """x + conv1(sft1(relu(conv0(sft0(x)))))."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.sft0 = _SFTLayer(width, condition)
        self.conv0 = nn.Conv2d(width, width, 3, padding=1)
        self.sft1 = _SFTLayer(width, condition)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y = functional.relu(self.conv0(self.sft0(x, condition)))
        return x + self.conv1(self.sft1(y, condition))
