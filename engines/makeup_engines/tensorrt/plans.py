"""Plans: built engines of one graph, with the facts that say where they can run."""

import importlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from makeup_engines.cache import Cache, CacheEntry, default_cache
from makeup_engines.session import SessionOptions
from makeup_kernels.errors import BackendUnavailableError, BundleError, MakeupError
from makeup_kernels.files import sha256

PLAN_FILE = "engine.plan"
LOG_FILE = "build.log"
INSTALL = "pip install '.[gpu]'"


@dataclass(frozen=True)
class BuildOptions:
    """Build options of a plan; part of its key.

    Attributes:
        batch: maximum number of faces per call; 1 fixes the batch.
        workspace_mib: limit of TensorRT's scratch memory.
    """

    batch: int = 1
    workspace_mib: int = 2048


def plan_cache(folder: Path | None = None) -> Cache:
    """The cache of plans below a folder, by default `default_cache()`."""
    return Cache((folder or default_cache()) / "tensorrt")


def local_platform(device: int = 0) -> dict[str, Any]:
    """The facts of this machine that a plan depends on.

    Raises:
        BackendUnavailableError: TensorRT or PyCUDA is missing, or there is no GPU.
    """
    trt, cuda = import_tensorrt(), import_cuda()
    try:
        cuda.init()
        gpu = cuda.Device(device)
        compute = ".".join(map(str, gpu.compute_capability()))
        name = gpu.name()
    except cuda.Error as error:
        raise BackendUnavailableError(
            f"no GPU {device} ({error}); check the driver with `makeup doctor`, or run on "
            "backend 'onnxruntime'"
        ) from None
    toolkit = cuda.get_version()
    return {
        "tensorrt": trt.__version__,
        "cuda": ".".join(map(str, toolkit)),
        "gpu": name,
        "compute": compute,
        "os": f"{platform.system().lower()}-{platform.machine()}",
    }


def import_tensorrt() -> Any:
    """The module `tensorrt`.

    Raises:
        BackendUnavailableError: it is not installed, or older than 10.3.
    """
    try:
        tensorrt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise BackendUnavailableError(
            f"backend 'tensorrt' is not available: {error}; run `{INSTALL}`, or on a Jetson "
            "install JetPack 6.1 or later"
        ) from None
    version = tuple(int(part) for part in tensorrt.__version__.split(".")[:2])
    if version < (10, 3):
        raise BackendUnavailableError(
            f"TensorRT {tensorrt.__version__} is too old, expected 10.3 or later; run `{INSTALL}`"
        )
    return tensorrt


def import_cuda() -> Any:
    """The module `pycuda.driver`.

    Raises:
        BackendUnavailableError: it is not installed, or finds no driver.
    """
    try:
        return importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise BackendUnavailableError(
            f"backend 'tensorrt' is not available: {error}; run `{INSTALL}` (PyCUDA needs the CUDA "
            "toolkit to build)"
        ) from None


def plan_facts(graph: bytes, machine: Mapping[str, Any], options: BuildOptions) -> dict[str, Any]:
    """The facts that key a plan."""
    return {"graph": sha256(graph), **machine, "profile": asdict(options)}


def find_plan(graph: bytes, options: SessionOptions, where: str) -> CacheEntry:
    """The smallest plan of this graph that fits this machine and the requested batch.

    Raises:
        BackendUnavailableError: there is none; the message says how existing plans differ.
        BundleError: an entry is damaged.
    """
    machine = local_platform(options.device)
    digest = sha256(graph)
    entries = [e for e in plan_cache(options.cache).entries() if e.facts.get("graph") == digest]
    command = "`makeup build BUNDLE --backend tensorrt" + (
        f" --batch {options.batch}`" if options.batch > 1 else "`"
    )
    fitting = [entry for entry in entries if not misfits(entry.facts, machine)]
    large = [entry for entry in fitting if _batch(entry) >= options.batch]
    if large:
        return min(large, key=_batch)
    if fitting:
        best = max(map(_batch, fitting))
        raise BackendUnavailableError(
            f"{where}: the plan takes {best} faces per call, {options.batch} were requested; "
            f"run {command}"
        )
    if entries:
        raise BackendUnavailableError(
            f"{where}: the plan does not fit this machine ("
            + "; ".join(misfits(entries[0].facts, machine))
            + f"); run {command} here"
        )
    raise BackendUnavailableError(f"{where}: no plan was built for this graph; run {command}")


def misfits(facts: Mapping[str, Any], machine: Mapping[str, Any]) -> list[str]:
    """The facts in which a plan differs from this machine, each with both values."""
    names = {"tensorrt": "TensorRT", "cuda": "CUDA", "gpu": "GPU", "compute": "compute", "os": "OS"}
    return [
        f"built for {title} {facts.get(key)}, here is {machine[key]}"
        for key, title in names.items()
        if facts.get(key) != machine[key]
    ]


def has_plan(graph: bytes, options: SessionOptions) -> bool:
    """Whether a session can open: everything is installed and a plan fits."""
    try:
        find_plan(graph, options, "")
    except MakeupError:
        return False
    return True


def read_plan(entry: CacheEntry) -> bytes:
    """A plan's verified bytes.

    Raises:
        BundleError: missing or changed since it was built.
    """
    try:
        return entry.read(PLAN_FILE)
    except BundleError as error:
        raise BundleError(f"{error} (`makeup engines clean`, then build again)") from None


def _batch(entry: CacheEntry) -> int:
    profile = entry.facts.get("profile")
    batch = profile.get("batch") if isinstance(profile, dict) else None
    return batch if isinstance(batch, int) else 0
