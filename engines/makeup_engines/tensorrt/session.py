"""Run graphs as TensorRT plans, with PyCUDA for memory, streams and events."""

import importlib
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from makeup_engines.manifest import GraphSpec, TensorSpec
from makeup_engines.session import (
    Array,
    SessionOptions,
    check_arrays,
    check_names,
    check_output_names,
)
from makeup_engines.tensorrt.cuda_graph import CudaGraph
from makeup_engines.tensorrt.kernels import load_kernels
from makeup_engines.tensorrt.plans import (
    find_plan,
    import_cuda,
    import_tensorrt,
    local_platform,
    plan_cache,
    read_plan,
)
from makeup_kernels.device_arrays import device_view
from makeup_kernels.errors import BackendUnavailableError, BundleError, InvalidInputError


class TensorRTSession:
    """A plan, ready to run.

    NumPy arrays are copied through pinned buffers; GPU arrays are read and written in place. If an
    input is on the GPU, outputs that were not given are new PyCUDA arrays there. `run` returns when
    the work is done. Calls from several threads run one after another.

    To keep a frame on the GPU, chain the work on one stream: `enqueue` of one session, CUDA kernels
    of `makeup_kernels` with `stream=session.stream`, `enqueue` of the next session on that stream,
    all inside `with session.current()`; at the end `session.stream.synchronize()`.
    """

    backend = "tensorrt"

    def __init__(
        self, engine: Any, context: Any, spec: GraphSpec, where: str, options: SessionOptions
    ) -> None:
        """Use `open`. The CUDA context must be current."""
        cuda = import_cuda()
        self.spec = spec
        self.device = f"cuda:{options.device}"
        self._where, self._options = where, options
        self._engine, self._context = engine, context
        self._primary: Any = None
        self._runtime: Any = None  # an engine must not outlive the runtime that deserialised it
        self._cuda = cuda
        self._lock = threading.Lock()
        self._stream = cuda.Stream()
        self._hosts: dict[str, Any] = {}
        self._buffers: dict[str, Any] = {}
        self._graphs: dict[tuple[Any, ...], CudaGraph] = {}
        for tensor in (*spec.inputs, *spec.outputs):
            shape = _shape(tensor, options.batch)
            self._hosts[tensor.name] = cuda.pagelocked_empty(math.prod(shape), tensor.dtype)
            self._buffers[tensor.name] = cuda.mem_alloc(self._hosts[tensor.name].nbytes)

    @classmethod
    def open(
        cls, model: bytes, spec: GraphSpec, where: str, options: SessionOptions
    ) -> "TensorRTSession":
        """Open the plan that was built for this graph and GPU.

        Raises:
            BackendUnavailableError: TensorRT, PyCUDA, the GPU or a fitting plan is missing, or
                memory runs out.
            BundleError: the plan is damaged, or does not match `spec`.
        """
        trt, cuda = import_tensorrt(), import_cuda()
        options = replace(options, batch=options.batch if spec.any_batch else 1)
        plan = read_plan(find_plan(model, options, where))
        load_kernels(plan_cache(options.cache), local_platform(options.device))
        primary = cuda.Device(options.device).retain_primary_context()
        with _current(cuda, primary):
            runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
            engine = runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise BundleError(
                    f"{where}: TensorRT {trt.__version__} refuses the plan although it was built "
                    "for it; run `makeup engines clean`, then build again"
                )
            _check_signature(trt, engine, spec, where)
            context = engine.create_execution_context()
            if context is None:
                raise BackendUnavailableError(
                    f"{where}: no memory on the GPU for the plan ({engine.device_memory_size_v2} "
                    "bytes); free some, or build with less --workspace"
                )
            try:
                session = cls(engine, context, spec, where, options)
            except cuda.MemoryError as error:
                raise BackendUnavailableError(
                    f"{where}: no memory on the GPU for inputs and outputs ({error}); free some, "
                    "or open the session with a smaller batch"
                ) from None
        session._primary, session._runtime = primary, runtime
        return session

    def run(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """See `Session.run`.

        Raises:
            BackendUnavailableError: the GPU fails during the run.
        """
        outputs = outputs or {}
        shapes = self._check(inputs, outputs)
        with self._lock, self.current():
            return self._run(inputs, outputs, shapes)

    @property
    def stream(self) -> Any:
        """The session's `pycuda.driver.Stream`, for `enqueue` and for kernels around it."""
        return self._stream

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context of the session's GPU current in this thread."""
        with _current(self._cuda, self._primary):
            yield

    def enqueue(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], stream: Any = None
    ) -> None:
        """Enqueue the graph without waiting; later work on the stream sees its results.

        It may be captured in a CUDA graph after one run with arrays of the same shapes.

        Args:
            inputs: a GPU array for each input, complete when the stream reaches this work.
            outputs: a GPU array for each output; keep all alive until the work is done.
            stream: a `pycuda.driver.Stream`; None: the session's own.

        Raises:
            InvalidInputError: an array is missing, unknown, not on the GPU, or has the wrong dtype
                or shape.
            BackendUnavailableError: TensorRT reports an error.
        """
        arrays = {**inputs, **outputs}
        on_host = sorted(name for name in arrays if isinstance(arrays[name], np.ndarray))
        missing = sorted({tensor.name for tensor in self.spec.outputs} - outputs.keys())
        if on_host or missing:
            raise InvalidInputError(
                f"{self._where}: enqueue wants every array on the GPU; NumPy: "
                f"{', '.join(on_host) or 'none'}, outputs without an array: "
                f"{', '.join(missing) or 'none'}; use run, or pass them"
            )
        self._check(inputs, outputs)
        addresses = {name: self._address(name, array) for name, array in arrays.items()}
        with self._lock, self.current():
            self._bind({name: shape_of(a, name) for name, a in inputs.items()}, addresses)
            self._execute(stream or self._stream)

    def _check(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> dict[str, tuple[int, ...]]:
        """Check the arrays of a run against the spec; returns the shapes of all outputs."""
        check_names(inputs, self.spec, self._where)
        check_output_names(outputs, self.spec, self._where)
        sizes = check_arrays("input", inputs, self.spec.inputs, self._where)
        batch = max(sizes.values(), default=1)
        if batch > self._options.batch:
            raise InvalidInputError(
                f"{self._where}: got a batch of {batch}, the session was opened for "
                f"{self._options.batch}; open it with SessionOptions(batch={batch})"
            )
        shapes = {tensor.name: _shape(tensor, batch) for tensor in self.spec.outputs}
        for name, array in outputs.items():
            self._check_output(name, array, shapes[name])
        return shapes

    def close(self) -> None:
        """Free the plan and its buffers; the session cannot run afterwards."""
        with self._lock, self.current():
            self._stream.synchronize()
            for graph in self._graphs.values():
                graph.close()
            for buffer in self._buffers.values():
                buffer.free()
            self._graphs, self._buffers, self._hosts = {}, {}, {}
            self._context = self._engine = self._runtime = None

    def _run(
        self,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> dict[str, Array]:
        on_gpu = any(not isinstance(array, np.ndarray) for array in inputs.values())
        results = {
            tensor.name: outputs.get(tensor.name, self._new_output(tensor, shapes, on_gpu))
            for tensor in self.spec.outputs
        }
        addresses = {name: self._address(name, inputs[name]) for name in inputs}
        addresses |= {name: self._address(name, array) for name, array in results.items()}
        if on_gpu:
            # the inputs may still be in progress on another library's stream
            self._cuda.Context.synchronize()
        for name, array in inputs.items():
            if isinstance(array, np.ndarray):
                host = self._hosts[name][: array.size]
                host[:] = array.reshape(-1)
                self._cuda.memcpy_htod_async(self._buffers[name], host, self._stream)
        self._enqueue({name: tuple(shape_of(a, name)) for name, a in inputs.items()}, addresses)
        downloads = {n: a for n, a in results.items() if isinstance(a, np.ndarray)}
        for name, array in downloads.items():
            host = self._hosts[name][: array.size]
            self._cuda.memcpy_dtoh_async(host, self._buffers[name], self._stream)
        self._stream.synchronize()
        for name, array in downloads.items():
            array[...] = self._hosts[name][: array.size].reshape(array.shape)
        return results

    def _enqueue(self, shapes: Mapping[str, tuple[int, ...]], addresses: Mapping[str, int]) -> None:
        key = (tuple(sorted(shapes.items())), tuple(sorted(addresses.items())))
        if key in self._graphs:
            self._graphs[key].launch()
            return
        self._bind(shapes, addresses)
        self._execute(self._stream)
        own = all(addresses[name] == int(self._buffers[name]) for name in addresses)
        if self._options.cuda_graph and own:
            self._stream.synchronize()
            self._graphs[key] = CudaGraph(self._stream.handle, lambda: self._execute(self._stream))

    def _bind(self, shapes: Mapping[str, tuple[int, ...]], addresses: Mapping[str, int]) -> None:
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise InvalidInputError(
                    f"{self._where}: the plan does not take input {name!r} of shape {shape}"
                )
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise InvalidInputError(
                    f"{self._where}: TensorRT does not take the memory of {name!r}; its address "
                    "must be a multiple of 256 bytes"
                )

    def _execute(self, stream: Any) -> None:
        if not self._context.execute_async_v3(stream.handle):
            raise BackendUnavailableError(
                f"{self._where}: TensorRT could not run the plan; its log says why, and "
                "`makeup doctor` checks the driver"
            )

    def _new_output(
        self, tensor: TensorSpec, shapes: Mapping[str, tuple[int, ...]], on_gpu: bool
    ) -> Array:
        if not on_gpu:
            return np.empty(shapes[tensor.name], tensor.dtype)
        arrays = importlib.import_module("pycuda.gpuarray")
        return arrays.empty(shapes[tensor.name], np.dtype(tensor.dtype))

    def _address(self, name: str, array: Array) -> int:
        if isinstance(array, np.ndarray):
            return int(self._buffers[name])
        return device_view(array, f"{self._where}: {name!r}").pointer

    def _check_output(self, name: str, array: Array, shape: tuple[int, ...]) -> None:
        check_arrays("output", {name: array}, self.spec.outputs, self._where)
        if shape_of(array, name) != shape:
            raise InvalidInputError(
                f"{self._where}: output {name!r} is {shape_of(array, name)}, expected {shape}"
            )
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise InvalidInputError(f"{self._where}: output {name!r} is not writeable")


def shape_of(array: Array, name: str) -> tuple[int, ...]:
    """The shape of a NumPy or device array."""
    return array.shape if isinstance(array, np.ndarray) else device_view(array, name).shape


@contextmanager
def _current(cuda: Any, primary: Any) -> Iterator[None]:
    """Make the GPU's primary context, which other libraries share, current in this thread."""
    primary.push()
    try:
        yield
    finally:
        cuda.Context.pop()


def _shape(tensor: TensorSpec, batch: int) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else batch for size in tensor.shape)


def _check_signature(trt: Any, engine: Any, spec: GraphSpec, where: str) -> None:
    found = {}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
        found[name] = (is_input, dtype, tuple(engine.get_tensor_shape(name)))
    expected = {
        tensor.name: (is_input, tensor.dtype, _shape(tensor, -1))
        for is_input, tensors in ((True, spec.inputs), (False, spec.outputs))
        for tensor in tensors
    }
    if found != expected:
        raise BundleError(
            f"{where}: the plan has {sorted(found)}, which is not what the manifest says; "
            "run `makeup engines clean`, then build again"
        )
