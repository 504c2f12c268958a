"""Export a trained network as a bundle: graphs, precision and parity report."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from makeup_engines import Session, write_bundle
from makeup_export.faces import AlignedFace
from makeup_export.fast_convolutions import fast_convolutions
from makeup_export.graph_modules import Array, ModelGraphs
from makeup_export.half import store_in_half_precision, to_half
from makeup_export.manifest import manifest_fields
from makeup_export.onnx_graphs import ExportError, to_onnx
from makeup_export.parity import (
    LEAST_PSNR,
    Calls,
    Difference,
    Parity,
    face_pairs,
    graph_spec,
    measure,
    open_graphs,
    record_calls,
)
from makeup_export.quantise import Calibration, calibrate, candidates, multiply_adds, quantise
from makeup_export.rewrites import HALF_RANGE

PRECISIONS = tuple(LEAST_PSNR)
_ROUNDS = 16
_MARGIN = 0.5
"""Margin in dB above the limit that int8 must keep on the calibration faces."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class WeightsFacts:
    """Facts about the weights, for the manifest."""

    licence: str
    training_data: Sequence[Mapping[str, str]]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A model with its fp32 graphs and PyTorch's results: the input of every conversion.

    Attributes:
        model: the model.
        graphs: fp32, by name.
        pairs: source and reference faces of the report.
        truths: the trained network's image of each pair.
        calls: inputs and outputs of each graph, for calibration and report pairs.
    """

    model: ModelGraphs
    graphs: Mapping[str, onnx.ModelProto]
    pairs: Sequence[tuple[AlignedFace, AlignedFace]]
    truths: Sequence[Any]
    calls: Mapping[str, Calls]


@dataclass(frozen=True)
class Converted:
    """A model's graphs in one precision.

    Attributes:
        graphs: by name.
        left_out: for int8, each layer kept in float with the final image's PSNR in dB if only that
            layer were in int8.
    """

    graphs: Mapping[str, onnx.ModelProto]
    left_out: Mapping[str, float] = field(default_factory=dict)


def prepare(
    model: ModelGraphs, faces: Sequence[AlignedFace], *, pairs: int = 3, progress: Progress = print
) -> Prepared:
    """Export the fp32 graphs and run PyTorch on the faces, once for all precisions.

    Args:
        model: the model.
        faces: at least two; resized to the model's side.
        pairs: number of pairs to compare and to calibrate with.
        progress: called with each step's description.
    """
    resized = [face.resized(model.size) for face in faces]
    chosen = face_pairs(resized, pairs)
    with torch.no_grad():
        progress(f"{model.name}: PyTorch on {len(chosen)} pairs of faces")
        truths = [model.truth(source, reference) for source, reference in chosen]
        calls = record_calls(model, chosen)
    graphs = {}
    for name, graph in model.graphs.items():
        progress(f"{model.name}: exporting {name}")
        graphs[name] = to_onnx(graph)
    return Prepared(model, graphs, chosen, truths, calls)


def convert(
    prepared: Prepared,
    precision: str,
    *,
    threads: int | None = None,
    progress: Progress = print,
) -> Converted:
    """Convert the graphs to a precision.

    fp32 and int8 run on CPUs, so their wide float convolutions get the fast form.

    Raises:
        ExportError: an unknown precision.
    """
    if precision == "fp32":
        return Converted({n: fast_convolutions(graph) for n, graph in prepared.graphs.items()})
    if precision == "fp16":
        return Converted({name: to_half(graph) for name, graph in prepared.graphs.items()})
    if precision == "int8":
        return _convert_int8(prepared, threads, progress)
    raise ExportError(f"precision {precision!r}, expected one of {', '.join(PRECISIONS)}")


def with_half_weights(converted: Converted) -> Converted:
    """The same graphs with weights in float16, which runtimes widen when they load a graph."""
    graphs = {name: store_in_half_precision(graph) for name, graph in converted.graphs.items()}
    return replace(converted, graphs=graphs)


def report(
    prepared: Prepared, converted: Converted, precision: str, *, threads: int | None = None
) -> Parity:
    """Measure the graphs against PyTorch and check the limit of their precision.

    Raises:
        ExportError: an image is below the limit; the message names the graph that causes it.
    """
    sessions = open_graphs(prepared.model, converted.graphs, threads)
    parity = measure(prepared.model, sessions, prepared.calls, prepared.pairs, prepared.truths)
    least = LEAST_PSNR[precision]
    if not parity.psnr >= least:
        graph, output, difference = parity.worst_output
        others = ", ".join(
            f"{name} {min(d.psnr for d in outputs.values()):.1f}"
            for name, outputs in parity.graphs.items()
            if name != graph
        )
        raise ExportError(
            f"{prepared.model.name} in {precision}: the image is {parity.psnr:.1f} dB from "
            f"PyTorch's, expected at least {least:g} dB. Most of the error enters in graph "
            f"{graph!r}, output {output!r} ({difference.psnr:.1f} dB, worst "
            f"{difference.max_error:.3g}; the other graphs: {others or 'none'}). "
            + _advice(precision)
        )
    return parity


def write(
    path: Path,
    prepared: Prepared,
    converted: Converted,
    parity: Parity,
    precision: str,
    weights: WeightsFacts,
) -> None:
    """Write the bundle completely or not at all.

    Raises:
        BundleError: the path exists.
    """
    model = prepared.model
    files = {f"{name}.onnx": graph.SerializeToString() for name, graph in converted.graphs.items()}
    files["parity.json"] = _report_text(parity, converted, precision)
    graphs = {
        name: asdict(graph_spec(graph, f"{name}.onnx", model.graphs[name].runs))
        for name, graph in converted.graphs.items()
    }
    manifest = manifest_fields(
        model.name,
        precision=precision,
        mean=HALF_RANGE,
        scale=1,
        graphs=graphs,
        weights={
            "licence": weights.licence,
            "training_data": list(weights.training_data),
            **weights.details,
        },
        constants={
            **model.constants,
            "size": model.size,
            "output": {"scale": HALF_RANGE, "offset": HALF_RANGE},
        },
    )
    write_bundle(path, manifest, files)


def _convert_int8(prepared: Prepared, threads: int | None, progress: Progress) -> Converted:
    """Put all per-frame convolutions in int8, then return layers to float until the image is good.

    Layers with the most error per time saved return first. Layer errors are assumed to add up; the
    image then decides. Graphs that run once per look stay in float.
    """
    calibrations = {}
    for name, graph in prepared.graphs.items():
        if prepared.model.graphs[name].runs == "frame" and candidates(graph):
            progress(f"{prepared.model.name}: calibrating {name}")
            inputs = [inputs for inputs, _ in prepared.calls[name]]
            calibrations[name] = calibrate(graph, inputs)
    converted = Converted(_quantised(prepared, calibrations, {}))
    least = LEAST_PSNR["int8"] + _MARGIN
    if _psnr(prepared, converted, threads) >= least:
        return converted
    qualities = _qualities(prepared, calibrations, threads, progress)
    harms = {layer: 10 ** (-quality / 10) for layer, quality in qualities.items()}
    costs = {
        (name, layer): cost
        for name in calibrations
        for layer, cost in multiply_adds(prepared.graphs[name]).items()
    }
    order = sorted(harms, key=lambda layer: harms[layer] / costs[layer], reverse=True)
    rest = np.cumsum([harms[layer] for layer in reversed(order)])[::-1]
    foreseen = int(np.count_nonzero(rest > 10 ** (-least / 10)))
    step = max(1, len(order) // _ROUNDS)
    for count in range(max(0, foreseen - step), len(order) + step, step):
        progress(f"{prepared.model.name}: {count} of {len(order)} layers kept in float")
        left_out = {f"{graph}/{layer}": qualities[graph, layer] for graph, layer in order[:count]}
        converted = Converted(_quantised(prepared, calibrations, left_out), left_out)
        if _psnr(prepared, converted, threads) >= least:
            break
    return converted


def _quantised(
    prepared: Prepared, calibrations: Mapping[str, Calibration], left_out: Mapping[str, float]
) -> dict[str, onnx.ModelProto]:
    graphs = dict(prepared.graphs)
    for name, calibration in calibrations.items():
        floats = {
            layer.removeprefix(f"{name}/") for layer in left_out if layer.startswith(f"{name}/")
        }
        graphs[name] = quantise(graphs[name], calibration, frozenset(floats))
    return {name: fast_convolutions(graph) for name, graph in graphs.items()}


def _qualities(
    prepared: Prepared,
    calibrations: Mapping[str, Calibration],
    threads: int | None,
    progress: Progress,
) -> dict[tuple[str, str], float]:
    """For each layer, the PSNR in dB of the first pair's image with only that layer in int8."""
    model = prepared.model
    floats = open_graphs(model, prepared.graphs, threads)
    qualities = {}
    for name, calibration in calibrations.items():
        layers = candidates(prepared.graphs[name])
        progress(f"{model.name}: measuring {len(layers)} layers of {name}")
        for layer in layers:
            alone = quantise(prepared.graphs[name], calibration, frozenset(layers) - {layer})
            changed = open_graphs(model, {name: alone}, threads)
            qualities[name, layer] = _quality_from(name, prepared, floats | changed)
    return qualities


