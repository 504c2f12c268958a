"""Untrained networks of width 8 behind the engine: their modules stand in for sessions."""

import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from exported import ModuleSession

from makeup_engines import GraphSpec, TensorSpec
from makeup_export.catalogue import Settings, entry_of, graphs_of
from makeup_export.graph_modules import ModelGraphs
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.models.base import Model
from makeup_sdk.models.papers.graphs import Graphs
from makeup_sdk.models.papers.reference_model import ReferenceModel
from makeup_sdk.models.papers.region_gan import StyleModel

SIZES = {"psgan": 256, "psgan-sr": 64, "psgan-pose": 64, "region-gan": 64, "ssat": 64}
"""Sides of the networks' crops; portrait-edit has 256."""

_ANY_BATCH = GraphSpec("", (TensorSpec("image", "float32", ("batch",)),), ())


@pytest.fixture(scope="session")
def graphs_of_model() -> Callable[[str], ModelGraphs]:
    """An untrained network, split for export, the same each time.

    `:maps` has three maps, `:mobile` is of mobile class.
    """

    @functools.cache
    def make(name: str) -> ModelGraphs:
        torch.manual_seed(0)
        name, _, variant = name.partition(":")
        settings = Settings(width=8, styles=3)
        if variant == "maps":
            settings = replace(settings, maps=3, warp="maps")
        settings = replace(settings, mobile=variant == "mobile")
        network = entry_of(name).build(settings).eval()
        return graphs_of(name, network, SIZES.get(name, 256))

    return make


@pytest.fixture(scope="session")
def model_of(graphs_of_model: Callable[[str], ModelGraphs]) -> Callable[[str], Model]:
    """The SDK's model of an untrained network."""

    @functools.cache
    def make(name: str) -> Model:
        graphs = graphs_of_model(name)
        opened = Graphs(
            name,
            graphs.size,
            {key: ModuleSession(graphs, key, _ANY_BATCH) for key in graphs.graphs},
            graphs.constants,
            2,
            "bgr",
            (127.5, 127.5, 127.5),
            (1.0, 1.0, 1.0),
            (127.5, 127.5),
        )
        if name == "region-gan":
            return StyleModel(opened)
        return ReferenceModel(name.partition(":")[0], opened)

    return make


@pytest.fixture(scope="session")
def faces(analysis: Callable[[str], FaceAnalysis]) -> tuple[FaceAnalysis, FaceAnalysis]:
    """A bare face and a made-up one."""
    return analysis("light.jpg"), analysis("red-classic.jpg")
