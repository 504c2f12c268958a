"""A head start: the affine maps beside the convolutions, by least squares on a few samples."""

import numpy as np
import torch
from torch import Tensor, nn

from makeup_training.mobile.batches import to_tensor
from makeup_training.mobile.losses import worn_change
from makeup_training.mobile.networks import (
    CHANGED,
    EVIDENCE,
    FACE,
    GAMMA,
    SEEN,
    FacePainter,
    FaceReader,
    evidence,
    of_face,
    region_shares,
)
from makeup_training.mobile.samples import Samples

LOOKS = 300
RIDGE = 1e-3
"""Pull of each weight towards 0, per sample."""


@torch.no_grad()
def start_from_samples(reader: FaceReader, painter: FacePainter, samples: Samples) -> None:
    """Set `direct` of both networks from the means of each region in the first makeups.

    The reader guesses how makeup changed a face from the evidence alone; the painter guesses the
    change of a face from that guess, from what was seen on the reference, and from its own
    evidence.
    """
    looks = min(LOOKS, len(samples) // samples.faces)
    seen, changed = [], []
    for first in range(0, looks * samples.faces, 32):
        rows = range(first, min(first + 32, looks * samples.faces))
        bare, truth = (
            to_tensor([images[row] for row in rows]) for images in (samples.bare, samples.truth)
        )
        regions = torch.from_numpy(np.stack([samples.bare_regions[row] for row in rows]))
        change = worn_change(truth, bare, regions)
        values = torch.cat([evidence(bare, regions), evidence(truth, regions), change], 1)
        shares = of_face(region_shares(regions))
        weights = shares / (shares.sum((2, 3), keepdim=True) + 1e-3)
        means = torch.einsum("bvhw,brhw->brv", values, weights)
        seen.append(means[..., : 2 * EVIDENCE])
        changed.append(means[..., 2 * EVIDENCE :])
    bare_seen, worn_seen = torch.cat(seen).split(EVIDENCE, 2)
    change = torch.cat(changed)
    guess = _set(reader.direct, worn_seen, change, scale=1.0)
    lender = torch.arange(len(change)).view(looks, -1).roll(1, 1).flatten()
    values = torch.cat([guess[lender], worn_seen[lender], bare_seen], 2)
    assert (CHANGED.start, SEEN.start) == (0, 3)
    _set(painter.direct, values, change, scale=1 / GAMMA)


def _set(direct: nn.Conv2d, values: Tensor, wanted: Tensor, scale: float) -> Tensor:
    """Fit the first three outputs; values (N, 2, V), wanted (N, 2, 3). Returns the guesses."""
    count = values.shape[2]
    outputs = direct.out_channels // len(FACE)
    assert direct.bias is not None
    guesses = []
    for region in range(len(FACE)):
        inputs = torch.cat([values[:, region], torch.ones(len(values), 1)], 1).double()
        normal = inputs.T @ inputs + RIDGE * len(inputs) * torch.eye(count + 1).double()
        weights = torch.linalg.solve(normal, inputs.T @ wanted[:, region].double()).float()
        guesses.append(inputs.float() @ weights)
        rows = slice(region * outputs, region * outputs + 3)
        direct.weight[rows, :, 0, 0] = scale * weights[:-1].T
        direct.bias[rows] = scale * weights[-1]
    return torch.stack(guesses, 1)