def _quality_from(name: str, prepared: Prepared, sessions: Mapping[str, Session]) -> float:
    """PSNR of the first pair's image; earlier graphs return PyTorch's results."""
    order = list(prepared.graphs)
    known = {graph: iter(prepared.calls[graph]) for graph in order[: order.index(name)]}

    def run(graph: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return next(known[graph])[1] if graph in known else sessions[graph].run(inputs)

    image = prepared.model.make_up(run, *prepared.pairs[0])
    return Difference.between(image, prepared.truths[0], peak=2.0).psnr


def _psnr(prepared: Prepared, converted: Converted, threads: int | None) -> float:
    sessions = open_graphs(prepared.model, converted.graphs, threads)
    return measure(
        prepared.model, sessions, dict.fromkeys(sessions, ()), prepared.pairs, prepared.truths
    ).psnr


def _report_text(parity: Parity, converted: Converted, precision: str) -> bytes:
    fields = {
        "precision": precision,
        "least_psnr_db": LEAST_PSNR[precision],
        "psnr_db": parity.psnr,
        "graphs": {
            graph: {name: asdict(difference) for name, difference in outputs.items()}
            for graph, outputs in parity.graphs.items()
        },
        "images": [asdict(image) for image in parity.images],
        "kept_in_float": dict(converted.left_out),
        "measured_on": f"ONNX Runtime {onnxruntime.__version__}, CPU",
    }
    return (json.dumps(fields, indent=2) + "\n").encode()


def _advice(precision: str) -> str:
    return {
        "fp32": "This is a defect of the export: report it with the model and the weights",
        "fp16": "Export it in fp32",
        "int8": "Calibrate with more and better fitting faces (--calibrate), or export in fp16",
    }[precision]
