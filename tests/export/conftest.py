"""Every model at width 16, exported once; precisions are made from the same fp32 graphs."""

import functools

import pytest
import torch

from makeup_export.catalogue import Settings, entry_of, graphs_of
from makeup_export.export import convert, prepare
from makeup_export.faces import demo_faces

SIZES = {"portrait-edit": 256}
"""The others are exported at 64 to save time; their graphs are the same but for the sizes."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def faces():
    return demo_faces()


@pytest.fixture(scope="session")
def network_of():
    """An untrained network of width 16, the same each time; `:mobile` that of mobile class."""

    @functools.cache
    def make(model: str):
        torch.manual_seed(0)
        name, _, variant = model.partition(":")
        return entry_of(name).build(Settings(width=16, mobile=variant == "mobile")).eval()

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
