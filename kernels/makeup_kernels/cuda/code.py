"""Compiled kernels: where they are, which GPUs they support, whether they match their sources.

A folder of compiled kernels holds `<operation>.fatbin` and `manifest.json` with the SHA-256 of each
file, the targets, and the SHA-256 of the sources. `python -m makeup_kernels.cuda.build` writes one.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeup_kernels.errors import BackendUnavailableError
from makeup_kernels.files import write_atomically

PACKAGE = Path(__file__).parents[1]

OPERATIONS = (
    "align",
    "apply_color_map",
    "attentive_morph",
    "composite",
    "match_region_histograms",
    "region_maps",
)
"""Folders that hold a `cuda.cu`."""

FOLDER_VARIABLE = "MAKEUP_CUDA_KERNELS"
"""Environment variable: a folder of compiled kernels to use instead of the package's own."""

BUILD_COMMAND = "python -m makeup_kernels.cuda.build"
MANIFEST = "manifest.json"

_offered: dict[str, bytes] = {}


@dataclass(frozen=True)
class CompiledKernels:
    """A folder of compiled kernels.

    Attributes:
        folder: its path.
        targets: "sm_90" (code for that GPU) or "compute_80" (PTX, for that and all later GPUs).
        sources: SHA-256 of the sources that were compiled.
        digests: SHA-256 by file name.
    """

    folder: Path
    targets: tuple[str, ...]
    sources: str
    digests: Mapping[str, str]

    def read(self, operation: str) -> bytes:
        """The code of an operation, checked against its SHA-256.

        Raises:
            BackendUnavailableError: missing or changed.
        """
        name = f"{operation}.fatbin"
        try:
            code = (self.folder / name).read_bytes()
        except OSError:
            code = b""
        if hashlib.sha256(code).hexdigest() != self.digests.get(name):
            raise BackendUnavailableError(
                f"{self.folder / name}: missing or changed since it was built; "
                f"run `{BUILD_COMMAND}`"
            )
        return code


def offer_code(code: Mapping[str, bytes]) -> None:
    """Make this process use these compiled kernels instead of those of any folder.

    Args:
        code: cubin, fatbin or PTX by operation; the caller has verified it.
    """
    _offered.update(code)


def offered_code(operation: str) -> bytes | None:
    """The code that `offer_code` set for an operation."""
    return _offered.get(operation)


def compiled_folder() -> Path:
    """MAKEUP_CUDA_KERNELS, else the folder inside the package.

    An editable install has two package folders: the sources, and what CMake installed.
    """
    import makeup_kernels

    own = os.environ.get(FOLDER_VARIABLE)
    if own:
        return Path(own)
    folders = [Path(place) / "cuda" / "compiled" for place in makeup_kernels.__path__]
    built = [folder for folder in folders if (folder / MANIFEST).is_file()]
    return built[0] if built else PACKAGE / "cuda" / "compiled"


def compiled_kernels() -> CompiledKernels:
    """The compiled kernels of this installation.

    Raises:
        BackendUnavailableError: there are none, or they were built from other sources; the message
            has the command that builds them.
    """
    folder = compiled_folder()
    try:
        data = json.loads((folder / MANIFEST).read_text())
        kernels = CompiledKernels(
            folder, tuple(data["targets"]), str(data["sources"]), dict(data["files"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise BackendUnavailableError(
            f"the CUDA kernels are not compiled (no {folder / MANIFEST}); run `{BUILD_COMMAND}` "
            f"where nvcc is, or set {FOLDER_VARIABLE} to a folder that it wrote"
        ) from None
    has_sources = all((PACKAGE / name / "cuda.cu").is_file() for name in OPERATIONS)
    if has_sources and kernels.sources != source_digest():
        raise BackendUnavailableError(
            f"the CUDA kernels in {folder} were compiled from other sources; run `{BUILD_COMMAND}`"
        )
    return kernels


def source_digest() -> str:
    """SHA-256 of a list of the CUDA sources' SHA-256s and paths, as sha256sum writes it.

    Compiled kernels must carry the same digest; CMake computes it too.
    """
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(PACKAGE).as_posix()}\n"
        for path in sorted([*PACKAGE.glob("*/*.cu"), *PACKAGE.glob("*/*.cuh")])
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fits(targets: tuple[str, ...], compute: tuple[int, int]) -> bool:
    """Whether one of the targets runs on a GPU of this compute capability.

    Code runs on GPUs of its generation with the same or a higher capability, PTX on all of them.
    """
    for target in targets:
        kind, _, number = target.partition("_")
        major, minor = int(number[:-1]), int(number[-1])
        if (kind == "compute" or major == compute[0]) and (major, minor) <= compute:
            return True
    return False


def write_manifest(folder: Path, targets: tuple[str, ...], tool: str) -> dict[str, Any]:
    """Write the manifest of a folder's files. Written last, so that it covers all of them."""
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.fatbin"))
    }
    manifest = {
        "targets": list(targets),
        "sources": source_digest(),
        "compiler": tool,
        "files": digests,
    }
    write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    return manifest
