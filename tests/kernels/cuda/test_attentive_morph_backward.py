"""Gradients of the attentive morph in CUDA against autograd through the dense float64 form."""

import numpy as np
import pytest

from makeup_kernels import InvalidInputError
from makeup_kernels.attentive_morph.cuda_backward import attentive_morph_backward
from makeup_kernels.attentive_morph.reference import position_vectors

torch = pytest.importorskip("torch", reason="autograd is the oracle of gradients")

SOURCE, REFERENCE = (11, 9), (10, 12)


def dense_morph(source, reference, values, marks, regions):
    """The formula in float64 torch, one region after another; features (C, cells)."""
    positions = [
        torch.tensor(position_vectors(mark, *region.shape, 4))
        for mark, region in zip(marks, regions, strict=True)
    ]
    flat = [torch.tensor(region.astype(np.int64).ravel()) for region in regions]
    rows = torch.zeros(flat[0].numel(), values.shape[0], dtype=torch.float64)
    for region in range(1, 5):
        i, j = (flat[0] == region).nonzero()[:, 0], (flat[1] == region).nonzero()[:, 0]
        if not len(i) or not len(j):
            continue
        visual = 1e-4 * source[:, i].T @ reference[:, j]
        logits = 200 * (visual + positions[0][i] @ positions[1][j].T)
        others = torch.zeros(len(i), flat[1].numel() - len(j), dtype=torch.float64)
        weights = torch.softmax(torch.cat([logits, others], dim=1), dim=1)[:, : len(j)]
        rows = rows.index_put((i,), weights @ values[:, j].T)
    return rows.T


def make_problem(channels, values, faces, references, dtype):
    rng = np.random.default_rng(channels)

    def floats(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    marks = 20 + 12 * floats(faces, 9, 2)
    return [
        floats(faces, values, *SOURCE),
        floats(faces, channels, *SOURCE).astype(dtype),
        floats(references, channels, *REFERENCE).astype(dtype),
        marks,
        marks[:references] + floats(references, 9, 2),
        rng.integers(0, 5, (faces, *SOURCE)).astype(np.uint8),
        rng.integers(0, 4, (references, *REFERENCE)).astype(np.uint8),
        floats(references, values, *REFERENCE),
    ]


@pytest.mark.parametrize(
    ("channels", "values", "faces", "references", "dtype"),
    [
        (20, 3, 2, 1, np.float32),
        (300, 2, 1, 1, np.float32),
        (40, 2, 2, 2, np.float16),
        (0, 20, 1, 1, np.float32),
    ],
)
def test_gradients_are_those_of_autograd(device, channels, values, faces, references, dtype):
    problem = make_problem(channels, values, faces, references, dtype)
    slopes, source, reference, _, _, _, _, planes = problem
    results = device.run(lambda: attentive_morph_backward(*problem))
    leaves = [
        torch.tensor(array.reshape(*array.shape[:2], array.shape[2] * array.shape[3]),
                     dtype=torch.float64, requires_grad=True)
        for array in (source, reference, planes)
    ]  # fmt: skip
    loss = 0
    for face in range(faces):
        other = min(face, references - 1)
        marks = problem[3][face], problem[4][other]
        regions = problem[5][face], problem[6][other]
        morphed = dense_morph(leaves[0][face], leaves[1][other], leaves[2][other], marks, regions)
        loss = loss + (morphed * torch.tensor(slopes[face].reshape(values, -1))).sum()
    loss.backward()
    for result, leaf in zip(results, leaves, strict=True):
        assert result.dtype == np.float32
        expected = leaf.grad.numpy().reshape(result.shape)
        if expected.size:
            assert np.abs(result - expected).max() <= 5e-5 * np.abs(expected).max() + 1e-9


def test_wrong_arrays_raise(host_gpu):
    problem = make_problem(4, 2, 1, 1, np.float32)
    with pytest.raises(InvalidInputError, match=r"gradient: got float32 \(1, 1, 11, 9\), expected"):
        attentive_morph_backward(problem[0][:, :1], *problem[1:])
    with pytest.raises(
        InvalidInputError, match="expected one dtype, as many channels and landmarks"
    ):
        attentive_morph_backward(problem[0], problem[1].astype(np.float16), *problem[2:])
    wide = make_problem(4, 65, 1, 1, np.float32)
    with pytest.raises(InvalidInputError, match="values: got 65 planes, expected 1 to 64"):
        attentive_morph_backward(*wide)
