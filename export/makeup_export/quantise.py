"""fp32 graphs to int8: static Q/DQ pairs around convolutions, calibrated on faces.

Symmetric throughout (zero points 0), weights per output channel, activations per tensor, biases in
float after the convolution. TensorRT's explicit quantisation accepts this, and ONNX Runtime's CPU
fuses it into integer convolutions. `export.convert` decides by measurement which convolutions stay
in float.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from makeup_export.graph_modules import Array
from makeup_export.onnx_graphs import plain

_MOVING = {"Transpose", "Reshape", "Gather"}
"""Operators that only move values: after a convolution they move its int8 result."""

_LEVELS = 127
_SAMPLES = 1 << 16
_SHARES = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
"""Clipping points to try, as fractions of the largest value."""


@dataclass(frozen=True)
class Calibration:
    """Scales of the tensors of one graph: value ≈ scale · integer in −127..127."""

    scales: Mapping[str, float]


def candidates(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions with constant weights, in the order in which they run."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] in weights
    ]


def multiply_adds(model: onnx.ModelProto) -> dict[str, int]:
    """Multiply-adds of each candidate for one face."""
    inferred = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.output)
    }
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    chosen = set(candidates(model))
    return {
        node.name: math.prod(weights[node.input[1]].dims) * math.prod(shapes[node.output[0]][2:])
        for node in model.graph.node
        if node.name in chosen
    }


def calibrate(model: onnx.ModelProto, inputs: Sequence[Mapping[str, Array]]) -> Calibration:
    """Scales of the candidates' inputs and outputs: least squared error over all runs.

    Args:
        model: the fp32 graph.
        inputs: inputs of the graph, one mapping per run.
    """
    convolutions = set(candidates(model))
    found = [node for node in model.graph.node if node.name in convolutions]
    names = list(dict.fromkeys(name for n in found for name in (n.input[0], _raw_output(n))))
    probe = split_biases(model, convolutions)
    given = {value.name for value in probe.graph.input}
    known = {value.name for value in probe.graph.output}
    for name in names:
        if name not in known | given:
            probe.graph.output.append(helper.make_empty_tensor_value_info(name))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    asked = [name for name in names if name not in given]
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    largest = dict.fromkeys(names, 0.0)
    for run in inputs:
        results = dict(zip(asked, session.run(asked, dict(run)), strict=True))
        for name in names:
            values = np.abs(results.get(name, run.get(name))).ravel()
            largest[name] = max(largest[name], float(values.max()))
            step = max(1, values.size * len(inputs) // _SAMPLES)
            samples[name].append(values[::step])
    return Calibration(
        {name: _scale(np.concatenate(samples[name]), largest[name]) for name in names}
    )


def quantise(
    model: onnx.ModelProto, calibration: Calibration, left_out: frozenset[str] = frozenset()
) -> onnx.ModelProto:
    """The graph with its candidates in int8, except `left_out`."""
    chosen = set(candidates(model)) - left_out
    result = split_biases(model, chosen)
    weights = {tensor.name: tensor for tensor in result.graph.initializer}
    writer = _Writer(calibration, {value.name for value in result.graph.output})
    for node in result.graph.node:
        if node.name in chosen:
            writer.convolution(node, numpy_helper.to_array(weights[node.input[1]]))
        elif node.op_type in _MOVING and node.input[0] in writer.results:
            writer.rounded_result(node, writer.results[node.input[0]])
        else:
            writer.nodes.append(node)
    del result.graph.node[:]
    result.graph.node.extend(writer.nodes)
    used = {name for node in writer.nodes for name in node.input}
    kept = [t for t in [*result.graph.initializer, *writer.constants.values()] if t.name in used]
    del result.graph.initializer[:]
    result.graph.initializer.extend(kept)
    return plain(result)


def quantise_for_cpu(
    model: onnx.ModelProto, inputs: Sequence[Mapping[str, Array]]
) -> onnx.ModelProto:
    """The graph with its convolutions in the int8 form that runs fastest on ONNX Runtime's CPU.

    Uses ONNX Runtime's tool: activations unsigned per tensor with a zero point, weights signed per
    output channel, biases in int32. Weights use 7 bits, so that processors without VNNI do not
    saturate: every processor gives the same integers. TensorRT does not accept such graphs.

    Args:
        model: the fp32 graph.
        inputs: inputs of the graph to calibrate on, one mapping per run.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        source, shaped, result = (str(Path(folder, f"{name}.onnx")) for name in "abc")
        onnx.save(model, source)
        quant_pre_process(source, shaped, skip_symbolic_shape=True)
        quantize_static(
            shaped,
            result,
            _Runs(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantised = onnx.load(result)
    standard = [used for used in quantised.opset_import if used.domain in ("", "ai.onnx")]
    del quantised.opset_import[:]  # the tool declares its own domains but uses none
    quantised.opset_import.extend(standard)
    return plain(quantised)


class _Runs:
    """A calibration reader for ONNX Runtime's tool."""

    def __init__(self, inputs: Sequence[Mapping[str, Array]]) -> None:
        self._left = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        run = next(self._left, None)
        return None if run is None else dict(run)


def split_biases(model: onnx.ModelProto, convolutions: set[str]) -> onnx.ModelProto:
    """A copy in which these convolutions return `NAME_raw` and an Add node adds their bias."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    biases = {tensor.name: tensor for tensor in result.graph.initializer}
    nodes = []
    for node in result.graph.node:
        nodes.append(node)
        if node.name not in convolutions or len(node.input) < 3:
            continue
        bias = numpy_helper.to_array(biases[node.input[2]]).reshape(1, -1, 1, 1)
        name, output = f"{node.name}_bias", node.output[0]
        result.graph.initializer.append(numpy_helper.from_array(bias, name))
        del node.input[2]
        node.output[0] = f"{output}_raw"
        nodes.append(helper.make_node("Add", [node.output[0], name], [output], f"{name}_add"))
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


class _Writer:
    """Nodes and constants of a quantised graph; a tensor gets one Q/DQ pair for all its readers."""

    def __init__(self, calibration: Calibration, outputs: set[str]) -> None:
        self.calibration, self.outputs = calibration, outputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.pairs: dict[str, str] = {}
        self.results: dict[str, float] = {}

    def convolution(self, node: onnx.NodeProto, weight: NDArray[np.float32]) -> None:
        node.input[0] = self.pair(node.input[0])
        node.input[1] = self.weight(node.input[1], weight)
        self.rounded_result(node, self.calibration.scales[node.output[0]])

    def rounded_result(self, node: onnx.NodeProto, scale: float) -> None:
        output = node.output[0]
        node.output[0] = f"{output}_unrounded"
        self.nodes.append(node)
        self.results[output] = scale
        self.pair(node.output[0], scale, output)

    def pair(self, name: str, scale: float | None = None, target: str | None = None) -> str:
        """The name of this tensor after a Q/DQ pair."""
        if name not in self.pairs:
            scale = self.calibration.scales[name] if scale is None else scale
            self._constant(f"{name}_scale", np.float32(scale))
            self._constant(f"{name}_zero", np.int8(0))
            parameters = [f"{name}_scale", f"{name}_zero"]
            self._node("QuantizeLinear", [name, *parameters], f"{name}_int8")
            self.pairs[name] = target or f"{name}_rounded"
            self._node("DequantizeLinear", [f"{name}_int8", *parameters], self.pairs[name])
        return self.pairs[name]

    def weight(self, name: str, weight: NDArray[np.float32]) -> str:
        if name not in self.pairs:
            largest = np.abs(weight).reshape(len(weight), -1).max(1)
            scales = np.maximum(largest, np.finfo(np.float32).tiny * _LEVELS) / _LEVELS
            scaled = weight / scales.reshape(-1, 1, 1, 1)
            self._constant(f"{name}_int8", np.clip(np.rint(scaled), -127, 127).astype(np.int8))
            self._constant(f"{name}_scale", scales.astype(np.float32))
            self._constant(f"{name}_zero", np.zeros(len(weight), np.int8))
            inputs = [f"{name}_int8", f"{name}_scale", f"{name}_zero"]
            self._node("DequantizeLinear", inputs, f"{name}_rounded", axis=0)
            self.pairs[name] = f"{name}_rounded"
        return self.pairs[name]

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> None:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: int) -> None:
        node = helper.make_node(kind, inputs, [output], f"{output}_{kind}", **attributes)
        self.nodes.append(node)


def _raw_output(node: onnx.NodeProto) -> str:
    return f"{node.output[0]}_raw" if len(node.input) > 2 else node.output[0]


def _scale(values: NDArray[np.float32], largest: float) -> float:
    """The scale with the least squared error among a few clipping points."""
    if largest == 0:
        return 1.0
    errors = []
    for share in _SHARES:
        scale = share * largest / _LEVELS
        rounded = np.clip(np.rint(values / scale), 0, _LEVELS) * scale
        errors.append(np.square(rounded - values).mean())
    return float(_SHARES[int(np.argmin(errors))] * largest / _LEVELS)
