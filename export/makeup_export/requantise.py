"""Convert a finished fp32 bundle to int8, calibrated on recorded inputs of its graphs."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

from makeup_engines import Bundle, write_bundle
from makeup_engines.bundle import check_free
from makeup_export.graph_modules import Array
from makeup_export.onnx_graphs import ExportError
from makeup_export.parity import Difference
from makeup_export.quantise import calibrate, candidates, quantise, quantise_for_cpu

Runs = Sequence[Mapping[str, Array]]


def quantise_bundle(
    path: Path, inputs: Path, output: Path, *, cpu: bool = False
) -> dict[str, Difference]:
    """Write a bundle with int8 convolutions in every graph for which inputs are given.

    Args:
        path: a bundle in fp32 for ONNX Runtime.
        inputs: `.npz` of arrays `GRAPH/INPUT`; the first axis counts the runs.
        output: a new folder, or a `.zip`.
        cpu: use `quantise_for_cpu` instead of `quantise`, which TensorRT accepts too.

    Returns:
        for each such graph, the difference of its first output from fp32, over all runs.

    Raises:
        ExportError: the bundle is not in fp32, or the inputs do not fit its graphs.
        BundleError: the bundle is damaged, or `output` exists.
    """
    check_free(output)
    bundle = Bundle.open(path)
    manifest = bundle.manifest
    if (manifest.precision, manifest.target) != ("fp32", "onnx"):
        raise ExportError(
            f"{path}: a bundle in {manifest.precision} for {manifest.target}, expected fp32 for "
            "onnx; export it in fp32 first"
        )
    files = dict(bundle.contents)
    found = {}
    for name, runs in _read_runs(bundle, inputs).items():
        file = manifest.graphs[name].file
        graph = widen_weights(onnx.load_from_string(files[file]))
        if not candidates(graph):
            raise ExportError(f"{path}: graph {name!r} has no convolutions to quantise")
        changed = quantise_for_cpu(graph, runs) if cpu else quantise(graph, calibrate(graph, runs))
        files[file] = changed.SerializeToString()
        found[name] = Difference.between(_outputs(changed, runs), _outputs(graph, runs))
    fields = json.loads(bundle.manifest_bytes)
    write_bundle(output, fields | {"precision": "int8"}, files)
    return found


def widen_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with weights stored in half precision (float16, then Cast) as float32."""
    halves = {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT16
    }
    nodes, widened = [], []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in halves:
            values = numpy_helper.to_array(halves[node.input[0]]).astype(np.float32)
            widened.append(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend([*kept, *widened])
    return result


def _read_runs(bundle: Bundle, path: Path) -> dict[str, Runs]:
    """Inputs by graph, one mapping per run."""
    try:
        with zipfile.ZipFile(path):  # np.load alone also accepts bare .npy files
            archive = np.load(path, allow_pickle=False)
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ExportError(
            f"{path}: cannot be read ({error}); expected an .npz of arrays GRAPH/INPUT"
        ) from None
    graphs = bundle.manifest.graphs
    names = sorted({name.partition("/")[0] for name in arrays})
    unknown = [name for name in names if name not in graphs]
    if unknown or not names:
        raise ExportError(
            f"{path}: inputs of {', '.join(unknown) or 'no graph'}, expected arrays GRAPH/INPUT "
            f"with a graph of {', '.join(graphs)}"
        )
    runs: dict[str, Runs] = {}
    for graph in names:
        given = {
            name.partition("/")[2]: values
            for name, values in arrays.items()
            if name.partition("/")[0] == graph
        }
        wanted = {spec.name: [spec.dtype, *spec.shape[1:]] for spec in graphs[graph].inputs}
        shapes = {name: [values.dtype.name, *values.shape[1:]] for name, values in given.items()}
        counts = {len(values) for values in given.values()}
        if shapes != wanted or len(counts) != 1 or not counts.pop():
            raise ExportError(
                f"{path}: inputs of {graph!r} are {shapes}, expected {wanted}, as many runs of each"
            )
        count = len(next(iter(given.values())))
        runs[graph] = [{name: v[i : i + 1] for name, v in given.items()} for i in range(count)]
    return runs


def _outputs(graph: onnx.ModelProto, runs: Runs) -> Array:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(None, dict(run))[0] for run in runs])
