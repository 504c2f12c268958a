"""Convert fp32 graphs to fp16 inside the graph, as strongly typed runtimes need it.

Convolutions, matrix products and operators that only pass their results on run in half precision.
Everything sensitive stays in float32: statistics (instance norm, means, norms), soft-max and the
products that feed it, sampling positions, and residual sums. Inputs and outputs stay float32, so
the features for the attention kernel are summed in float32.
"""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from makeup_export.onnx_graphs import plain

_HEAVY = {"Conv", "MatMul", "Gemm"}
_PASSING = {
    "Relu", "LeakyRelu", "Concat", "DepthToSpace", "Slice", "Pad", "MaxPool", "AveragePool",
    "Split", "Reshape", "Transpose", "Unsqueeze", "Expand", "Clip", "Resize", "Gather",
}  # fmt: skip
_SUMMING = {"Add", "Mul", "Sub", "BatchNormalization"}
"""Operators in half precision only if every operand already is."""

_FIRST_INPUT_ONLY = {"Resize", "Slice", "Reshape", "Unsqueeze", "Expand", "Split", "Gather"}
_LARGEST = float(np.finfo(np.float16).max)


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the graph in fp16 where that is safe."""
    return _Halving(model).run()


def store_in_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights as float16 with a Cast after each; the arithmetic stays float32.

    Halves the file; runtimes fold the casts when they load the graph.
    """
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < 256:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Halving:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        graph = self.model.graph
        inferred = shape_inference.infer_shapes(model).graph
        values = [*inferred.input, *inferred.output, *inferred.value_info]
        self.floats = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
        self.weights = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
        self.protected = _feeds_softmax(graph)
        self.is_half: set[str] = set()
        self.casts: dict[tuple[str, bool], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.added: list[onnx.TensorProto] = []

    def run(self) -> onnx.ModelProto:
        graph = self.model.graph
        for node in graph.node:
            half = self._chooses_half(node)
            count = 1 if node.op_type in _FIRST_INPUT_ONLY else len(node.input)
            for i in range(count):
                node.input[i] = self._as(node.input[i], half)
            self.nodes.append(node)
            if half:
                self.is_half.update(node.output)
        for output in graph.output:
            if output.name in self.is_half:
                self._give_out(output.name)
        del graph.node[:]
        graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        kept = [t for t in [*graph.initializer, *self.added] if t.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return plain(self.model)

    def _chooses_half(self, node: onnx.NodeProto) -> bool:
        data = node.input[0] if node.input else ""
        if node.name in self.protected or data not in self.floats | self.is_half:
            return False
        if node.op_type in _SUMMING:
            moving = [name for name in node.input if name not in self.weights]
            return all(name in self.is_half for name in moving)
        return node.op_type in _HEAVY | _PASSING

    def _as(self, name: str, half: bool) -> str:
        """The name of this tensor in the wanted precision, through a cast or a copied weight."""
        if name in self.weights:
            return self._weight(name) if half else name
        if (name not in self.floats and name not in self.is_half) or (name in self.is_half) == half:
            return name
        if (name, half) not in self.casts:
            target = f"{name}_as_{'half' if half else 'float'}"
            kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
            self.nodes.append(helper.make_node("Cast", [name], [target], f"{target}_cast", to=kind))
            self.casts[name, half] = target
        return self.casts[name, half]

    def _weight(self, name: str) -> str:
        if (name, True) not in self.casts:
            values = numpy_helper.to_array(self.weights[name])
            halved = np.clip(values, -_LARGEST, _LARGEST).astype(np.float16)
            self.added.append(numpy_helper.from_array(halved, f"{name}_half"))
            self.casts[name, True] = f"{name}_half"
        return self.casts[name, True]

    def _give_out(self, name: str) -> None:
        """Cast a half-precision graph output to float32."""
        inner = f"{name}_half"
        for node in self.nodes:
            _rename(node.output, name, inner)
            _rename(node.input, name, inner)
        cast = helper.make_node("Cast", [inner], [name], f"{name}_out", to=TensorProto.FLOAT)
        self.nodes.append(cast)


def _rename(names: "Iterable[str]", old: str, new: str) -> None:
    for i, name in enumerate(list(names)):
        if name == old:
            names[i] = new  # type: ignore[index]


def _feeds_softmax(graph: onnx.GraphProto) -> set[str]:
    """Nodes whose results reach a soft-max without another layer: attention logits."""
    producer = {name: node for node in graph.node for name in node.output}
    protected: set[str] = set()
    pending = [node for node in graph.node if node.op_type == "Softmax"]
    while pending:
        for name in pending.pop().input:
            node = producer.get(name)
            if node is None or node.op_type == "Conv" or node.name in protected:
                continue
            protected.add(node.name)
            pending.append(node)
    return protected
