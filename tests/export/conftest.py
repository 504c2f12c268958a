"""Every model at width 16, exported once; precisions are made from the same fp32 graphs."""

import functools
import importlib

import pytest
import torch
from torch import nn

from makeup_export import export
from makeup_export.catalogue import Settings, entry_of, graphs_of
from makeup_export.export import convert, prepare
from makeup_export.faces import demo_faces
from makeup_training.networks.psgan import PSGANGenerator

SIZES = {"portrait-edit": 256}
"""The others are exported at 64 to save time; their graphs are the same but for the sizes."""


@pytest.fixture(scope="session", autouse=True)
def _one_registry():
    """torch.onnx gathers its operators anew for each graph, which takes a second; here once."""
    exporter = importlib.import_module("torch.onnx._internal.exporter._registration")
    with pytest.MonkeyPatch.context() as patch:
        gathered = functools.cache(exporter.ONNXRegistry.from_torchlib)
        patch.setattr(exporter.ONNXRegistry, "from_torchlib", staticmethod(gathered))
        yield


@pytest.fixture(scope="session")
def faces():
    return demo_faces()


@pytest.fixture(scope="session")
def network_of():
    """An untrained network of width 16, the same each time; `:mobile` that of mobile class.

    A prior network has one hourglass of two levels instead of two of four: each level is alike.
    """

    @functools.cache
    def make(model: str):
        torch.manual_seed(0)
        name, _, variant = model.partition(":")
        network = entry_of(name).build(Settings(width=16, mobile=variant == "mobile"))
        if name == "psgan-sr":
            network.prior.hourglasses = nn.Sequential(network.prior.hourglasses[0].inner.inner)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def prepared_of(faces, network_of):
    """A model's fp32 graphs and PyTorch's results on two pairs of faces."""

    @functools.cache
    def make(model: str):
        name = model.partition(":")[0]
        graphs = graphs_of(name, network_of(model), SIZES.get(model, 64))
        return prepare(graphs, faces, pairs=2, progress=lambda text: None)

    return make


@pytest.fixture(scope="session")
def converted_of(prepared_of):
    """A model's graphs in a precision."""

    @functools.cache
    def make(model: str, precision: str):
        return convert(prepared_of(model), precision, threads=1, progress=lambda text: None)

    return make


@pytest.fixture(scope="session")
def wide_psgan():
    """An untrained PSGAN whose bottlenecks have 128 channels, the same each time."""
    torch.manual_seed(1)
    return PSGANGenerator(32).eval()


@pytest.fixture(scope="session")
def wide_graphs():
    return {}


@pytest.fixture
def _wide_graphs_once(wide_graphs, monkeypatch):
    """Exports of `wide_psgan` at size 64 share its fp32 graphs.

    Their reports still compare these with the network that each loaded.
    """

    def once(graph):
        shapes = {name: tuple(tensor.shape) for name, tensor in graph.inputs.items()}
        key = repr((shapes, graph.outputs))
        if key not in wide_graphs:
            wide_graphs[key] = to_onnx(graph)
        return wide_graphs[key]

    to_onnx = export.to_onnx
    monkeypatch.setattr(export, "to_onnx", once)
