"""Graphs in PyTorch: for GPUs without TensorRT, next to the Triton kernels. Optional.

The graph's nodes run one by one as PyTorch operations. torch and onnx are imported by this
backend alone, when a session is opened.
"""

import importlib
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from makeup_engines.manifest import GraphSpec
from makeup_engines.session import (
    Array,
    SessionOptions,
    check_arrays,
    check_names,
    check_output_names,
)
from makeup_engines.torch_operators import OPERATORS
from makeup_kernels.dispatch import thread_count
from makeup_kernels.errors import BackendUnavailableError, BundleError, InvalidInputError

_SHAPE_INPUTS = {
    "Expand": (1,), "Pad": (1, 2, 3), "ReduceL2": (1,), "ReduceMean": (1,), "ReduceSum": (1,),
    "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,), "Unsqueeze": (1,),
}  # fmt: skip
"""Inputs that are read as numbers: kept on the CPU, so that a run never waits for the GPU."""


class TorchSession:
    """A graph on PyTorch's CUDA device, or on its CPU where there is none.

    Takes NumPy arrays, and on a GPU whatever has `__cuda_array_interface__` or `__dlpack__`; where
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
        self._nodes = [
            (
                node.op_type,
                {a.name: _attribute(a) for a in node.attribute},
                list(node.input),
                list(node.output),
            )
            for node in model.graph.node
        ]
        self._constants = self._upload(model)

    @classmethod
    def open(
        cls, model: bytes, spec: GraphSpec, where: str, options: SessionOptions
    ) -> "TorchSession":
        """Load a graph from its checked bytes.

        Raises:
            BackendUnavailableError: torch or onnx is missing, or fp16 or CUDA graphs were asked
                for without a GPU.
            BundleError: the graph is damaged, not what `spec` says, or uses an operator that this
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
        except Exception as error:  # protobuf and the checker raise classes of their own
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
        """All nodes in order."""
        torch = self._torch
        values = {**self._constants, **tensors}
        half = torch.autocast("cuda", torch.float16, enabled=self._options.half)
        with half if self._options.half else torch.autocast("cpu", enabled=False):
            for kind, attributes, inputs, names in self._nodes:
                operands = [values[name] if name else None for name in inputs]
                result = OPERATORS[kind](torch, attributes, operands)
                many = result if isinstance(result, tuple | list) else (result,)
                values.update(zip(names, many, strict=True))
        return {
            tensor.name: values[tensor.name].to(getattr(torch, tensor.dtype)).contiguous()
            for tensor in self.spec.outputs
        }

    def _replay(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """The graph as one CUDA graph per set of shapes, captured at the first run."""
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
        # the graph's own memory is written again by the next run
        return {name: tensor.clone() for name, tensor in results.items()}

    def _upload(self, model: Any) -> dict[str, Any]:
        """Weights on the device, kernels channels-last on a GPU; numbers on the CPU."""
        to_array = _import("onnx.numpy_helper").to_array
        numbers = {
            node.input[i]
            for node in model.graph.node
            for i in _SHAPE_INPUTS.get(node.op_type, ())
            if i < len(node.input)
        }
        constants = {}
        for entry in model.graph.initializer:
            tensor = self._torch.from_numpy(np.array(to_array(entry)))
            if entry.name not in numbers:
                tensor = tensor.to(self.device)
                if tensor.dim() == 4 and self.device != "cpu":
                    tensor = tensor.contiguous(memory_format=self._torch.channels_last)
            constants[entry.name] = tensor
        return constants

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


def _attribute(attribute: Any) -> Any:
    value = _import("onnx").helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailableError(
            f"backend 'torch' is not available: {error}; run `pip install 'makeup-sdk[train]'`"
        ) from None
