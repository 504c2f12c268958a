"""Differentiable crops of face parts at a fixed size, for discriminators that judge parts."""

import torch
from torch import Tensor
from torch.nn import functional


def mask_boxes(masks: Tensor, margin: int = 0) -> Tensor:
    """Bounding boxes of masks.

    Args:
        masks: bool (B, H, W).
        margin: pixels to add on each side; boxes stay inside the image.

    Returns:
        float (B, 4): x0, y0, x1, y1 in pixels, x1 and y1 exclusive; the whole image for an empty
        mask.
    """
    height, width = masks.shape[1:]
    bounds = []
    for axis, size in ((1, width), (2, height)):
        line = masks.any(axis).int()
        first = (line.argmax(1) - margin).clamp(min=0)
        last = (size - line.flip(1).argmax(1) + margin).clamp(max=size)
        bounds.append((first, last))
    (x0, x1), (y0, y1) = bounds
    return torch.stack([x0, y0, x1, y1], 1).float()


def crop_boxes(images: Tensor, boxes: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """One box of each image, resampled to a fixed size.

    Args:
        images: float (B, C, H, W).
        boxes: float (B, 4): x0, y0, x1, y1 in pixels, x1 and y1 exclusive.
        size: height and width of the result.
        mode: `bilinear` for images, `nearest` for masks.

    Returns:
        float (B, C, *size), with gradients to the images.
    """
    height, width = images.shape[2:]
    x0, y0, x1, y1 = boxes.to(images.dtype).unbind(1)
    zero = torch.zeros_like(x0)
    # the box as an affine transform in grid_sample's [−1, 1] coordinates
    transforms = torch.stack(
        [
            torch.stack([(x1 - x0) / width, zero, (x0 + x1) / width - 1], 1),
            torch.stack([zero, (y1 - y0) / height, (y0 + y1) / height - 1], 1),
        ],
        1,
    )
    grid = functional.affine_grid(transforms, [*images.shape[:2], *size], align_corners=False)
    return functional.grid_sample(
        images, grid, mode=mode, padding_mode="border", align_corners=False
    )


def crop_parts(images: Tensor, part_masks: Tensor, size: int) -> Tensor:
    """The masked parts of each image, cropped to their boxes: a local discriminator's input.

    Args:
        images: float (B, 3, H, W).
        part_masks: float (B, P, H, W) in [0, 1]; a part counts where its mask is above one half.
        size: side of the crops.

    Returns:
        float (P, B, 3, size, size); zero outside the part, all zero for a missing part.
    """
    crops = []
    for mask in part_masks.unbind(1):
        hard = mask > 0.5
        crops.append(
            crop_boxes(images * hard[:, None], mask_boxes(hard, 2), (size, size), "bilinear")
        )
    return torch.stack(crops)
