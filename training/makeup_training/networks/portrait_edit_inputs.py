"""Labels, centres and part crops of mask-guided portrait editing (Gu et al., 2019)."""

import torch
from torch import Tensor

from makeup_training.networks.portrait_edit import CENTRED_PARTS, PARTS

PART_CLASSES = {
    "left_eye": (4,),
    "right_eye": (5,),
    "mouth": (7, 8, 9),
    "skin": (1, 2, 3, 6),
    "hair": (10,),
}
"""Label classes of each part; brows and nose belong to the skin."""

FALLBACK_CENTRES = {"left_eye": (116, 96), "right_eye": (116, 160), "mouth": (184, 128)}
"""Centres (y, x) of parts that are missing from a label."""

ENLARGEMENT = 1.1


def part_centres(label: Tensor) -> Tensor:
    """Centres of the bounding boxes of the eyes and the mouth.

    Centres closer to the border than half a part are moved inside, so that crops stay inside the
    image.

    Args:
        label: integer (B, 256, 256), 11 classes.

    Returns:
        int64 (B, 3, 2): left eye, right eye, mouth; y then x.
    """
    centres = []
    for sample in label:
        for name in CENTRED_PARTS:
            points = _mask(sample, name).nonzero()
            if len(points):
                middle = (points.amin(0) + points.amax(0)).div(2, rounding_mode="floor")
            else:
                middle = points.new_tensor(FALLBACK_CENTRES[name])
            half = points.new_tensor(PARTS[name].size) // 2
            limit = points.new_tensor(sample.shape) - half
            centres.append(middle.clamp(half, limit))
    return torch.stack(centres).view(len(label), len(CENTRED_PARTS), 2)


def enlarge_label(label: Tensor, centres: Tensor) -> Tensor:
    """The conditioning label: eyes and mouth enlarged by 1.1 about their centres.

    The parser's target stays the original label.

    Args:
        label: integer (B, H, W), 11 classes.
        centres: int64 (B, 3, 2) of `part_centres`.

    Returns:
        the same dtype and shape.
    """
    height, width = label.shape[1:]
    result = label.clone()
    for b, sample in enumerate(label):
        for i, name in enumerate(CENTRED_PARTS):
            cy, cx = centres[b, i].tolist()
            rows = _enlarged_index(height, cy).to(label.device)
            columns = _enlarged_index(width, cx).to(label.device)
            large = sample[rows][:, columns]
            shown = _mask(large, name)
            result[b][shown] = large[shown]
    return result


def part_crops(image: Tensor, label: Tensor, centres: Tensor) -> dict[str, Tensor]:
    """Inputs of the part encoders: eye rectangles, and masked mouth, skin and hair.

    Args:
        image: float (B, 3, 256, 256) in [−1, 1].
        label: integer (B, 256, 256), the enlarged label.
        centres: int64 (B, 3, 2) of the same faces.

    Returns:
        float (B, 3, h, w) for each part of `PARTS`.
    """
    crops = {}
    for name, spec in PARTS.items():
        masked = image
        if not name.endswith("eye"):
            masked = image * _mask(label, name)[:, None]
        if spec.placed is None:
            crops[name] = masked
            continue
        height, width = spec.size
        corners = centres[:, CENTRED_PARTS.index(name)] - centres.new_tensor(spec.size) // 2
        crops[name] = torch.stack(
            [m[:, y : y + height, x : x + width] for m, (y, x) in zip(masked, corners, strict=True)]
        )
    return crops


def part_masks(label: Tensor) -> dict[str, Tensor]:
    """Mask of each part of `PARTS`, bool (B, H, W), from a label (B, H, W)."""
    return {name: _mask(label, name) for name in PARTS}


def _enlarged_index(size: int, centre: int) -> Tensor:
    """For each row of the enlarged label, the row of the original that it shows."""
    shift = int(ENLARGEMENT * centre) - centre
    rows = (torch.arange(size, dtype=torch.float64) + shift + 0.5) / ENLARGEMENT
    return rows.floor().long().clamp(0, size - 1)


def _mask(label: Tensor, part: str) -> Tensor:
    return torch.isin(label, torch.tensor(PART_CLASSES[part], device=label.device))
