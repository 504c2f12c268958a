"""Bundles: a directory with a manifest and the graphs of one model, checked before anything loads.

`manifest.json` (schema version 1):

    {
      "schema": 1,
      "model": "face_detector",
      "precision": "fp32",
      "target": "onnx",
      "color": "bgr",
      "normalization": {"mean": [0, 0, 0], "scale": [1, 1, 1]},
      "graphs": {
        "model": {
          "file": "model.onnx",
          "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, "H", "W"]}],
          "outputs": [{"name": "score", "dtype": "float32", "shape": [1, "N"]}]
        }
      },
      "files": {"model.onnx": "<SHA-256, 64 hex digits>"},
      "tools": {"torch": "2.13.0"},
      "weights": {
        "licence": "Apache-2.0",
        "training_data": [{"name": "...", "licence": "..."}]
      },
      "constants": {}
    }

A network input is `(pixel - mean) * scale` per channel, in the channel order `color`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeup_engines.session import OnnxRuntimeSession, Session
from makeup_kernels.errors import BundleError

SCHEMA_VERSION = 1
_MAX_MANIFEST_BYTES = 1 << 20
_MAX_DIMENSION = 1 << 15
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DTYPES = ("float32", "float16", "uint8", "int8", "int32", "int64")


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of a graph's input or output; a string dimension is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphSpec:
    """One graph of a bundle: its file and what goes in and comes out."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Normalization:
    """Network input = (pixel - mean) * scale, per channel."""

    mean: tuple[float, float, float]
    scale: tuple[float, float, float]


