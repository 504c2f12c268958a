"""Our CUDA kernels, compiled by `makeup build` and cached beside the plans."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from makeup_engines.cache import Cache, CacheEntry
from makeup_engines.tensorrt.plans import LOG_FILE
from makeup_kernels.cuda import OPERATIONS, offer_code
from makeup_kernels.cuda.build import compile_operation, compiler_version, find_nvcc
from makeup_kernels.cuda.code import compiled_kernels, fits, source_digest
from makeup_kernels.errors import BackendUnavailableError, BundleError

Compile = Callable[[str], dict[str, bytes]]
"""Called with a target such as "sm_87"; returns the code of every operation, and `build.log`."""


def build_kernels(
    cache: Cache, machine: Mapping[str, Any], compile_for: Compile | None = None
) -> tuple[CacheEntry, bool]:
    """The kernels for a GPU: from the cache, else compiled now.

    Without nvcc, uses the package's kernels if they fit the GPU.

    Args:
        cache: the cache of the plans.
        machine: `local_platform`.
        compile_for: the compiler; None: nvcc.

    Returns:
        the entry, with a file `<operation>.fatbin` per operation, and whether it was made now.

    Raises:
        BackendUnavailableError: no nvcc, and no packaged kernels that fit the GPU.
        KernelBuildError: nvcc rejects the sources.
    """
    facts = kernel_facts(machine)
    entry = cache.find(facts)
    if entry:
        return entry, False
    major, minor = machine["compute"].split(".")
    files = (compile_for or _compile)(f"sm_{major}{minor}")
    return cache.store(facts, files, "CUDA kernels"), True


def load_kernels(cache: Cache, machine: Mapping[str, Any]) -> bool:
    """Make this process use the kernels that `build_kernels` stored in a cache.

    Args:
        cache: the cache of the plans.
        machine: `local_platform`.

    Returns:
        whether there are any for this GPU and release; if not, the package's own are used.

    Raises:
        BundleError: a file was changed since it was stored.
    """
    entry = cache.find(kernel_facts(machine))
    if entry is None:
        return False
    try:
        offer_code({name: entry.read(f"{name}.fatbin") for name in OPERATIONS})
    except BundleError as error:
        raise BundleError(f"{error} (`makeup engines clean`, then build again)") from None
    return True


def kernel_facts(machine: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that kernels depend on: their sources, and the machine."""
    return {"kernels": source_digest(), **machine}


def _compile(target: str) -> dict[str, bytes]:
    try:
        nvcc = find_nvcc()
    except BackendUnavailableError as missing:
        return _packaged(target, missing)
    files, log = {}, [f"nvcc {compiler_version(nvcc)}"]
    with tempfile.TemporaryDirectory(prefix="makeup-kernels-") as place:
        for name in OPERATIONS:
            path = Path(place) / name
            facts = compile_operation(name, [target], path, nvcc)
            files[f"{name}.fatbin"] = path.read_bytes()
            log += [str(fact) for fact in facts]
    return {**files, LOG_FILE: "\n".join(log).encode()}


def _packaged(target: str, missing: BackendUnavailableError) -> dict[str, bytes]:
    compute = (int(target[3:-1]), int(target[-1]))
    try:
        kernels = compiled_kernels()
        suits = fits(kernels.targets, compute)
        files = {f"{name}.fatbin": kernels.read(name) for name in OPERATIONS if suits}
    except BackendUnavailableError as error:
        raise BackendUnavailableError(f"{missing}; and {error}") from None
    if not suits:
        raise BackendUnavailableError(
            f"{missing}; and the package's kernels are for {', '.join(kernels.targets)}, "
            f"not {target}"
        )
    return {**files, LOG_FILE: f"from {kernels.folder}".encode()}
