"""Model repositories of Triton Inference Server: `makeup build BUNDLE --server triton`.

    repository/
      makeup/                 config.pbtxt, 1/model.py, 1/bundle/
      face_detector_model/    config.pbtxt, 1/model.onnx
      …

`makeup` takes a frame or photo and a look, and returns the result. The others are the single graphs
of the bundle and of the face analysis.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeup_engines import Bundle
from makeup_engines.manifest import GraphSpec, TensorSpec
from makeup_engines.session import SessionOptions
from makeup_engines.tensorrt.plans import find_plan, read_plan
from makeup_kernels import BundleError, InvalidInputError
from makeup_kernels.files import aside, write_synced
from makeup_sdk.models.registry import bundle_of
from makeup_sdk.weights import FOLDER, open_shipped

BACKENDS = ("onnxruntime", "tensorrt")
KINDS = ("cpu", "gpu")
NAME = "makeup"
_FACE_NETWORKS = ("face_detector", "face_landmarks_regions")
_QUEUE_MICROSECONDS = 500
_DTYPES = {
    "float32": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "uint8": "TYPE_UINT8",
    "int8": "TYPE_INT8",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
}
_MODEL_PY = '''\
"""The model that Triton's Python backend loads: `makeup_sdk.serving.server_model`.

makeup-sdk must be installed for the Python that the backend carries; or name the folders where it
and its dependencies lie in MAKEUP_PYTHONPATH (the backend ignores PYTHONPATH).
"""

import os
import sys

sys.path[:0] = filter(None, os.environ.get("MAKEUP_PYTHONPATH", "").split(os.pathsep))

from makeup_sdk.serving.server_model import TritonPythonModel  # noqa: E402

__all__ = ["TritonPythonModel"]
'''


@dataclass(frozen=True)
class RepositoryOptions:
    """Options for serving the models of a repository.

    Attributes:
        backend: of the networks: "onnxruntime", or "tensorrt" for plans built by `makeup build`.
        kind: device of the networks: "cpu" or "gpu".
        instances: instances of the model `makeup`, each a process with an engine.
        threads: CPU threads of each instance.
        batch: maximum batch of networks that support batches.
    """

    backend: str = "onnxruntime"
    kind: str = "cpu"
    instances: int = 1
    threads: int = 1
    batch: int = 8

    def __post_init__(self) -> None:
        for name, known in (("backend", BACKENDS), ("kind", KINDS)):
            if getattr(self, name) not in known:
                raise InvalidInputError(
                    f"{name}: {getattr(self, name)!r} is unknown; expected one of {known}"
                )
        for name in ("instances", "threads", "batch"):
            if getattr(self, name) < 1:
                raise InvalidInputError(
                    f"{name}: got {getattr(self, name)}, expected an integer of at least 1"
                )


def write_repository(
    model: str | Path, output: str | Path, options: RepositoryOptions | None = None
) -> list[str]:
    """Write a model repository atomically.

    Args:
        model: name of a shipped model, or path of a bundle.
        output: a folder that does not exist yet.
        options: see `RepositoryOptions`.

    Returns:
        the names of its models; `makeup` first.

    Raises:
        InvalidInputError: no such model.
        BundleError: the bundle is damaged, or the output exists.
        BackendUnavailableError: for "tensorrt", a graph without a plan for this machine.
    """
    options = options or RepositoryOptions()
    output = Path(output)
    if output.exists():
        raise BundleError(f"{output}: already exists; remove it or choose another place")
    bundle = bundle_of(model)
    files: dict[str, bytes] = {}
    name = str(model) if bundle is None or bundle.path.parent == FOLDER else "bundle"
    if bundle is not None and name == "bundle":
        for file, data in {**bundle.contents, "manifest.json": bundle.manifest_bytes}.items():
            files[f"{NAME}/1/bundle/{file}"] = data
    files[f"{NAME}/1/model.py"] = _MODEL_PY.encode()
    files[f"{NAME}/config.pbtxt"] = _text(_makeup_config(name, options)).encode()
    names = [NAME]
    for served, spec, graph in _graphs(bundle):
        files |= _network(served, spec, graph, options)
        names.append(served)
    with aside(output) as place:
        for file, data in files.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            write_synced(place / file, data)
    return names


def _graphs(bundle: Bundle | None) -> Iterator[tuple[str, GraphSpec, bytes]]:
    """Name in the repository, description and ONNX file of every graph."""
    bundles = [open_shipped(name) for name in _FACE_NETWORKS] + ([bundle] if bundle else [])
    for each in bundles:
        prefix = each.path.name if each is not bundle else each.manifest.model
        for name, spec in each.manifest.graphs.items():
            yield f"{prefix}_{name}", spec, each.contents[spec.file]


def _network(
    name: str, spec: GraphSpec, graph: bytes, options: RepositoryOptions
) -> dict[str, bytes]:
    """The files of a network's model."""
    batches = all(
        tensor.shape and tensor.shape[0] == "batch" for tensor in (*spec.inputs, *spec.outputs)
    )
    config: dict[str, Any] = {"name": name}
    if options.backend == "tensorrt":
        batch = options.batch if batches else 1
        entry = find_plan(graph, SessionOptions(batch=batch), name)
        config |= {"backend": "tensorrt", "platform": "tensorrt_plan"}
        file, data = "model.plan", read_plan(entry)
    else:
        config |= {"backend": "onnxruntime", "platform": "onnxruntime_onnx"}
        file, data = "model.onnx", graph
    config["max_batch_size"] = options.batch if batches else 0
    config["input"] = [_tensor(tensor, batches) for tensor in spec.inputs]
    config["output"] = [_tensor(tensor, batches) for tensor in spec.outputs]
    if batches:
        config["dynamic_batching"] = {"max_queue_delay_microseconds": _QUEUE_MICROSECONDS}
    gpu = options.kind == "gpu" or options.backend == "tensorrt"
    config["instance_group"] = [{"count": 1, "kind": _Word("KIND_GPU" if gpu else "KIND_CPU")}]
    if options.backend == "onnxruntime" and not gpu:
        threads = {"string_value": str(options.threads)}
        config["parameters"] = [{"key": "intra_op_thread_count", "value": threads}]
    config["model_warmup"] = [_warm_up(spec, batches)]
    return {f"{name}/1/{file}": data, f"{name}/config.pbtxt": _text(config).encode()}


