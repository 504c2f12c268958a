"""Export a graph module as plain, self-contained ONNX."""

import io
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence

import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

from makeup_export.graph_modules import GraphModule, Method
from makeup_kernels.errors import MakeupError

OPSET = 18
"""TensorRT 10.3 and ONNX Runtime 1.18 both support it completely."""

DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
}


class ExportError(MakeupError):
    """A network cannot be exported, or its export is not accurate enough."""


def to_onnx(graph: GraphModule) -> onnx.ModelProto:
    """Export one graph at opset 18; only the batch may be free.

    Raises:
        ExportError: the result is not standard, self-contained ONNX.
    """
    examples = [x if graph.any_batch else x[:1] for x in graph.inputs.values()]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        quiet = logging.getLogger("torch.onnx")
        before, quiet.level = quiet.level, logging.ERROR
        try:
            program = torch.onnx.export(
                graph.module.eval(),
                tuple(examples),
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=_dynamic_shapes(graph),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        finally:
            quiet.level = before
    assert program is not None
    return plain(program.model_proto)


def traced_onnx(
    network: nn.Module,
    examples: Mapping[str, Tensor],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """Export a network by tracing, which keeps the names of its weights.

    Args:
        network: takes tensors, batch first; must not branch on values.
        examples: one of each input, in the order of the network's arguments.
        outputs: names of its results, in order.
        free: names of the free axes, by input or output.

    Raises:
        ExportError: see `to_onnx`.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(examples.values()),
            buffer,
            input_names=list(examples),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in free.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    return plain(onnx.load_from_string(buffer.getvalue()))


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop metadata that runtimes do not read (traces, documentation), then check the graph.

    Raises:
        ExportError: see `to_onnx`.
    """
    model.producer_name, model.producer_version = "makeup-sdk", ""
    model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for part in _parts(model.graph):
        part.doc_string = ""
        del part.metadata_props[:]
    domains = {node.domain for node in model.graph.node}
    if model.functions or domains - {"", "ai.onnx"}:
        raise ExportError(
            f"the graph uses operators of {sorted(domains)}, expected standard ONNX only; "
            "write the layer with operations that torch.onnx maps to the standard"
        )
    onnx.checker.check_model(model, full_check=True)
    return model


def _parts(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto | onnx.ValueInfoProto]:
    yield from graph.node
    yield from graph.input
    yield from graph.output


def _dynamic_shapes(graph: GraphModule) -> object:
    """Free first dimension of every input; a module of `*tensors` needs a nested tuple."""
    if not graph.any_batch:
        return None
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = tuple({0: batch} for _ in graph.inputs)
    starred = isinstance(graph.module, Method)
    return (shapes,) if starred else shapes