@dataclass(frozen=True)
class Manifest:
    """A validated `manifest.json`."""

    model: str
    precision: str
    target: str
    color: str
    normalization: Normalization
    graphs: Mapping[str, GraphSpec]
    files: Mapping[str, str]
    tools: Mapping[str, str]
    weights: Mapping[str, Any]
    constants: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str, where: str) -> "Manifest":
        """Validate the text of a manifest; `where` names it in messages.

        Raises:
            BundleError: not JSON, another schema version, a missing or ill-typed field, a file name
                that could leave the bundle.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f"{where}: not valid JSON ({error}); export the bundle again"
            ) from None
        return _Reader(where).manifest(data)


@dataclass(frozen=True)
class _Reader:
    """Turns untrusted JSON into a `Manifest`; every complaint names the field."""

    where: str

    def fail(self, field: str, expected: str, got: object) -> BundleError:
        shown = repr(got)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        return BundleError(
            f"{self.where}: field {field}: expected {expected}, got {shown}; "
            "the manifest is damaged or foreign, export the bundle again"
        )

    def take(self, data: object, field: str, kind: type, expected: str) -> Any:
        if not isinstance(data, kind) or isinstance(data, bool):
            raise self.fail(field, expected, data)
        return data

    def text(self, data: object, field: str) -> str:
        value: str = self.take(data, field, str, "a text")
        return value

    def mapping(self, data: object, field: str) -> dict[str, Any]:
        value: dict[str, Any] = self.take(data, field, dict, "an object")
        return value

    def three(self, data: object, field: str) -> tuple[float, float, float]:
        values = self.take(data, field, list, "a list of 3 numbers")
        if len(values) != 3:
            raise self.fail(field, "a list of 3 numbers", data)
        for value in values:
            self.take(value, field, (int, float), "a list of 3 numbers")  # type: ignore[arg-type]
        return (float(values[0]), float(values[1]), float(values[2]))

    def file_name(self, name: object, field: str) -> str:
        if not isinstance(name, str) or not _FILE_NAME.fullmatch(name) or name == "manifest.json":
            raise self.fail(field, "a plain file name inside the bundle", name)
        return name

    def tensor(self, data: object, field: str) -> TensorSpec:
        entry = self.mapping(data, field)
        dtype = entry.get("dtype")
        if dtype not in _DTYPES:
            raise self.fail(f"{field}.dtype", "one of " + ", ".join(_DTYPES), dtype)
        shape = self.take(entry.get("shape"), f"{field}.shape", list, "a list")
        for size in shape:
            free = isinstance(size, str) and size.isidentifier()
            fixed = type(size) is int and 0 < size <= _MAX_DIMENSION
            if not (free or fixed) or len(shape) > 8:
                raise self.fail(f"{field}.shape", f"sizes 1..{_MAX_DIMENSION} or names", shape)
        return TensorSpec(self.text(entry.get("name"), f"{field}.name"), dtype, tuple(shape))

    def tensors(self, data: object, field: str) -> tuple[TensorSpec, ...]:
        entries = self.take(data, field, list, "a list of tensors")
        return tuple(self.tensor(entry, f"{field}[{i}]") for i, entry in enumerate(entries))

    def manifest(self, data: object) -> Manifest:
        fields = self.mapping(data, "(whole)")
        if fields.get("schema") != SCHEMA_VERSION:
            raise BundleError(
                f"{self.where}: schema version {fields.get('schema')!r}, this release reads "
                f"{SCHEMA_VERSION}; export the bundle with this release"
            )
        files = {
            self.file_name(name, "files"): self.text(digest, f"files.{name}")
            for name, digest in self.mapping(fields.get("files"), "files").items()
        }
        for name, digest in files.items():
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise self.fail(f"files.{name}", "a SHA-256 of 64 hex digits", digest)
        graphs = {}
        for name, entry in self.mapping(fields.get("graphs"), "graphs").items():
            field = f"graphs.{name}"
            graph = self.mapping(entry, field)
            file = self.file_name(graph.get("file"), f"{field}.file")
            if file not in files:
                raise self.fail(f"{field}.file", "a file listed in files", file)
            graphs[name] = GraphSpec(
                file,
                self.tensors(graph.get("inputs"), f"{field}.inputs"),
                self.tensors(graph.get("outputs"), f"{field}.outputs"),
            )
        color = fields.get("color")
        if color not in ("bgr", "rgb"):
            raise self.fail("color", "'bgr' or 'rgb'", color)
        normalization = self.mapping(fields.get("normalization"), "normalization")
        return Manifest(
            model=self.text(fields.get("model"), "model"),
            precision=self.text(fields.get("precision"), "precision"),
            target=self.text(fields.get("target"), "target"),
            color=color,
            normalization=Normalization(
                self.three(normalization.get("mean"), "normalization.mean"),
                self.three(normalization.get("scale"), "normalization.scale"),
            ),
            graphs=graphs,
            files=files,
            tools=self.mapping(fields.get("tools"), "tools"),
            weights=self.mapping(fields.get("weights"), "weights"),
            constants=self.mapping(fields.get("constants", {}), "constants"),
        )


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its manifest and the bytes of its files, hashes already checked.

    The bytes that were checked are the bytes that run; nothing is read from disk again.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, bytes]

    @classmethod
    def open(cls, path: str | Path) -> "Bundle":
        """Read and check a bundle directory.

        Raises:
            BundleError: no such directory, a bad manifest, a missing file, a file that is a link or
                whose SHA-256 differs.
        """
        path = Path(path)
        manifest_path = path / "manifest.json"
        if not manifest_path.is_file():
            raise BundleError(f"{path}: no manifest.json there; expected a bundle directory")
        if manifest_path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise BundleError(
                f"{manifest_path}: larger than 1 MiB; this is no manifest of a bundle"
            )
        try:
            text = manifest_path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise BundleError(f"{manifest_path}: not UTF-8 text; export the bundle again") from None
        manifest = Manifest.parse(text, str(manifest_path))
        contents = {}
        for name, digest in manifest.files.items():
            file = path / name
            if file.is_symlink() or not file.is_file():
                raise BundleError(f"{file}: missing or not a plain file; copy the bundle again")
            data = file.read_bytes()
            actual = hashlib.sha256(data).hexdigest()
            if actual != digest:
                raise BundleError(
                    f"{file}: SHA-256 is {actual[:12]}…, the manifest says {digest[:12]}…; "
                    "the file was changed or damaged, copy or export the bundle again"
                )
            contents[name] = data
        return cls(path, manifest, contents)

    def session(
        self, graph: str, *, backend: str = "onnxruntime", threads: int | None = None
    ) -> Session:
        """Open one graph of the bundle.

        Args:
            graph: a key of `manifest.graphs`.
            backend: "onnxruntime".
            threads: CPU threads; None takes one per core.

        Raises:
            BundleError: no such graph, or the graph does not load.
            BackendUnavailableError: the backend is unknown or cannot run here.
        """
        if graph not in self.manifest.graphs:
            known = ", ".join(self.manifest.graphs) or "none"
            raise BundleError(f"{self.path}: no graph {graph!r}; the bundle has: {known}")
        data = self.contents[self.manifest.graphs[graph].file]
        return OnnxRuntimeSession.open(data, f"{self.path}:{graph}", backend, threads)
