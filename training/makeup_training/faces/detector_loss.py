"""Targets and losses of the detector."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from makeup_training.faces.detector_samples import Scene
from makeup_training.faces.networks import STRIDES

SIDE_RANGES = ((0.0, 56.0), (40.0, 128.0), (92.0, 1e9))
"""Face sizes (√area, input pixels) assigned to each level; neighbours overlap."""

CENTRE_RADIUS = 1.5
POSITIVE, NEGATIVE, UNJUDGED = 1, 0, -1


def level_targets(
    scene: Scene, stride: int, sides: tuple[float, float]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Per cell of one level: its kind int8 (h, w) and its face's box float32 (h, w, 4).

    A cell is positive if its centre lies in a face and within 1.5 strides of the face's centre;
    cells in ignored faces have no loss.
    """
    rows, columns = scene.image.shape[0] // stride, scene.image.shape[1] // stride
    kind = np.zeros((rows, columns), np.int8)
    target = np.zeros((rows, columns, 4), np.float32)
    x = (np.arange(columns) + 0.5) * stride
    y = (np.arange(rows) + 0.5)[:, None] * stride
    areas = np.prod(scene.boxes[:, 2:] - scene.boxes[:, :2], axis=1)
    for number in np.argsort(-areas):
        x0, y0, x1, y1 = scene.boxes[number]
        inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
        if scene.ignored[number]:
            kind[inside & (kind == NEGATIVE)] = UNJUDGED
            continue
        if not sides[0] <= np.sqrt(areas[number]) < sides[1]:
            continue
        radius = CENTRE_RADIUS * stride
        central = (abs(x - (x0 + x1) / 2) < radius) & (abs(y - (y0 + y1) / 2) < radius)
        cells = inside & central
        kind[cells] = POSITIVE
        target[cells] = scene.boxes[number]
    return kind, target


def detector_losses(outputs: list[Tensor], scenes: list[Scene]) -> dict[str, Tensor]:
    """Quality focal loss (Li et al., 2020) of the scores and GIoU loss of the boxes."""
    logits, boxes, kinds, targets = [], [], [], []
    for output, stride, sides in zip(outputs, STRIDES, SIDE_RANGES, strict=True):
        level = [level_targets(scene, stride, sides) for scene in scenes]
        kinds.append(torch.from_numpy(np.stack([k for k, _ in level])).flatten())
        targets.append(torch.from_numpy(np.stack([t for _, t in level])).reshape(-1, 4))
        logits.append(output[:, 0].float().flatten())
        boxes.append(decode_boxes(output.float(), stride).reshape(-1, 4))
    logit, box = torch.cat(logits), torch.cat(boxes)
    kind, target = torch.cat(kinds), torch.cat(targets)
    positive = kind == POSITIVE
    count = max(1, int(positive.sum()))
    iou, giou = overlap(box[positive], target[positive])
    quality = torch.zeros_like(logit)
    quality[positive] = iou.detach().clamp(min=0.05)
    score = logit.sigmoid()
    focal = (quality - score).abs() ** 2 * F.binary_cross_entropy_with_logits(
        logit, quality, reduction="none"
    )
    return {
        "score": focal[kind != UNJUDGED].sum() / count * 2,
        "box": ((1 - giou) * iou.detach().clamp(min=0.3)).sum() / count * 2,
    }


def decode_boxes(output: Tensor, stride: int) -> Tensor:
    """(B, 5, h, w) of one level to boxes (B, h, w, 4), x0 y0 x1 y1 in input pixels."""
    height, width = output.shape[2:]
    x = (torch.arange(width) + 0.5)[None, None, :] * stride
    y = (torch.arange(height) + 0.5)[None, :, None] * stride
    left, top, right, bottom = (output[:, 1:].clamp(-6, 5).exp() * stride).unbind(1)
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=3)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., 2019) of pairs of boxes (N, 4)."""
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    intersection = shared.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - intersection
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = intersection / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)
