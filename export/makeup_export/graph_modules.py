"""A model prepared for export: its graphs as modules, and how they produce an image together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from makeup_export.faces import AlignedFace
from makeup_export.rewrites import HALF_RANGE
from makeup_training.networks.inputs import FaceBatch

Array = NDArray[Any]
Run = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]
"""Runs a graph by name: arrays by input name to arrays by output name."""


@dataclass(frozen=True)
class GraphModule:
    """One graph before export.

    Attributes:
        module: an `eval` module of tensors, batch first.
        inputs: one example (batch 2) of each input, in the order of the module's arguments.
        outputs: names of its results, in order.
        runs: "look" (once for each reference, style or face to edit) or "frame".
        any_batch: whether the batch is free; otherwise it is 1.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    runs: str
    any_batch: bool = True


@dataclass(frozen=True)
class ModelGraphs:
    """A model ready for export.

    Attributes:
        name: name of the model.
        size: side of the crops in pixels.
        graphs: by name, in the order in which they run.
        make_up: runs the graphs through a `Run` on a source and a reference face; returns the image
            float32 (3, S, S), BGR in [−1, 1].
        truth: the same image from the original trained network, without any rewrite.
        constants: for the manifest.
    """

    name: str
    size: int
    graphs: Mapping[str, GraphModule]
    make_up: Callable[[Run, AlignedFace, AlignedFace], Array]
    truth: Callable[[AlignedFace, AlignedFace], Array]
    constants: Mapping[str, Any] = field(default_factory=dict)

    def run(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a graph's module in PyTorch; the `Run` of the rewritten network."""
        graph = self.graphs[name]
        with torch.no_grad():
            result = graph.module(*(torch.from_numpy(inputs[key]) for key in graph.inputs))
        values = result if isinstance(result, tuple) else (result,)
        return {key: value.numpy() for key, value in zip(graph.outputs, values, strict=True)}


class Method(nn.Module):
    """A method of a network as a module, for export."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name

    def forward(self, *tensors: Tensor) -> Any:
        return getattr(self.network, self.name)(*tensors)


def pixels(face: AlignedFace) -> Array:
    """Input of the graphs: float32 (1, 3, S, S), BGR pixels minus 127.5."""
    planes = face.image.transpose(2, 0, 1)[None].astype(np.float32)
    return np.ascontiguousarray(planes - np.float32(HALF_RANGE))


def face_batch(face: AlignedFace) -> FaceBatch:
    """Input of the networks: one face, RGB in [−1, 1]."""
    image = torch.from_numpy(np.ascontiguousarray(pixels(face)[:, ::-1])) / HALF_RANGE
    return FaceBatch(
        image, torch.from_numpy(face.regions)[None], torch.from_numpy(face.landmarks)[None]
    )


def bgr(image: Tensor) -> Array:
    """A network's image (1, 3, S, S) in RGB as float32 (3, S, S) in BGR."""
    return np.ascontiguousarray(image[0].flip(0).numpy())
