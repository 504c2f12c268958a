"""Run graphs in PyTorch: for GPUs with the Triton kernels but without TensorRT. Optional.

The graph's nodes run one by one as PyTorch operations; those that depend only on constants run
once, when the session opens. Only this backend imports torch and onnx, when a session opens.

Why not a library: onnx2torch 1.5.15 converts none of the shipped graphs (it needs weights as plain
initialisers, ours are float16 behind a Cast; it lacks QuantizeLinear) and needs torchvision. I/O
binding needs ONNX Runtime's CUDA build; this backend needs only torch and Triton.
"""

import importlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from makeup_engines.manifest import GraphSpec
from makeup_engines.session import (
    Array,
    SessionOptions,
    check_arrays,
    check_names,
    check_output_names,
)
from makeup_engines.torch_operators import OPERATORS, Attributes
from makeup_kernels.dispatch import thread_count
from makeup_kernels.errors import BackendUnavailableError, BundleError, InvalidInputError

_SHAPE_INPUTS = {
    "ConstantOfShape": (0,), "Expand": (1,), "Pad": (1, 2, 3), "ReduceL2": (1,), "ReduceMean": (1,),
    "ReduceSum": (1,), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,),
    "Tile": (1,), "Unsqueeze": (1,),
}  # fmt: skip
"""Inputs that are read as numbers: kept on the CPU, so a run never waits for the GPU."""
_MAKE_ON_CPU = ("ConstantOfShape", "Shape")
"""Operators whose results are always on the CPU."""


class _Node(NamedTuple):
    """A node of the graph, with the names of its operands and results."""

    kind: str
    attributes: Attributes
    inputs: list[str]
    outputs: list[str]


