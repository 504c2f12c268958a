"""Compare exported graphs with the trained network, per graph and for the final image."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from makeup_engines import GraphSpec, Session, SessionOptions, TensorSpec
from makeup_engines.backends import open_session
from makeup_export.faces import AlignedFace
from makeup_export.graph_modules import Array, ModelGraphs
from makeup_export.onnx_graphs import DTYPES

LEAST_PSNR = {"fp32": 70.0, "fp16": 45.0, "int8": 35.0}
"""Minimum PSNR in dB against PyTorch of an export's worst image, by precision."""

_EXACT = 200.0

Calls = Sequence[tuple[Mapping[str, Array], Mapping[str, Array]]]
"""Inputs and outputs of one graph, recorded from PyTorch on several faces."""


@dataclass(frozen=True)
class Difference:
    """Worst and mean absolute error, and PSNR in dB against the largest true value."""

    max_error: float
    mean_error: float
    psnr: float

    @classmethod
    def between(
        cls, found: NDArray[Any], true: NDArray[Any], peak: float | None = None
    ) -> "Difference":
        """Difference of two arrays of one shape; `peak` replaces the largest true value."""
        error = np.abs(found.astype(np.float64) - true)
        peak = float(np.abs(true).max()) if peak is None else peak
        power = float(np.square(error).mean())
        quality = 10 * np.log10(peak**2 / power) if power > 0 and peak > 0 else _EXACT
        return cls(float(error.max()), float(error.mean()), min(float(quality), _EXACT))


@dataclass(frozen=True)
class ImageParity:
    """The final image of one pair of faces, in pixel values 0 to 255, and CIE76 colour distance."""

    source: str
    reference: str
    difference: Difference
    mean_delta_e: float
    max_delta_e: float


@dataclass(frozen=True)
class Parity:
    """The report of one export.

    Attributes:
        graphs: each output of each graph, given PyTorch's inputs.
        images: each pair of faces, through all graphs.
    """

    graphs: Mapping[str, Mapping[str, Difference]]
    images: Sequence[ImageParity]

    @property
    def psnr(self) -> float:
        """PSNR in dB of the worst image."""
        return min(image.difference.psnr for image in self.images)

    @property
    def worst_output(self) -> tuple[str, str, Difference]:
        """Graph, output and difference of the largest error."""
        entries = [
            (graph, name, difference)
            for graph, outputs in self.graphs.items()
            for name, difference in outputs.items()
        ]
        return min(entries, key=lambda entry: entry[2].psnr)


def face_pairs(faces: Sequence[AlignedFace], count: int) -> list[tuple[AlignedFace, AlignedFace]]:
    """Pairs of source and reference: each face with the one half a list further on."""
    step = max(1, len(faces) // 2)
    return [(faces[i % len(faces)], faces[(i + step) % len(faces)]) for i in range(count)]


def record_calls(
    model: ModelGraphs, pairs: Iterable[tuple[AlignedFace, AlignedFace]]
) -> dict[str, list[tuple[Mapping[str, Array], Mapping[str, Array]]]]:
    """Inputs and outputs of each graph when PyTorch runs the model on these pairs."""
    calls: dict[str, list[tuple[Mapping[str, Array], Mapping[str, Array]]]] = {
        name: [] for name in model.graphs
    }

    def run(name: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        outputs = model.run(name, inputs)
        calls[name].append((inputs, outputs))
        return outputs

    for source, reference in pairs:
        model.make_up(run, source, reference)
    return calls


def open_graphs(
    model: ModelGraphs, graphs: Mapping[str, onnx.ModelProto], threads: int | None
) -> dict[str, Session]:
    """Sessions of exported graphs on ONNX Runtime's CPU."""
    return {
        name: open_session(
            graph.SerializeToString(),
            graph_spec(graph, f"{name}.onnx", model.graphs[name].runs),
            f"{model.name}:{name}",
            backend="onnxruntime",
            options=SessionOptions(threads=threads),
        )
        for name, graph in graphs.items()
    }


def measure(
    model: ModelGraphs,
    sessions: Mapping[str, Session],
    calls: Mapping[str, Calls],
    pairs: Sequence[tuple[AlignedFace, AlignedFace]],
    truths: Sequence[Array],
) -> Parity:
    """Compare sessions with PyTorch.

    Args:
        model: the model.
        sessions: sessions of all its graphs.
        calls: from `record_calls`.
        pairs: source and reference faces.
        truths: the network's image of each pair.
    """
    graphs = {name: compare_outputs(sessions[name], calls[name]) for name in sessions}
    images = []
    for (source, reference), true in zip(pairs, truths, strict=True):
        found = model.make_up(lambda name, inputs: sessions[name].run(inputs), source, reference)
        images.append(_compare_images(source.name, reference.name, found, true))
    return Parity(graphs, images)


def compare_outputs(session: Session, calls: Calls) -> dict[str, Difference]:
    """The worst difference of each output of one graph over all calls."""
    found: dict[str, list[Difference]] = {}
    for inputs, outputs in calls:
        result = session.run(inputs)
        for name, true in outputs.items():
            found.setdefault(name, []).append(Difference.between(result[name], true))
    return {
        name: Difference(
            max(d.max_error for d in differences),
            max(d.mean_error for d in differences),
            min(d.psnr for d in differences),
        )
        for name, differences in found.items()
    }


def graph_spec(graph: onnx.ModelProto, file: str, runs: str) -> GraphSpec:
    """The manifest's entry for an ONNX graph."""

    def tensors(values: Iterable[onnx.ValueInfoProto]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(value.name, DTYPES[kind.elem_type], tuple(map(_size, kind.shape.dim)))
            for value in values
            for kind in [value.type.tensor_type]
        )

    return GraphSpec(file, tensors(graph.graph.input), tensors(graph.graph.output), runs)


def _size(dimension: onnx.TensorShapeProto.Dimension) -> int | str:
    return dimension.dim_param or dimension.dim_value


def _compare_images(source: str, reference: str, found: Array, true: Array) -> ImageParity:
    as_pixels = [np.clip(image * 127.5 + 127.5, 0, 255) for image in (found, true)]
    distance = np.linalg.norm(_lab(as_pixels[0]) - _lab(as_pixels[1]), axis=2)
    return ImageParity(
        source,
        reference,
        Difference.between(as_pixels[0], as_pixels[1], peak=255.0),
        float(distance.mean()),
        float(distance.max()),
    )


def _lab(image: Array) -> NDArray[np.float32]:
    planes = np.ascontiguousarray(image.transpose(1, 2, 0), np.float32) / np.float32(255)
    return cv2.cvtColor(planes, cv2.COLOR_BGR2LAB).astype(np.float32)