def _tensor(tensor: TensorSpec, batches: bool) -> dict[str, Any]:
    """An input or output; a free size is -1, and Triton adds the batch itself."""
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    found: dict[str, Any] = {
        "name": tensor.name,
        "data_type": _Word(_DTYPES[tensor.dtype]),
        "dims": shape[1:] if batches else shape,
    }
    if not found["dims"]:  # one number per item: Triton needs a dimension, the graph has none
        found |= {"dims": [1], "reshape": {"shape": []}}
    return found


def _warm_up(spec: GraphSpec, batches: bool) -> dict[str, Any]:
    """One call with zeros at start, so that the first request is fast; free sizes are 64."""
    inputs = []
    for tensor in spec.inputs:
        described = _tensor(tensor, batches)
        dims = [size if size > 0 else 64 for size in described["dims"]]
        value = {"data_type": described["data_type"], "dims": dims, "zero_data": True}
        inputs.append({"key": tensor.name, "value": value})
    return {"name": "zeros", "batch_size": 1 if batches else 0, "inputs": inputs}


def _makeup_config(model: str, options: RepositoryOptions) -> dict[str, Any]:
    """Configuration of the model `makeup`; `server_model.py` documents its tensors."""

    def tensor(name: str, kind: str, dims: Sequence[int], **more: Any) -> dict[str, Any]:
        return {"name": name, "data_type": _Word(kind), "dims": list(dims), **more}

    values = {"model": model, "threads": str(options.threads)}
    return {
        "name": NAME,
        "backend": "python",
        "max_batch_size": 0,
        "input": [
            tensor("frame", "TYPE_UINT8", (-1, -1, 3), optional=True),
            tensor("photo", "TYPE_UINT8", (-1,), optional=True),
            tensor("look", "TYPE_STRING", (1,), optional=True),
            tensor("look_file", "TYPE_UINT8", (-1,), optional=True),
            tensor("strength", "TYPE_FP32", (-1,), optional=True),
            tensor("format", "TYPE_STRING", (1,), optional=True),
        ],
        "output": [
            tensor("frame_out", "TYPE_UINT8", (-1, -1, 3)),
            tensor("photo_out", "TYPE_UINT8", (-1,)),
            tensor("faces", "TYPE_STRING", (1,)),
        ],
        "instance_group": [{"count": options.instances, "kind": _Word("KIND_CPU")}],
        "parameters": [
            {"key": key, "value": {"string_value": value}} for key, value in values.items()
        ],
    }


class _Word(str):
    """An enumeration value, written without quotes."""


def _text(message: Mapping[str, Any], indent: str = "") -> str:
    """A message in protobuf's text format."""
    lines = []
    for key, value in message.items():
        plain = isinstance(value, list) and all(isinstance(item, int) for item in value)
        for item in [value] if plain or not isinstance(value, list) else value:
            if isinstance(item, Mapping):
                lines.append(f"{indent}{key} {{\n{_text(item, indent + '  ')}{indent}}}\n")
            else:
                lines.append(f"{indent}{key}: {_value(item)}\n")
    return "".join(lines)


def _value(item: Any) -> str:
    if isinstance(item, _Word):
        return str(item)
    if isinstance(item, list):
        return "[" + ", ".join(map(str, item)) + "]"
    return json.dumps(item)  # texts are escaped and booleans are written as protobuf does
