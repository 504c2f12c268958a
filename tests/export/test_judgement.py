"""The check of `makeup export` whether a network has learnt anything."""

from dataclasses import replace

import pytest
import torch

from makeup_export import catalogue
from makeup_export.faces import demo_faces
from makeup_export.judgement import Judgement, judge
from makeup_export.parity import face_pairs
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.systems.psgan import start

SIZE = 96
VIEW = {"offset": 1.0, "range": 2.4, "left": 32, "top": 48, "side": 192}


def judged(network: PSGANGenerator, view: dict[str, float] | None) -> Judgement:
    graphs = catalogue.graphs_of("psgan", network.eval(), SIZE)
    if view is not None:
        graphs = replace(graphs, constants={**graphs.constants, "view": view})
    return judge(graphs, face_pairs([face.resized(SIZE) for face in demo_faces()], 3))


@pytest.mark.parametrize("view", [None, VIEW])
def test_an_untrained_network_is_warned_of(view: dict[str, float] | None) -> None:
    torch.manual_seed(0)
    found = judged(PSGANGenerator(8, 3 if view else 1), view)
    assert abs(found.structure) < 0.2
    assert found.warning is not None
    assert "hardly learnt" in found.warning


def test_a_network_that_copies_colours_is_not() -> None:
    torch.manual_seed(0)
    network = PSGANGenerator(8, 3)
    start(network)
    found = judged(network, VIEW)
    assert found.arrival > 0.2, found
    assert found.structure > 0.5
    assert found.warning is None
