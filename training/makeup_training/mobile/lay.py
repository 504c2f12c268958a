"""`makeup_sdk.models.mobile.layout.LaidCodes` in torch: the same morph with gradients to the codes.

Positions carry no gradient, so each part of the face is a fixed matrix of weights.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makeup_sdk.faces.layout import FaceLayout, Placement
from makeup_sdk.makeup.codes import GRID, STRIDE
from makeup_sdk.models.mobile.layout import PLACEMENTS
from makeup_training.networks.attention import position_vectors


class Lay:
    """The morph from one face to another, worked out once, applied to any codes.

    Args:
        source: the face that the codes lie on.
        target: the face that they shall lie on.
    """

    def __init__(self, source: FaceLayout, target: FaceLayout) -> None:
        self._parts = [
            part for placement in PLACEMENTS for part in _weights(source, target, placement)
        ]

    def __call__(self, codes: Tensor) -> Tensor:
        """float (V, 64, 64) on the source to the same on the target; 0 outside its regions."""
        flat = codes.flatten(1)
        laid = torch.zeros_like(flat)
        for to, come_from, weights, total in self._parts:
            brought = (flat[:, come_from] @ weights.to(flat.dtype).T).to(flat.dtype)
            laid = laid.index_copy(1, to, brought / total.to(flat.dtype))
        return laid.unflatten(1, (GRID, GRID))


@torch.no_grad()
def _weights(
    source: FaceLayout, target: FaceLayout, placement: Placement
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Per region: target cells, source cells, the weights of the latter in the former, and what to
    divide these by."""
    grids = [face.grid(placement).ravel() for face in (source, target)]
    points = [torch.from_numpy(face.points(placement)) for face in (source, target)]
    shape = torch.Size((GRID, GRID))
    queries, keys = (
        vectors.float()
        for vectors in position_vectors(points[1], points[0], (shape, shape), STRIDE)
    )
    parts = []
    for region in placement.regions:
        come_from, to = (_cells(grid, region) for grid in grids)
        if len(come_from) and len(to):
            logits = placement.temperature * queries[to] @ keys[come_from].T
            top = logits.max(1, keepdim=True).values
            weights = logits.sub_(top).exp_()
            others = (GRID * GRID - len(come_from)) * (-top[:, 0]).exp()
            parts.append((to, come_from, weights, weights.sum(1) + others))
    return parts


def _cells(grid: NDArray[np.uint8], region: int) -> Tensor:
    return torch.from_numpy(np.flatnonzero(grid == region))
