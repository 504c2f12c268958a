"""The colours of soft cells in the eyes' own axes, by the landmarks.

Where on the lids a colour is tells a lid's shadow from that of the crease or of the outer corner, a
highlight at the inner corner, a liner and its wing. The axes are about those that
`makeup_training.cosmetics.geometry.Eye` paints in: along the eye from the inner corner (0) to the
outer one (1), and upwards, both in eye widths; and from the upper lid's edge (0) to the brow (1).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from makeup_sdk.faces.types import CropGrid
from makeup_training.cosmetics.geometry import spline

ALONG = (-0.1, 0.2, 0.5, 0.8, 1.0, 1.15, 1.3)
"""Middles of the cells along the eye."""

TO_BROW = (0.1, 0.3, 0.6, 0.95)
"""Of those above the eye, from lid to brow."""

BELOW = (0.04, 0.14)
"""Of those below it, downwards of the lower lid, in eye widths."""

AT_LID = (-0.06, 0.0, 0.05, 0.1, 0.18)
"""Of those along the upper lid's edge, where liner is, upwards, in eye widths."""

EYE_CELLS = len(ALONG) * (len(TO_BROW) + len(BELOW) + len(AT_LID))

LEAST_PLACE = 2.0
"""Pixels; the colour of a smaller cell counts less."""

_SPREADS = {ALONG: 0.14, TO_BROW: 0.17, BELOW: 0.06, AT_LID: 0.035}
"""Distance from a cell's middle at which its weight is 1/e."""

_UPPER = ((39, 38, 37, 36), (42, 43, 44, 45))
_LOWER = ((39, 40, 41, 36), (42, 47, 46, 45))
_BROW = ((21, 20, 19, 18, 17), (22, 23, 24, 25, 26))
"""Landmarks of the eye on the left of the picture, then of the other, from the nose outwards."""

_SPLINES = {count: spline(np.eye(count), samples=2) for count in (4, 5)}
"""(2 · N - 1, N): the points of eyelids and of brows to these and, on a curve through them, those
halfway between."""

_LEAST_WIDTH, _LEAST_STEP, _LEAST_ROOM = 8.0, 0.02, 0.22
"""Of an eye, pixels; between points of a curve along the eye, and between lid and brow, in eye
widths: faces seen from the side."""

_BROW_THICKNESS = 0.2
"""In eye widths; the landmarks run along the brows' tops."""

_FAR = 2.0


def eye_cells(light: Tensor, own: Tensor, landmarks: Tensor, window: CropGrid) -> Tensor:
    """Mean light of each cell, of both eyes together.

    light (B, 3, h, w) and own (B, 1, h, w), the share of the eyes' region, of the window; landmarks
    (B, 68, 2), crop pixels; returns (B, 3 · `EYE_CELLS`, 1, 1).
    """
    along, above, below, upwards = eye_axes(landmarks, window).split(1, 1)
    columns = _near(along, ALONG).flatten(2)
    over = _near(upwards, TO_BROW) * (above > 0).float()
    rows = torch.cat([over, _near(below, BELOW), _near(above, AT_LID)], 1) * own
    rows = rows.flatten(2).transpose(1, 2)
    area = columns @ rows + LEAST_PLACE
    found = [(columns * light[:, c : c + 1].flatten(2)) @ rows / area for c in range(3)]
    return torch.cat([mean.flatten(1) for mean in found], 1)[:, :, None, None]


def eye_axes(landmarks: Tensor, window: CropGrid) -> Tensor:
    """Where pixels are: along the eye, above the upper lid's edge, below the lower one's (all in
    eye widths), and from lid to brow; of the eye in the pixel's half of the window.

    landmarks (B, 68, 2), crop pixels; returns (B, 4, h, w), at most 2 away from 0.
    """
    upper, lower, brow = (
        landmarks[:, _constant(of, landmarks, np.int64)] for of in (_UPPER, _LOWER, _BROW)
    )
    inner = upper[:, :, 0]
    axis = upper[:, :, 3] - inner
    width = axis.square().sum(2, keepdim=True).sqrt().clamp(min=_LEAST_WIDTH)
    axis = axis / width
    # towards the brow: up the picture on both sides, though the axes run apart
    normal = torch.stack([axis[..., 1], -axis[..., 0]], 2) * _constant(((-1,), (1,)), landmarks)
    half = window.columns // 2
    rows = _constant(range(window.rows), landmarks) + window.top
    columns = (_constant(range(2 * half), landmarks) + window.left).view(2, half)

    def curve(points: Tensor) -> tuple[Tensor, Tensor]:
        finer = _constant(_SPLINES[int(points.shape[2])], landmarks) @ points
        away = (finer - inner[:, :, None]) / width[:, :, None]
        return (away * axis[:, :, None]).sum(3), (away * normal[:, :, None]).sum(3)

    away_x = (columns[None, :, None] - inner[..., 0, None, None]) / width[..., None]
    away_y = (rows[None, None, :, None] - inner[..., 1, None, None]) / width[..., None]
    along, height = (
        away_x * unit[..., 0, None, None] + away_y * unit[..., 1, None, None]
        for unit in (axis, normal)
    )
    lid, under, top = (_height(*curve(points), along) for points in (upper, lower, brow))
    above = height - lid
    upwards = above / (top - _BROW_THICKNESS - lid).clamp(min=_LEAST_ROOM)
    axes = torch.stack([along, above, under - height, upwards], 1).clamp(-_FAR, _FAR)
    return torch.cat([axes[:, :, 0], axes[:, :, 1]], 3)


def _height(along: Tensor, height: Tensor, at: Tensor) -> Tensor:
    """Height of curves at places along the eye; flat beyond their ends.

    along, height (B, 2, N); at (B, 2, h, w / 2), also the shape of the answer.
    """
    steps = (along[:, :, 1:] - along[:, :, :-1]).clamp(min=_LEAST_STEP)
    start, steps = along[:, :, :-1, None, None], steps[..., None, None]
    done = ((at[:, :, None] - start) / steps).clamp(0, 1)
    rises = (height[:, :, 1:] - height[:, :, :-1])[..., None, None]
    return height[:, :, 0, None, None] + (done * rises).sum(2)


def _near(values: Tensor, middles: tuple[float, ...]) -> Tensor:
    """(B, 1, h, w) to (B, N, h, w): how near to each of the middles."""
    away = (values - _constant(middles, values).view(1, -1, 1, 1)) / _SPREADS[middles]
    return torch.exp(-away.square())


def _constant(values: Any, like: Tensor, dtype: type[np.generic] = np.float32) -> Tensor:
    """Where `like` lies; by way of NumPy, so that exported graphs hold it ready."""
    return torch.from_numpy(np.array(values, dtype)).to(like.device)
