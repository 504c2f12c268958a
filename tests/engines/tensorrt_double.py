"""Doubles of TensorRT and PyCUDA that record the order of calls.

Every name is held against `tensorrt_api.json`, the names that the real bindings of a 10.x and an
11.x release have: touching any other is an AttributeError. Engines of the double add 1; device
memory is host memory behind made-up addresses.
"""

import json
import types
from pathlib import Path

import numpy as np

API = json.loads(Path(__file__).with_name("tensorrt_api.json").read_text())
SHAPE = (-1, 4)


class Doubles:
    """Both modules, what they were called for, and how they are to misbehave.

    `trouble` may hold: parse, build, deserialise, context, execute, memory, no_gpu.
    """

    def __init__(self, version: str, trouble: str = "") -> None:
        self.version, self.trouble = version, trouble
        self.calls: list[str] = []
        self.memory: dict[int, np.ndarray] = {}
        self.freed: list[int] = []
        self.contexts = 0
        self.tensorrt = self._tensorrt()
        self.driver = self._driver()
        self.gpuarray = types.ModuleType("pycuda.gpuarray")
        self.gpuarray.empty = lambda shape, dtype: DeviceArray(self, np.empty(shape, dtype))
        self.pycuda = types.ModuleType("pycuda")
        self.pycuda.driver, self.pycuda.gpuarray = self.driver, self.gpuarray

    def install(self, monkeypatch) -> "Doubles":
        import sys

        for name, module in {
            "tensorrt": self.tensorrt,
            "pycuda": self.pycuda,
            "pycuda.driver": self.driver,
            "pycuda.gpuarray": self.gpuarray,
        }.items():
            monkeypatch.setitem(sys.modules, name, module)
        return self

    def allocate(self, count: int) -> int:
        if self.trouble == "memory":
            raise self.driver.MemoryError("out of memory")
        address = 0x1000 + 0x100000 * len(self.memory)
        self.memory[address] = np.zeros(count, np.uint8)
        return address

    def strict(self, kind: str, target):
        return _Strict(self, kind, target)

    def _tensorrt(self):
        doubles, api = self, API[self.version]
        module = types.ModuleType("tensorrt")
        module.__version__ = self.version

        def enum(kind: str):
            return types.SimpleNamespace(**{m: i for i, m in enumerate(api[kind])})

        module.NetworkDefinitionCreationFlag = enum("NetworkDefinitionCreationFlag")
        module.MemoryPoolType = enum("MemoryPoolType")
        module.TensorIOMode = enum("TensorIOMode")
        module.nptype = lambda _: np.float32

        class Logger:
            INFO, WARNING = 3, 2

            def __init__(self, severity) -> None:
                assert severity in (self.INFO, self.WARNING)

        class ProgressMonitor:
            pass

        module.Logger, module.IProgressMonitor = Logger, ProgressMonitor
        assert {"INFO", "WARNING"} <= set(api["Logger"])
        module.Builder = lambda logger: doubles.strict("Builder", _Builder(doubles))
        module.OnnxParser = lambda network, logger: doubles.strict("OnnxParser", _Parser(doubles))
        module.Runtime = lambda logger: doubles.strict("Runtime", _Runtime(doubles))
        return module

    def _driver(self):
        doubles = self
        module = types.ModuleType("pycuda.driver")
        module.Error = type("Error", (Exception,), {})
        module.MemoryError = type("MemoryError", (module.Error,), {})

        def init() -> None:
            if doubles.trouble == "no_gpu":
                raise module.Error("no CUDA-capable device is detected")

        def memcpy_htod_async(device, host, stream) -> None:
            doubles.calls.append("upload")
            doubles.memory[int(device)][: host.nbytes] = host.view(np.uint8)

        def memcpy_dtoh_async(host, device, stream) -> None:
            doubles.calls.append("download")
            host.view(np.uint8)[:] = doubles.memory[int(device)][: host.nbytes]

        class Device:
            def __init__(self, number: int) -> None:
                assert number == 0

            def compute_capability(self):
                return (8, 9)

            def name(self):
                return "Double 4000"

            def retain_primary_context(self):
                return Primary()

        class Primary:
            def push(self) -> None:
                doubles.contexts += 1

        class Context:
            @staticmethod
            def pop() -> None:
                doubles.contexts -= 1

            @staticmethod
            def synchronize() -> None:
                doubles.calls.append("synchronise device")

            @staticmethod
            def get_current():
                return Context if doubles.contexts else None

            @staticmethod
            def get_device():
                return Device(0)

        class Function:
            def __init__(self, name: str) -> None:
                self.name = name

            def prepare(self, arg_types, texrefs=None):
                return self

            def prepared_async_call(self, grid, block, stream, *args) -> None:
                assert doubles.contexts, "no CUDA context is current"
                doubles.calls.append(f"launch {self.name} on {stream.handle}")

        class Module:
            def __init__(self, code: bytes) -> None:
                doubles.calls.append(f"load {code.decode()}")

            def get_function(self, name: str) -> Function:
                return Function(name)

        class Stream:
            handle = 77

            def synchronize(self) -> None:
                doubles.calls.append("synchronise")

        module.init, module.Device, module.Context, module.Stream = init, Device, Context, Stream
        module.module_from_buffer = Module
        module.get_version = lambda: (13, 0, 0)
        module.pagelocked_empty = np.empty
        module.mem_alloc = lambda count: _Allocation(doubles, count)
        module.memcpy_htod_async = memcpy_htod_async
        module.memcpy_dtoh_async = memcpy_dtoh_async
        return module


