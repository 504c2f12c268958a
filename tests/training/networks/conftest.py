"""The weights and faces of the golden values, rebuilt from their formulas.

Every formula is evaluated in float64 and cast to float32. Tensors of a `state_dict` are filled by
the rank t of their key among the sorted keys: w(n, t) = sin(12.9898·(n+1) + 78.233·(t+1)).
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from makeup_training.networks.inputs import FaceBatch

REFERENCE_SHIFT = (6, -4)
"""Rows and columns by which the reference's masks and landmarks are shifted."""


def rectangle(y0, y1, x0, x1, dy, dx):
    y, x = np.mgrid[:256, :256]
    return (y >= y0 + dy) & (y < y1 + dy) & (x >= x0 + dx) & (x < x1 + dx)


def ellipse(cy, cx, ry, rx, dy, dx):
    y, x = np.mgrid[:256, :256]
    return ((y - cy - dy) / ry) ** 2 + ((x - cx - dx) / rx) ** 2 <= 1


def golden_masks(dy, dx):
    """Lip, face and eye masks, bool (3, 256, 256)."""
    around = [rectangle(84, 120, a, b, dy, dx) for a, b in ((64, 116), (140, 192))]
    balls = [rectangle(98, 108, a, b, dy, dx) for a, b in ((80, 104), (152, 176))]
    lip = rectangle(176, 200, 100, 156, dy, dx)
    eye = (around[0] & ~balls[0]) | (around[1] & ~balls[1])
    face = ellipse(140, 128, 90, 70, dy, dx) & ~lip & ~around[0] & ~around[1]
    return np.stack([lip, face, eye])


def golden_image(k):
    n = np.arange(3 * 256 * 256, dtype=np.float64)
    return torch.from_numpy(np.sin(0.013 * (n + 1) * (k + 1))).float().reshape(1, 3, 256, 256)


def golden_landmarks(scale, dy, dx):
    k = np.arange(68, dtype=np.float64)
    y = np.rint(140 + dy + scale * 80 * np.sin(0.9 * k))
    x = np.rint(128 + dx + scale * 60 * np.cos(1.7 * k))
    return torch.from_numpy(np.stack([x, y], 1)).float()[None]


def golden_parsing(dy, dx):
    lip, face, eye = golden_masks(dy, dx)
    ids = np.zeros((256, 256), np.int64)
    ids[ellipse(120, 128, 110, 95, dy, dx)] = 17
    ids[face | eye] = 1
    ids[lip] = 12
    ids[rectangle(98, 108, 80, 104, dy, dx)] = 4
    ids[rectangle(98, 108, 152, 176, dy, dx)] = 5
    return torch.from_numpy(ids)[None]


@pytest.fixture(scope="session")
def fill_golden():
    """Fill a module with the golden weights, in place."""

    def fill(module):
        modules = dict(module.named_modules())
        norms = (torch.nn.InstanceNorm2d, torch.nn.BatchNorm2d)
        state = {k: v for k, v in module.state_dict().items() if "num_batches" not in k}
        for t, key in enumerate(sorted(state)):
            tensor = state[key]
            n = np.arange(tensor.numel(), dtype=np.float64)
            w = np.sin(12.9898 * (n + 1) + 78.233 * (t + 1))
            parent, leaf = key.rpartition(".")[::2]
            if tensor.dim() >= 2:
                w /= np.sqrt(tensor.numel() / tensor.shape[0])
            elif leaf == "running_var" or (leaf == "weight" and isinstance(modules[parent], norms)):
                w = 1 + 0.1 * w
            else:
                w = 0.1 * w
            tensor.copy_(torch.from_numpy(w).float().reshape(tensor.shape))

    return fill


@pytest.fixture(scope="session")
def golden():
    return json.loads((Path(__file__).parent / "golden.json").read_text())


@pytest.fixture(scope="session")
def golden_faces():
    """Make the source and reference faces, one each, in a dtype (from float32 values)."""

    def make(dtype):
        faces = []
        for k, scale, shift in ((0, 1.0, (0, 0)), (1, 1.05, REFERENCE_SHIFT)):
            masks = golden_masks(*shift)
            regions = sum((r + 1) * mask.astype(np.uint8) for r, mask in enumerate(masks))
            image = golden_image(k).to(dtype)
            landmarks = golden_landmarks(scale, *shift)
            faces.append(FaceBatch(image, torch.from_numpy(regions)[None], landmarks))
        return faces

    return make


@pytest.fixture(scope="session")
def golden_parsings():
    """Raw 19-class ids of source and reference, int64 (1, 256, 256) each."""
    return golden_parsing(0, 0), golden_parsing(*REFERENCE_SHIFT)


@pytest.fixture(scope="session")
def assert_golden():
    """Hold a tensor against a golden entry: shape, statistics and 48 samples.

    The values were computed in float64 and written with nine digits: a tensor of float64 must
    agree to 1e-7. A float32 tensor has `atol`, which holds on any CPU: sums are taken in other
    orders on other instruction sets.
    """

    def check(tensor, entry, atol):
        assert list(tensor.shape) == entry["shape"]
        if tensor.dtype == torch.float64:
            atol = 1e-7
        step = entry["step"]
        sample = tensor[0][:, ::step, ::step].flatten()[: len(entry["sample"])]
        np.testing.assert_allclose(sample.numpy(), entry["sample"], rtol=5e-9, atol=atol)
        statistics = [tensor.mean(), tensor.std(), tensor.min(), tensor.max()]
        expected = [entry[name] for name in ("mean", "std", "min", "max")]
        np.testing.assert_allclose([s.item() for s in statistics], expected, rtol=5e-9, atol=atol)

    return check


@pytest.fixture(scope="session")
def random_faces():
    """Make B small random faces: side (a multiple of 4) and seed to a FaceBatch."""

    def make(batch, side, seed, dtype=torch.float32):
        random = torch.Generator().manual_seed(seed)
        image = torch.rand(batch, 3, side, side, generator=random, dtype=dtype) * 2 - 1
        regions = torch.randint(0, 4, (batch, side // 8, side // 8), generator=random)
        regions = regions.repeat_interleave(8, 1).repeat_interleave(8, 2)
        landmarks = torch.rand(batch, 68, 2, generator=random) * side
        return FaceBatch(image, regions, landmarks)

    return make
