"""Pose correction: warp a reference so that its landmarks match the source's."""

import torch
from torch import Tensor
from torch.nn import functional

SMOOTHING = 1e-3
"""Weight of the bending energy, in units of the crop.

It keeps coinciding landmarks (a closed mouth) solvable and prevents folding up to 30° of yaw
difference. The landmark error is about 1 px for similar poses and 5 px for different ones.
"""

SMALLEST_AREA = 0.15
"""Minimum reference pixels per source pixel; below, the warp is stretched too far."""


def thin_plate_positions(
    source_landmarks: Tensor, reference_landmarks: Tensor, size: tuple[int, int]
) -> Tensor:
    """For each source pixel, the reference position that shows the same point of the face.

    A smoothing thin-plate spline through the landmark pairs and eight fixed points on the border.
    Source: Bookstein, Principal warps (1989).

    Args:
        source_landmarks: float (B, K, 2), x then y, crop pixels.
        reference_landmarks: float (B, K, 2), x then y, crop pixels.
        size: height and width of both crops.

    Returns:
        float (B, H, W, 2), x then y in reference pixels; may lie outside the crop.
    """
    height, width = size
    scale = source_landmarks.new_tensor([width - 1, height - 1])
    border = source_landmarks.new_tensor(
        [(0, 0), (0.5, 0), (1, 0), (0, 0.5), (1, 0.5), (0, 1), (0.5, 1), (1, 1)]
    ).expand(len(source_landmarks), 8, 2)
    points = torch.cat([source_landmarks / scale, border], 1).double()
    targets = torch.cat([reference_landmarks / scale, border], 1).double()

    batch, count = points.shape[:2]
    affine = torch.cat([torch.ones_like(points[..., :1]), points], 2)
    system = points.new_zeros(batch, count + 3, count + 3)
    identity = torch.eye(count, dtype=points.dtype, device=points.device)
    system[:, :count, :count] = _bending(points, points) + SMOOTHING * identity
    system[:, :count, count:] = affine
    system[:, count:, :count] = affine.transpose(1, 2)
    right = torch.cat([targets, targets.new_zeros(batch, 3, 2)], 1)
    coefficients = torch.linalg.solve(system, right).to(source_landmarks.dtype)

    y, x = torch.meshgrid(
        torch.linspace(0, 1, height, device=points.device),
        torch.linspace(0, 1, width, device=points.device),
        indexing="ij",
    )
    pixels = torch.stack([x.flatten(), y.flatten()], 1).to(source_landmarks.dtype)
    pixels = pixels.expand(batch, -1, 2)
    basis = _bending(pixels, points.to(pixels.dtype))
    positions = basis @ coefficients[:, :count] + coefficients[:, count, None]
    positions = positions + pixels @ coefficients[:, count + 1 :]
    return (positions * scale).unflatten(1, size)


def visible(positions: Tensor) -> Tensor:
    """Where a warp is valid: inside the reference, not folded, not stretched too far.

    Args:
        positions: float (B, H, W, 2) of `thin_plate_positions`.

    Returns:
        bool (B, H, W); other areas get no makeup.
    """
    height, width = positions.shape[1:3]
    limits = positions.new_tensor([width - 1, height - 1])
    inside = ((positions >= 0) & (positions <= limits)).all(-1)
    by_row, by_column = torch.gradient(positions, dim=(1, 2))
    determinant = by_column[..., 0] * by_row[..., 1] - by_column[..., 1] * by_row[..., 0]
    return inside & (determinant > SMALLEST_AREA)


def sampling_grid(positions: Tensor) -> Tensor:
    """Pixel positions (B, H, W, 2) as a grid for `torch.nn.functional.grid_sample`."""
    height, width = positions.shape[1:3]
    return (2 * positions + 1) / positions.new_tensor([width, height]) - 1


def reduce_grid(grid: Tensor, factor: int) -> Tensor:
    """A sampling grid (B, H, W, 2) reduced by `factor`: the mean of each block."""
    return functional.avg_pool2d(grid.permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1)


def sample(images: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Sample images (B, C, H, W) at a grid (B, H', W', 2), repeating the border outside."""
    return functional.grid_sample(
        images, grid, mode=mode, padding_mode="border", align_corners=False
    )


def _bending(a: Tensor, b: Tensor) -> Tensor:
    """U(r) = r² ln r² / 2 of all pairs: (B, N, 2), (B, M, 2) to (B, N, M); U(0) = 0."""
    squared = (a[:, :, None] - b[:, None]).square().sum(-1)
    return 0.5 * squared * squared.clamp(min=torch.finfo(squared.dtype).tiny).log()