class TorchSession:
    """A graph on PyTorch's CUDA device, or on the CPU if there is none.

    Takes NumPy arrays and, on a GPU, any array with `__cuda_array_interface__` or `__dlpack__`. If
    an input is on the GPU, outputs that were not given are torch tensors there.
    """

    backend = "torch"

    def __init__(
        self, torch: Any, model: Any, spec: GraphSpec, where: str, options: SessionOptions
    ) -> None:
        """Use `open`."""
        cuda = torch.cuda.is_available()
        self.device = f"cuda:{options.device}" if cuda else "cpu"
        self.spec = spec
        self._torch, self._where, self._options = torch, where, options
        self._lock = threading.Lock()
        self._graphs: dict[tuple[Any, ...], tuple[Any, dict[str, Any], dict[str, Any]]] = {}
        self._numbers = _numbers(model.graph.node)
        self._constants, self._nodes = self._fold(model)

    @classmethod
    def open(
        cls, model: bytes, spec: GraphSpec, where: str, options: SessionOptions
    ) -> "TorchSession":
        """Load a graph from its checked bytes.

        Raises:
            BackendUnavailableError: torch or onnx is missing, or fp16 or CUDA graphs were requested
                without a GPU.
            BundleError: the graph is damaged, does not match `spec`, or uses an operator that this
                backend lacks.
        """
        torch, onnx = _import("torch"), _import("onnx")
        if (options.half or options.cuda_graph) and not torch.cuda.is_available():
            raise BackendUnavailableError(
                f"{where}: half and cuda_graph need a GPU, torch {torch.__version__} finds none; "
                "leave them out, or install a torch with CUDA"
            )
        if options.threads is not None and not torch.cuda.is_available():
            torch.set_num_threads(thread_count(options.threads))
        try:
            graph = onnx.load_from_string(model)
            onnx.checker.check_model(graph)
        except Exception as error:  # protobuf and the checker raise their own classes
            raise BundleError(f"{where}: not a valid ONNX graph ({error})") from None
        missing = sorted({node.op_type for node in graph.graph.node} - OPERATORS.keys())
        if missing:
            raise BundleError(
                f"{where}: backend 'torch' lacks {', '.join(missing)}; run it on 'onnxruntime'"
            )
        names = {value.name for value in (*graph.graph.input, *graph.graph.output)}
        if names != {tensor.name for tensor in (*spec.inputs, *spec.outputs)}:
            raise BundleError(
                f"{where}: the graph has {sorted(names)}, which is not what the manifest says; "
                "export the bundle again"
            )
        return cls(torch, graph, spec, where, options)

    def run(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """See `Session.run`."""
        outputs = outputs or {}
        check_names(inputs, self.spec, self._where)
        check_output_names(outputs, self.spec, self._where)
        sizes = check_arrays("input", inputs, self.spec.inputs, self._where)
        given = check_arrays("output", outputs, self.spec.outputs, self._where)
        if any(given[name] != sizes.get(name, given[name]) for name in given):
            raise InvalidInputError(f"{self._where}: outputs must have the batch of the inputs")
        on_gpu = any(not isinstance(array, np.ndarray) for array in inputs.values())
        with self._lock, self._torch.inference_mode():
            tensors = {name: self._tensor(array) for name, array in inputs.items()}
            results = self._replay(tensors) if self._options.cuda_graph else self._compute(tensors)
            return {
                name: self._deliver(tensor, outputs.get(name), on_gpu)
                for name, tensor in results.items()
            }

    def _compute(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Run all nodes in order."""
        torch = self._torch
        values = {**self._constants, **tensors}
        half = torch.autocast("cuda", torch.float16, enabled=self._options.half)
        with half if self._options.half else torch.autocast("cpu", enabled=False):
            for kind, attributes, inputs, names in self._nodes:
                operands = [values[name] if name else None for name in inputs]
                values.update(_results(torch, kind, attributes, operands, names))
                if kind in _MAKE_ON_CPU and names[0] not in self._numbers:
                    values[names[0]] = values[names[0]].to(self.device)
        return {
            tensor.name: values[tensor.name].to(getattr(torch, tensor.dtype)).contiguous()
            for tensor in self.spec.outputs
        }

    def _replay(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Replay the CUDA graph of these shapes; it is captured at their first run."""
        torch = self._torch
        key = tuple((name, tuple(tensor.shape)) for name, tensor in sorted(tensors.items()))
        if key not in self._graphs:
            held = {name: tensor.clone() for name, tensor in tensors.items()}
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._compute(held)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                results = self._compute(held)
            self._graphs[key] = (graph, held, results)
        graph, held, results = self._graphs[key]
        for name, tensor in tensors.items():
            held[name].copy_(tensor)
        graph.replay()
        # the next run overwrites the graph's memory
        return {name: tensor.clone() for name, tensor in results.items()}

    def _fold(self, model: Any) -> tuple[dict[str, Any], list[_Node]]:
        """All constants, given and folded, and the nodes that remain to run."""
        torch, to_array = self._torch, _import("onnx.numpy_helper").to_array

        def tensor(proto: Any) -> Any:
            return torch.from_numpy(np.array(to_array(proto)))

        constants = {entry.name: tensor(entry) for entry in model.graph.initializer}
        left = []
        for node in model.graph.node:
            given = {a.name: _attribute(a) for a in node.attribute}
            attributes = {k: tensor(v) if hasattr(v, "raw_data") else v for k, v in given.items()}
            names = list(node.output)
            if not all(name in constants for name in node.input if name):
                left.append(_Node(node.op_type, attributes, list(node.input), names))
                continue
            operands = [constants[name] if name else None for name in node.input]
            try:
                constants.update(_results(torch, node.op_type, attributes, operands, names))
            except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
                raise BundleError(
                    f"{self._where}: {node.op_type} {node.name!r} cannot be computed ({error}); "
                    "export the bundle again"
                ) from None
        used = {name for node in left for name in node.inputs}
        used |= {tensor.name for tensor in self.spec.outputs}
        return {k: self._placed(k, value) for k, value in constants.items() if k in used}, left

    def _placed(self, name: str, constant: Any) -> Any:
        """Weights go to the device (channels-last on a GPU), numbers to the CPU."""
        if name in self._numbers:
            return constant
        constant = constant.to(self.device)
        if constant.dim() == 4 and self.device != "cpu":
            return constant.contiguous(memory_format=self._torch.channels_last)
        return constant

    def _tensor(self, array: Array) -> Any:
        torch = self._torch
        if isinstance(array, np.ndarray):
            tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
        elif hasattr(array, "__dlpack__"):
            tensor = torch.from_dlpack(array)
        else:
            tensor = torch.as_tensor(array, device=self.device)
        if tensor.dim() == 4 and self.device != "cpu":
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def _deliver(self, tensor: Any, given: Array | None, on_gpu: bool) -> Array:
        if given is None:
            return tensor if on_gpu else tensor.cpu().numpy()
        if isinstance(given, np.ndarray):
            np.copyto(given, tensor.cpu().numpy())
            return given
        self._tensor_view(given).copy_(tensor)
        return given

    def _tensor_view(self, array: Array) -> Any:
        if hasattr(array, "__dlpack__"):
            return self._torch.from_dlpack(array)
        return self._torch.as_tensor(array, device=self.device)


def _numbers(nodes: Sequence[Any]) -> frozenset[str]:
    """Names of tensors that are read as numbers, and of those they are computed from."""
    numbers: set[str] = set()
    for node in reversed(nodes):
        if node.op_type != "Shape" and numbers.intersection(node.output):
            numbers.update(node.input)
        places = _SHAPE_INPUTS.get(node.op_type, ())
        numbers.update(node.input[i] for i in places if i < len(node.input))
    return frozenset(numbers)


def _results(
    torch: Any, kind: str, attributes: Attributes, operands: Sequence[Any], names: Sequence[str]
) -> dict[str, Any]:
    """A node's results by name."""
    result = OPERATORS[kind](torch, attributes, operands)
    many = result if isinstance(result, tuple | list) else (result,)
    return dict(zip(names, many, strict=True))


def _attribute(attribute: Any) -> Any:
    value = _import("onnx").helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailableError(
            f"backend 'torch' is not available: {error}; run `pip install '.[train]'`"
        ) from None
