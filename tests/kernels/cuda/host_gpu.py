"""A GPU made of the host: PyCUDA's names over host memory, kernels emulated.

The CUDA sources compile as C++ behind `emulation.h`, one library per operation; a module "loaded"
from a buffer is that library, whose name the buffer holds. Every name and signature follows PyCUDA
(`pycuda_api.json`), so that the package's own code drives the emulated kernels unchanged.
"""

import ctypes
import shutil
import subprocess
import types
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ALIGNMENT = 256
GUARD = 64
POISON = 0xA5


def compile_emulation(source: Path, package: Path, library: Path) -> None:
    """Compile one operation's `cuda.cu` for the host."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    flags = ["-std=c++17", "-O2", "-fPIC", "-shared", "-fno-strict-aliasing", "-U_FORTIFY_SOURCE"]
    flags += ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-ffp-contract=fast"]
    include = ["-include", str(HERE / "emulation.h"), "-I", str(package)]
    command = [compiler, *flags, *include, "-x", "c++", str(source), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class HostGpu:
    """The modules `pycuda.driver` and `pycuda.gpuarray`, and what happened to them.

    Attributes:
        libraries: emulated kernels by operation.
        launches: names of the kernels that ran, in order.
        blocks: how many blocks they had in all.
        counts_only: kernels do not run.
        direction: 1 or -1: the order in which the threads of a block take turns.
        trouble: "no_gpu", "refuses_code", or "".
    """

    def __init__(self, libraries: dict[str, Path], compute=(9, 0)) -> None:
        self.libraries = libraries
        self.launches: list[str] = []
        self.blocks = 0
        self.counts_only = False
        self.direction = 1
        self.trouble = ""
        self.compute = compute
        self.contexts = 0
        self.allocations: dict[int, np.ndarray] = {}
        self.driver = self._driver()
        self.gpuarray = types.ModuleType("pycuda.gpuarray")
        self.gpuarray.empty = self.empty
        self.gpuarray.to_gpu = self.to_gpu
        self.pycuda = types.ModuleType("pycuda")
        self.pycuda.driver, self.pycuda.gpuarray = self.driver, self.gpuarray

    def install(self, monkeypatch) -> "HostGpu":
        import sys

        from makeup_kernels.cuda import code, driver

        for name in ("pycuda", "pycuda.driver", "pycuda.gpuarray"):
            attribute = name.partition(".")[2]
            module = getattr(self, attribute) if attribute else self.pycuda
            monkeypatch.setitem(sys.modules, name, module)
        for state in (driver._functions, driver._scratch):
            monkeypatch.setattr(
                driver, "_functions" if state is driver._functions else "_scratch", {}
            )
        monkeypatch.setattr(driver, "_primary", [])
        offered = {name: name.encode() for name in self.libraries}
        monkeypatch.setattr(code, "_offered", offered)
        return self

    def allocate(self, nbytes: int) -> "Allocation":
        """Poisoned memory with a guard behind it."""
        store = np.full(nbytes + ALIGNMENT + GUARD, POISON, np.uint8)
        address = -(-store.ctypes.data // ALIGNMENT) * ALIGNMENT
        self.allocations[address] = store[address - store.ctypes.data :][: nbytes + GUARD]
        return Allocation(address)

    def check_guards(self) -> None:
        """No kernel wrote behind an allocation."""
        for memory in self.allocations.values():
            assert (memory[-GUARD:] == POISON).all()

    def empty(self, shape, dtype) -> "DeviceArray":
        dtype = np.dtype(dtype)
        return DeviceArray(
            self, tuple(shape), dtype, self.allocate(int(np.prod(shape)) * dtype.itemsize)
        )

    def to_gpu(self, array: np.ndarray) -> "DeviceArray":
        result = self.empty(array.shape, array.dtype)
        ctypes.memmove(int(result.gpudata), array.ctypes.data, array.nbytes)
        return result

    def launch(self, library, name, grid, block, buffer) -> None:
        kernel = getattr(library, name)
        size = ctypes.c_size_t.in_dll(library, f"{name}_size").value
        threads = ctypes.c_int.in_dll(library, f"{name}_threads").value
        assert len(buffer) == size, f"{name}: {len(buffer)} bytes of arguments, expected {size}"
        assert block == (threads, 1, 1), f"{name}: {block} threads, expected {threads}"
        assert all(0 < n < 1 << 16 for n in grid[1:]), grid
        three = ctypes.c_uint * 3
        self.launches.append(name)
        self.blocks += int(np.prod(grid))
        if self.counts_only:
            return
        library.emulate(kernel, buffer, three(*grid), three(*block), self.direction)

    def _driver(self):
        gpu = self
        module = types.ModuleType("pycuda.driver")
        module.Error = type("Error", (Exception,), {})
        module.device_attribute = types.SimpleNamespace(MULTIPROCESSOR_COUNT=16)

        def init() -> None:
            if gpu.trouble == "no_gpu":
                raise module.Error("no CUDA-capable device is detected")

        class Device:
            def __init__(self, number: int) -> None:
                assert number == 0

            def compute_capability(self):
                return gpu.compute

            def name(self) -> str:
                return "Emulated 16"

            def get_attribute(self, attribute):
                assert attribute == module.device_attribute.MULTIPROCESSOR_COUNT
                return 16

            def retain_primary_context(self):
                return gpu_context

        class Context:
            def push(self) -> None:
                gpu.contexts += 1

            @staticmethod
            def pop() -> None:
                gpu.contexts -= 1

            @staticmethod
            def synchronize() -> None:
                assert gpu.contexts == 1, "no context is current"

            @staticmethod
            def get_current():
                return gpu_context if gpu.contexts else None

            @staticmethod
            def get_device():
                return Device(0)

        class Stream:
            handle = 77

            def synchronize(self) -> None:
                gpu.launches.append("synchronise")

        class Event:
            """Time passes by launches: each takes as many milliseconds as its grid has blocks."""

            def record(self, stream=None) -> None:
                self.at = gpu.blocks

            def synchronize(self) -> None:
                pass

            def time_since(self, event) -> float:
                return float(self.at - event.at)

        class Function:
            def __init__(self, library, name) -> None:
                self.library, self.name = library, name

            def prepare(self, arg_types, texrefs=None):
                (self.format,) = arg_types
                return self

            def prepared_async_call(self, grid, block, stream, *args, **kwargs):
                assert stream is None or isinstance(stream, Stream)
                (buffer,) = args
                assert self.format == f"{len(buffer)}s"
                assert not kwargs
                assert gpu.contexts, "no context is current"
                gpu.launch(self.library, self.name, grid, block, buffer)

        class Module:
            def __init__(self, library) -> None:
                self.library = library

            def get_function(self, name):
                return Function(self.library, name)

        def module_from_buffer(buffer):
            if gpu.trouble == "refuses_code":
                raise module.Error("cuModuleLoadDataEx failed: no kernel image is available")
            return Module(ctypes.CDLL(str(gpu.libraries[buffer.decode()])))

        class Memcpy2D:
            def set_src_device(self, devptr) -> None:
                self.source = int(devptr)

            def set_dst_device(self, devptr) -> None:
                self.target = int(devptr)

            def __call__(self, stream_or_aligned) -> None:
                assert stream_or_aligned is False or isinstance(stream_or_aligned, Stream)
                for row in range(self.height):
                    target = self.target + row * self.dst_pitch
                    ctypes.memmove(target, self.source + row * self.src_pitch, self.width_in_bytes)

        def memcpy_dtod_async(dest, src, size, stream=None) -> None:
            ctypes.memmove(int(dest), int(src), size)

        def memcpy_dtoh(dest, src) -> None:
            ctypes.memmove(dest.ctypes.data, int(src), dest.nbytes)

        def memset_d32_async(dest, data, size, stream=None) -> None:
            assert data == 0
            ctypes.memset(int(dest), 0, 4 * size)

        gpu_context = Context()
        module.init, module.Device, module.Context, module.Stream = init, Device, Context, Stream
        module.Event = Event
        module.module_from_buffer, module.Memcpy2D = module_from_buffer, Memcpy2D
        module.mem_alloc = self.allocate
        module.memcpy_dtod_async, module.memcpy_dtoh = memcpy_dtod_async, memcpy_dtoh
        module.memset_d32_async = memset_d32_async
        return module


class Allocation:
    def __init__(self, address: int) -> None:
        self.address = address

    def __int__(self) -> int:
        return self.address


class DeviceArray:
    """A PyCUDA array, as far as the package looks at one."""

    def __init__(self, gpu: HostGpu, shape, dtype, gpudata, strides=None) -> None:
        self.gpu, self.shape, self.dtype, self.gpudata = gpu, shape, dtype, gpudata
        self.strides = strides

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "strides": self.strides,
            "data": (int(self.gpudata), False),
            "typestr": self.dtype.str,
            "stream": None,
            "version": 3,
        }

    def reshape(self, shape) -> "DeviceArray":
        return DeviceArray(self.gpu, tuple(shape), self.dtype, self.gpudata)

    def get(self) -> np.ndarray:
        nbytes = int(np.prod(self.shape)) * self.dtype.itemsize
        buffer = (ctypes.c_uint8 * max(nbytes, 1)).from_address(int(self.gpudata))
        return np.frombuffer(buffer, np.uint8, nbytes).view(self.dtype).reshape(self.shape).copy()
