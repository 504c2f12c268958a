"""One graph for everything, against our split at the kernel, both on ONNX Runtime.

The rival holds source network, attention and decoder of PSGAN in a single ONNX graph, so that no
kernel of ours and no Python is between them. Plain ONNX has no region lists of varying length: the
attention is over all 4096 x 4096 pairs of cells, with the masked ones at logit 0. It is given the
best form of that: positions as 3-vectors, the reference's keys prepared, one soft-max for all
regions in place of the published three.
"""

import io
from math import sqrt

import numpy as np
import pytest

pytest.importorskip("torch", reason="exports need torch: pip install '.[train]'")

import onnxruntime
import torch
from test_sessions import SIZE, STRIDE, cells, prepared, psgan_frame
from torch import nn

from makeup_export.graph_modules import face_batch

GRID = SIZE // STRIDE


class WholeFrame(nn.Module):
    """Pixels (1, 3, 256, 256) to the made-up picture; keys (259, N) and values (2, N) of the look.

    `offsets` (3, N) are the source's position vectors, `same` (N, N) tells pairs of one region.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image, offsets, same, keys, values):
        features = self.network.encode_source(image)
        scale = self.network.temperature * self.network.visual_weight**2
        queries = torch.cat([scale * features[0].flatten(1), offsets])
        weights = (queries.T @ keys * same).softmax(dim=1) * same
        maps = (weights @ values.T).T.reshape(1, 2, GRID, GRID)
        return self.network.decode(features, maps[:, :1], maps[:, 1:])


def positions(landmarks, *, temperature=1.0, coupling=1.0):
    """Unit position vectors (3, N) by the rank-3 identity; their products are the cosines."""
    points = torch.from_numpy(landmarks).double()
    mean = points.mean(dim=0)
    spread = (points - mean).square().sum()
    grid = torch.from_numpy(np.mgrid[:GRID, :GRID][::-1].reshape(2, -1) * float(STRIDE))
    offset = grid - mean[:, None]
    norm = (len(points) * offset.square().sum(dim=0) + spread).sqrt()
    rows = torch.cat([sqrt(len(points)) * offset, torch.full_like(norm, coupling)[None]])
    return (temperature * rows / norm).float()


def whole_inputs():
    """The arguments of `WholeFrame` for the demo pair, by name."""
    network, ready = prepared("psgan")
    source, reference = ready.pairs[0]
    with torch.no_grad():
        features, gamma, beta = network.encode_reference(face_batch(reference).image)
    marks, other = (face.landmarks.astype(float) for face in (source, reference))
    coupling = float(((marks - marks.mean(axis=0)) * (other - other.mean(axis=0))).sum())
    here, there = (cells(face).reshape(-1) for face in (source, reference))
    same = (here[:, None] == there) & (here[:, None] > 0)
    return {
        "image": face_batch(source).image,
        "offsets": positions(source.landmarks, temperature=network.temperature, coupling=coupling),
        "same": torch.from_numpy(same.astype(np.float32)),
        "keys": torch.cat([features[0].flatten(1), positions(reference.landmarks)]),
        "values": torch.cat([gamma, beta], dim=1)[0].flatten(1),
    }


def whole_session(network, inputs, threads):
    buffer = io.BytesIO()
    program = torch.onnx.export(
        WholeFrame(network).eval(), tuple(inputs.values()), input_names=list(inputs), dynamo=True
    )
    program.save(buffer)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(buffer.getvalue(), settings)


@pytest.mark.benchmark(group="psgan, one frame, look cached: split at the kernel or one graph")
class TestOneGraph:
    def test_split_at_the_kernel(self, threads, measure):
        measure(psgan_frame("fp32", threads), rounds=10, ours=True)

    def test_one_graph(self, threads, measure):
        inputs = whole_inputs()
        session = whole_session(prepared("psgan")[0], inputs, threads)
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        result = measure(lambda: session.run(None, arrays)[0], rounds=6)[0]
        ours = psgan_frame("fp32", threads)()[0]
        assert np.abs(result[::-1] - ours).max() < 2e-3  # the rival is RGB
