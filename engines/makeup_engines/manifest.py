"""`manifest.json`: a bundle's contents, validated field by field before anything else is read.

Schema version 1:

    {
      "schema": 1,
      "model": "psgan",
      "precision": "fp32",
      "target": "onnx",
      "color": "bgr",
      "normalization": {"mean": [127.5, 127.5, 127.5], "scale": [1, 1, 1]},
      "graphs": {
        "source": {
          "file": "source.onnx",
          "runs": "frame",
          "inputs": [{"name": "image", "dtype": "float32", "shape": ["batch", 3, 256, 256]}],
          "outputs": [{"name": "features", "dtype": "float32", "shape": ["batch", 256, 64, 64]}]
        }
      },
      "files": {"source.onnx": "<SHA-256, 64 hex digits>"},
      "tools": {"torch": "2.13.0"},
      "weights": {
        "licence": "Apache-2.0",
        "training_data": [{"name": "...", "licence": "..."}]
      },
      "constants": {}
    }

A network input is `(pixel - mean) * scale` per channel, in the channel order `color`. `runs` says
how often a graph runs: once per "look", or (the default) for every "frame".
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makeup_kernels.errors import BundleError

SCHEMA_VERSION = 1
DTYPES = ("float32", "float16", "uint8", "int8", "int32", "int64")

_MAX_DIMENSION = 1 << 15
_MAX_ELEMENTS = 1 << 28
_MAX_ENTRIES = 256
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of a graph's input or output; a string dimension is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphSpec:
    """One graph of a bundle: its file, inputs, outputs, and how often it runs."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    runs: str = "frame"

    @property
    def any_batch(self) -> bool:
        """Whether an input has a free dimension."""
        return any(isinstance(size, str) for tensor in self.inputs for size in tensor.shape)


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
                that could leave the bundle, a tensor of absurd size.
        """
        try:
            data = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_doubles)
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f"{where}: not valid JSON ({error}); export the bundle again"
            ) from None
        return _Reader(where).manifest(data)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("an object names a key twice")
    return entries


@dataclass(frozen=True)
class _Reader:
    """Turns untrusted JSON into a `Manifest`; every error names the field."""

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
        if len(value) > _MAX_ENTRIES:
            raise self.fail(field, f"at most {_MAX_ENTRIES} entries", f"{len(value)} entries")
        return value

    def choice(self, data: object, field: str, choices: tuple[str, ...]) -> str:
        if not isinstance(data, str) or data not in choices:
            raise self.fail(field, " or ".join(map(repr, choices)), data)
        return data

    def three(self, data: object, field: str) -> tuple[float, float, float]:
        values = self.take(data, field, list, "a list of 3 numbers")
        numbers = [
            float(value)
            for value in values
            if type(value) in (int, float) and abs(value) < 1e9 and math.isfinite(value)
        ]
        if len(values) != 3 or len(numbers) != 3:
            raise self.fail(field, "a list of 3 numbers", data)
        return (numbers[0], numbers[1], numbers[2])

    def file_name(self, name: object, field: str) -> str:
        if not isinstance(name, str) or not _FILE_NAME.fullmatch(name) or name == "manifest.json":
            raise self.fail(field, "a plain file name inside the bundle", name)
        return name

    def tensor(self, data: object, field: str) -> TensorSpec:
        entry = self.mapping(data, field)
        dtype = entry.get("dtype")
        if dtype not in DTYPES:
            raise self.fail(f"{field}.dtype", "one of " + ", ".join(DTYPES), dtype)
        shape = self.take(entry.get("shape"), f"{field}.shape", list, "a list")
        for size in shape:
            free = isinstance(size, str) and size.isidentifier()
            fixed = type(size) is int and 0 < size <= _MAX_DIMENSION
            if not (free or fixed) or len(shape) > 8:
                raise self.fail(f"{field}.shape", f"sizes 1..{_MAX_DIMENSION} or names", shape)
        if math.prod(size for size in shape if isinstance(size, int)) > _MAX_ELEMENTS:
            raise self.fail(f"{field}.shape", f"at most {_MAX_ELEMENTS} elements", shape)
        return TensorSpec(self.text(entry.get("name"), f"{field}.name"), dtype, tuple(shape))

    def tensors(self, data: object, field: str) -> tuple[TensorSpec, ...]:
        entries = self.take(data, field, list, "a list of tensors")
        if len(entries) > _MAX_ENTRIES:
            raise self.fail(field, f"at most {_MAX_ENTRIES} entries", f"{len(entries)} entries")
        return tuple(self.tensor(entry, f"{field}[{i}]") for i, entry in enumerate(entries))

    def graph(self, data: object, field: str, files: Mapping[str, str]) -> GraphSpec:
        entry = self.mapping(data, field)
        file = self.file_name(entry.get("file"), f"{field}.file")
        if file not in files:
            raise self.fail(f"{field}.file", "a file listed in files", file)
        return GraphSpec(
            file,
            self.tensors(entry.get("inputs"), f"{field}.inputs"),
            self.tensors(entry.get("outputs"), f"{field}.outputs"),
            self.choice(entry.get("runs", "frame"), f"{field}.runs", ("frame", "look")),
        )

    def manifest(self, data: object) -> Manifest:
        fields = self.mapping(data, "(whole)")
        if type(fields.get("schema")) is not int or fields["schema"] != SCHEMA_VERSION:
            raise BundleError(
                f"{self.where}: schema version {str(fields.get('schema'))[:40]}, this release "
                f"reads {SCHEMA_VERSION}; export the bundle with this release"
            )
        files = {
            self.file_name(name, "files"): self.text(digest, f"files.{name}")
            for name, digest in self.mapping(fields.get("files"), "files").items()
        }
        for name, digest in files.items():
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise self.fail(f"files.{name}", "a SHA-256 of 64 hex digits", digest)
        normalization = self.mapping(fields.get("normalization"), "normalization")
        return Manifest(
            model=self.text(fields.get("model"), "model"),
            precision=self.text(fields.get("precision"), "precision"),
            target=self.text(fields.get("target"), "target"),
            color=self.choice(fields.get("color"), "color", ("bgr", "rgb")),
            normalization=Normalization(
                self.three(normalization.get("mean"), "normalization.mean"),
                self.three(normalization.get("scale"), "normalization.scale"),
            ),
            graphs={
                self.text(name, "graphs"): self.graph(entry, f"graphs.{name}", files)
                for name, entry in self.mapping(fields.get("graphs"), "graphs").items()
            },
            files=files,
            tools=self.mapping(fields.get("tools"), "tools"),
            weights=self.mapping(fields.get("weights"), "weights"),
            constants=self.mapping(fields.get("constants", {}), "constants"),
        )