class _Strict:
    """Passes on only what the real class has, and records calls."""

    def __init__(self, doubles: Doubles, kind: str, target) -> None:
        object.__setattr__(self, "_parts", (doubles, kind, target))

    def __getattr__(self, name: str):
        doubles, kind, target = object.__getattribute__(self, "_parts")
        if name not in API[doubles.version][kind]:
            raise AttributeError(f"{kind} of TensorRT {doubles.version} has no {name}")
        value = getattr(target, name)
        if callable(value):
            doubles.calls.append(f"{kind}.{name}")
        return value

    def __setattr__(self, name: str, value) -> None:
        doubles, kind, target = object.__getattribute__(self, "_parts")
        if name not in API[doubles.version][kind]:
            raise AttributeError(f"{kind} of TensorRT {doubles.version} has no {name}")
        doubles.calls.append(f"{kind}.{name} =")
        setattr(target, name, value)

    def __bytes__(self) -> bytes:
        return bytes(object.__getattribute__(self, "_parts")[2])


class _Allocation:
    def __init__(self, doubles: Doubles, count: int) -> None:
        self.doubles, self.address = doubles, doubles.allocate(count)

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        self.doubles.freed.append(self.address)


class DeviceArray:
    """An array on the double's GPU."""

    def __init__(self, doubles: Doubles, values: np.ndarray) -> None:
        self.doubles, self.shape, self.dtype = doubles, values.shape, values.dtype
        self.address = doubles.allocate(values.nbytes)
        doubles.memory[self.address][:] = values.reshape(-1).view(np.uint8)

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "version": 3,
        }

    def get(self) -> np.ndarray:
        return self.doubles.memory[self.address].view(self.dtype).reshape(self.shape)


class _Builder:
    def __init__(self, doubles: Doubles) -> None:
        self.doubles = doubles

    def create_network(self, flags: int):
        strongly = self.doubles.tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        assert flags == 1 << strongly
        tensor = self.doubles.strict("ITensor", types.SimpleNamespace(name="x", shape=SHAPE))
        network = types.SimpleNamespace(num_inputs=1, get_input=lambda i: tensor)
        return self.doubles.strict("INetworkDefinition", network)

    def create_builder_config(self):
        return self.doubles.strict("IBuilderConfig", _Config(self.doubles))

    def create_optimization_profile(self):
        profile = types.SimpleNamespace(set_shape=self._set_shape)
        return self.doubles.strict("IOptimizationProfile", profile)

    def _set_shape(self, name, least, best, most) -> None:
        self.doubles.calls.append(f"shapes {name} {least} {best} {most}")

    def build_serialized_network(self, network, config):
        monitor = object.__getattribute__(config, "_parts")[2].progress_monitor
        monitor.phase_start("Tactics", None, 2)
        assert monitor.step_complete("Tactics", 0)
        monitor.phase_finish("Tactics")
        return None if self.doubles.trouble == "build" else b"a plan"


class _Config:
    def __init__(self, doubles: Doubles) -> None:
        self.doubles = doubles
        self.progress_monitor = None

    def set_memory_pool_limit(self, pool, size) -> None:
        assert pool == self.doubles.tensorrt.MemoryPoolType.WORKSPACE
        self.doubles.calls.append(f"workspace {size}")

    def create_timing_cache(self, data: bytes):
        timings = types.SimpleNamespace(serialize=lambda: data + b"+timings")
        return self.doubles.strict("ITimingCache", timings)

    def set_timing_cache(self, cache, ignore_mismatch: bool) -> None:
        self.cache = cache

    def get_timing_cache(self):
        return self.cache

    def add_optimization_profile(self, profile) -> None:
        pass


class _Parser:
    num_errors = 1

    def __init__(self, doubles: Doubles) -> None:
        self.doubles = doubles

    def parse(self, graph: bytes) -> bool:
        return self.doubles.trouble != "parse"

    def get_error(self, index: int):
        error = types.SimpleNamespace(desc=lambda: "no such operator")
        return self.doubles.strict("ParserError", error)


class _Runtime:
    def __init__(self, doubles: Doubles) -> None:
        self.doubles = doubles

    def deserialize_cuda_engine(self, plan: bytes):
        assert plan == b"a plan"
        if self.doubles.trouble == "deserialise":
            return None
        return self.doubles.strict("ICudaEngine", _Engine(self.doubles))


class _Engine:
    num_io_tensors = 2
    device_memory_size_v2 = 4096

    def __init__(self, doubles: Doubles) -> None:
        self.doubles = doubles

    def get_tensor_name(self, index: int) -> str:
        return "xy"[index]

    def get_tensor_mode(self, name: str) -> int:
        modes = self.doubles.tensorrt.TensorIOMode
        return modes.INPUT if name == "x" else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> str:
        return "float"

    def get_tensor_shape(self, name: str):
        return SHAPE

    def create_execution_context(self):
        if self.doubles.trouble == "context":
            return None
        return self.doubles.strict("IExecutionContext", _Context(self.doubles))


class _Context:
    def __init__(self, doubles: Doubles) -> None:
        self.doubles = doubles
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape) -> bool:
        self.shape = tuple(shape)
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 77
        assert self.doubles.contexts >= 1, "no CUDA context is current"
        count = 4 * int(np.prod(self.shape))
        x = self.doubles.memory[self.addresses["x"]][:count].view(np.float32)
        self.doubles.memory[self.addresses["y"]][:count].view(np.float32)[:] = x + 1
        return self.doubles.trouble != "execute"
