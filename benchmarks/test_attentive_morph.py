"""Attentive morph against torch: the published dense form, and forms restricted to regions.

Regions of 66, 1342 and 290 cells on a 64×64 grid (the median face of the Makeup Transfer data),
C = 256, V = 2, reference prepared, 68 landmarks.
"""

import numpy as np
import pytest
from face_cells import FACE_CELLS, face_regions, pairs

from makeup_kernels import TEMPLATE_LANDMARKS, MorphReference, attentive_morph
from makeup_kernels.attentive_morph.reference import position_vectors

torch = pytest.importorskip("torch", reason="the peers need torch: pip install '.[train]'")

GRID, STRIDE, CHANNELS = 64, 4, 256
SIZES = FACE_CELLS
PAIRS = pairs(SIZES)
VISUAL_WEIGHT, TEMPERATURE = 0.01, 200.0


@pytest.fixture(scope="module")
def face():
    rng = np.random.default_rng(0)

    def floats(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    landmarks = TEMPLATE_LANDMARKS * 256
    other = (landmarks + 4 * floats(68, 2)).astype(np.float32)
    regions = face_regions(GRID, SIZES)
    assert {i: int((regions == i).sum()) for i in SIZES} == SIZES
    return (
        floats(CHANNELS, GRID, GRID),
        floats(CHANNELS, GRID, GRID),
        landmarks,
        other,
        regions,
        np.ascontiguousarray(regions[:, ::-1]),
        floats(2, GRID, GRID),
    )


def unit_positions(landmarks):
    """(136, 4096): the published input maps, part of pre-processing there, not timed."""
    vectors = position_vectors(landmarks, GRID, GRID, STRIDE)
    return torch.from_numpy(vectors.T.astype(np.float32).copy())


def region_masks(regions):
    flat = regions.reshape(1, -1)
    return torch.from_numpy(np.concatenate([flat == i for i in SIZES])).float()[:, None]


def published(face):
    """Three masked 4096×4096 soft-maxes, kept as a sparse tensor that is made dense twice."""
    features, ref_features = (torch.from_numpy(a).reshape(CHANNELS, -1) for a in face[:2])
    positions, ref_positions = unit_positions(face[2]), unit_positions(face[3])
    masks, ref_masks = region_masks(face[4]), region_masks(face[5])
    values = torch.from_numpy(face[6]).reshape(2, -1)

    def run():
        queries = masks * torch.cat([VISUAL_WEIGHT * features, positions])[None]
        keys = ref_masks * torch.cat([VISUAL_WEIGHT * ref_features, ref_positions])[None]
        product = torch.bmm(queries.transpose(1, 2), keys)
        where = product.nonzero().T
        product *= TEMPERATURE
        weights = product.softmax(dim=-1)[where[0], where[1], where[2]]
        attention = torch.sparse_coo_tensor(where, weights, product.shape, check_invariants=False)
        out = []
        for value in values:
            masked = (ref_masks * value).transpose(1, 2)
            out.append(torch.bmm(attention.to_dense(), masked).sum(dim=0)[:, 0])
        return torch.stack(out)

    return run


def same_region(face):
    """The published vectors (392 numbers), gathered and multiplied within each region only."""
    features, ref_features = (torch.from_numpy(a).reshape(CHANNELS, -1) for a in face[:2])
    positions, ref_positions = unit_positions(face[2]), unit_positions(face[3])
    regions, ref_regions = (torch.from_numpy(a).reshape(-1) for a in face[4:6])
    values = torch.from_numpy(face[6]).reshape(2, -1)

    def run():
        queries = torch.cat([VISUAL_WEIGHT * features, positions])
        keys = torch.cat([VISUAL_WEIGHT * ref_features, ref_positions])
        out = torch.zeros(2, GRID * GRID)
        for region in SIZES:
            rows, columns = regions == region, ref_regions == region
            logits = TEMPERATURE * (queries[:, rows].T @ keys[:, columns])
            peak = logits.amax(dim=1, keepdim=True).clamp(min=0)
            weights = torch.exp(logits - peak)
            others = GRID * GRID - columns.sum()
            total = weights.sum(dim=1) + others * torch.exp(-peak[:, 0])
            out[:, rows] = (weights @ values[:, columns].T / total[:, None]).T
        return out

    return run


def same_region_prepared(face):
    """The best torch form: 259 numbers by the rank-3 identity, keys and cell lists prepared."""
    features, ref_features = (torch.from_numpy(a).reshape(CHANNELS, -1) for a in face[:2])
    marks, ref_marks = (torch.from_numpy(a).double() for a in face[2:4])
    mean, ref_mean = marks.mean(dim=0), ref_marks.mean(dim=0)
    spread = (marks - mean).square().sum()
    coupling = ((marks - mean) * (ref_marks - ref_mean)).sum()
    grid = torch.from_numpy(np.mgrid[:GRID, :GRID][::-1].reshape(2, -1).copy()) * float(STRIDE)
    count = marks.shape[0]

    def vectors(offset, total, last):
        norm = (count * offset.square().sum(dim=0) + total).sqrt()
        rows = torch.cat([count**0.5 * offset, torch.full_like(norm, last)[None]]) / norm
        return rows.float()

    regions, ref_regions = (torch.from_numpy(a).reshape(-1) for a in face[4:6])
    values = torch.from_numpy(face[6]).reshape(2, -1)
    ref_spread = (ref_marks - ref_mean).square().sum()
    keys = torch.cat([ref_features, vectors(grid - ref_mean[:, None], ref_spread, 1.0)])
    prepared = []
    for region in SIZES:
        columns = (ref_regions == region).nonzero()[:, 0]
        rows = (regions == region).nonzero()[:, 0]
        packed = keys[:, columns].contiguous(), values[:, columns].T.contiguous()
        prepared.append((rows, *packed, GRID * GRID - len(columns)))

    def run():
        scale = TEMPERATURE * VISUAL_WEIGHT**2
        position = TEMPERATURE * vectors(grid - mean[:, None], spread, float(coupling))
        queries = torch.cat([scale * features, position])
        out = torch.zeros(2, GRID * GRID)
        for rows, packed, packed_values, others in prepared:
            logits = queries[:, rows].T @ packed
            peak = logits.amax(dim=1, keepdim=True).clamp_(min=0)
            weights = logits.sub_(peak).exp_()
            total = weights.sum(dim=1) + others * torch.exp(-peak[:, 0])
            out[:, rows] = (weights @ packed_values / total[:, None]).T
        return out

    return run


@pytest.mark.benchmark(group="attentive_morph: 66/1342/290 cells, C=256, V=2")
class TestFace:
    def test_makeup_kernels_prepared(self, face, threads, measure):
        reference = MorphReference(face[1], face[3], face[5], face[6])
        out = np.empty((2, GRID, GRID), np.float32)
        measure(
            lambda: reference.morph(face[0], face[2], face[4], out, threads=threads),
            ours=True,
            multiply_adds=PAIRS * (CHANNELS + 3 + 2),
        )

    def test_makeup_kernels_one_call(self, face, threads, measure):
        measure(lambda: attentive_morph(*face, threads=threads))

    @pytest.mark.parametrize("size", [(1342, 256, 1342), (2048, 2048, 2048)], ids=str)
    def test_torch_matmul_rate(self, size, threads, measure):
        """What this machine reaches in a plain float32 matrix product."""
        n, k, m = size
        a, b = torch.randn(n, k), torch.randn(k, m)
        out = torch.empty(n, m)
        measure(lambda: torch.mm(a, b, out=out), rounds=20, multiply_adds=n * k * m)

    @pytest.mark.parametrize("peer", [same_region_prepared, same_region, published])
    def test_torch(self, peer, face, threads, measure):
        ours = attentive_morph(*face).reshape(2, -1)
        theirs = measure(peer(face), rounds=5 if peer is published else 20)
        np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-3)


@pytest.mark.benchmark(group="attentive_morph: positions alone (C=0), V=3")
class TestPositionsAlone:
    def test_makeup_kernels_prepared(self, face, threads, measure, rng):
        none = np.zeros((0, GRID, GRID), np.float32)
        colors = rng.standard_normal((3, GRID, GRID), dtype=np.float32)
        reference = MorphReference(none, face[3], face[5], colors)
        out = np.empty((3, GRID, GRID), np.float32)
        measure(lambda: reference.morph(none, face[2], face[4], out, threads=threads), ours=True)
