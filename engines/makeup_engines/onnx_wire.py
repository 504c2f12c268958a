"""Parse the bytes of an ONNX file, accepting only canonical protobuf.

Parsers treat unusual bytes differently: a field number beyond 2**29, a 64-bit enumeration value, a
singular field that appears twice. A file that is harmless to one parser may mean something else to
another. So every message must be in canonical form: known fields in ascending order, singular
fields once, numbers in their shortest form and within their type. Then all parsers agree, because
serialising what they read gives the same bytes again.

Field numbers and types are those of onnx.proto (IR version 13), without those that plain graphs
never use.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

_MAX_FIELDS = 200_000
"""Limit over all messages, parsed in 0.5 s. Our graphs have up to 11,000 fields."""


Value: TypeAlias = int | str
"""Value of a field: a number, a text, or the size in bytes of anything else."""


class DamagedError(Exception):
    """The bytes are not a model in canonical form; the text says why."""


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        kind: "int64", "int32", "float", "text", "bytes", "enum", "message", or a packed list
            "[int64]", "[int32]", "[uint64]", "[float]", "[double]".
        repeated: whether it may appear several times.
        message: name of the message; not for "enum".
        values: allowed values of an enumeration.
        keep: whether the rules need its value: the number, the text, or the size in bytes.
    """

    kind: str
    repeated: bool = False
    message: str = ""
    values: range = range(0)
    keep: bool = False


def _message(name: str, repeated: bool = False) -> Field:
    return Field("message", repeated, name)


_TEXT, _INT64, _INT32, _BYTES = Field("text"), Field("int64"), Field("int32"), Field("bytes")
_ENTRIES = _message("StringStringEntryProto", True)

SCHEMA: Mapping[str, Mapping[int, Field]] = {
    "ModelProto": {
        1: _INT64, 2: _TEXT, 3: _TEXT, 4: _TEXT, 5: _INT64, 6: _TEXT,
        7: _message("GraphProto")._replace(keep=True),
        8: _message("OperatorSetIdProto", True),
        14: _ENTRIES,
    },
    "OperatorSetIdProto": {1: _TEXT._replace(keep=True), 2: _INT64},
    "GraphProto": {
        1: _message("NodeProto", True), 2: _TEXT, 5: _message("TensorProto", True), 10: _TEXT,
        11: _message("ValueInfoProto", True), 12: _message("ValueInfoProto", True),
        13: _message("ValueInfoProto", True), 14: _message("TensorAnnotation", True), 16: _ENTRIES,
    },
    "NodeProto": {
        1: Field("text", True), 2: Field("text", True), 3: _TEXT, 4: _TEXT,
        5: _message("AttributeProto", True), 6: _TEXT, 7: _TEXT._replace(keep=True), 8: _TEXT,
        9: _ENTRIES,
    },
    "AttributeProto": {
        1: _TEXT, 2: Field("float"), 3: _INT64, 4: _BYTES, 5: _message("TensorProto"),
        7: Field("float", True), 8: Field("int64", True), 9: Field("bytes", True),
        10: _message("TensorProto", True), 13: _TEXT, 14: _message("TypeProto"),
        15: _message("TypeProto", True), 20: Field("enum", values=range(15)),
    },
    "TensorProto": {
        1: Field("int64", True, keep=True), 2: _INT32, 4: Field("[float]", keep=True),
        5: Field("[int32]", keep=True), 6: Field("bytes", True, keep=True),
        7: Field("[int64]", keep=True), 8: _TEXT, 9: _BYTES._replace(keep=True),
        10: Field("[double]", keep=True), 11: Field("[uint64]", keep=True), 12: _TEXT,
        14: Field("enum", values=range(2), keep=True), 16: _ENTRIES,
    },
    "StringStringEntryProto": {1: _TEXT, 2: _TEXT},
    "TypeProto": {1: _message("TypeProto.Tensor"), 6: _TEXT},
    "TypeProto.Tensor": {1: _INT32, 2: _message("TensorShapeProto")},
    "TensorShapeProto": {1: _message("TensorShapeProto.Dimension", True)},
    "TensorShapeProto.Dimension": {
        1: _INT64._replace(keep=True), 2: _TEXT._replace(keep=True), 3: _TEXT,
    },
    "ValueInfoProto": {1: _TEXT, 2: _message("TypeProto"), 3: _TEXT, 4: _ENTRIES},
    "TensorAnnotation": {1: _TEXT, 2: _ENTRIES},
}  # fmt: skip
"""Fields that a plain graph may have, by message and field number."""

_WIRE_TYPES = {"int64": 0, "int32": 0, "enum": 0, "float": 5}  # all others: 2, a length


class Kept(NamedTuple):
    """A message that the rules inspect: its name, and the values of its kept fields."""

    message: str
    values: Mapping[int, list[Value]]


class Walk:
    """One pass over a model. `kept` holds the messages with kept fields, in file order.

    `foreign` is the first field unknown to the schema, as (message, number); the pass ends there.
    """

    def __init__(self, data: bytes) -> None:
        """Walk over a whole ModelProto.

        Raises:
            DamagedError: not canonical, truncated, or far more fields than our models have.
        """
        self._data = data
        self._fields = 0
        self.kept: list[Kept] = []
        self.foreign: tuple[str, int] | None = None
        self._walk("ModelProto", 0, len(data))

    def _walk(self, name: str, at: int, end: int) -> None:
        schema, last = SCHEMA[name], 0
        values: dict[int, list[Value]] = {}
        while at < end and self.foreign is None:
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise DamagedError(f"more than {_MAX_FIELDS} fields")
            key, at = self._number(at, end)
            number = key >> 3
            field = schema.get(number)
            if field is None:
                self.foreign = (name, number)
                return
            if number < last or (number == last and not field.repeated):
                raise DamagedError(f"field {number} of {name} out of order or twice")
            last = number
            wire = _WIRE_TYPES.get(field.kind, 2)
            if key & 7 != wire:
                raise DamagedError(f"field {number} of {name} has wire type {key & 7}")
            value: Value = 0
            if wire == 0:
                value, at = self._number(at, end)
                _check_range(value, field, name, number)
            else:
                size = 4
                if wire == 2:
                    size, at = self._number(at, end)
                if size > end - at:
                    raise DamagedError("it ends too early")
                value = self._content(field, at, at + size)
                at += size
            if field.keep:
                values.setdefault(number, []).append(value)
        if values or name == "TensorProto":
            self.kept.append(Kept(name, values))

    def _content(self, field: Field, at: int, end: int) -> Value:
        if field.kind == "message":
            self._walk(field.message, at, end)
        elif field.kind == "text":
            try:
                return self._data[at:end].decode()
            except UnicodeDecodeError:
                raise DamagedError("a text that is not UTF-8") from None
        elif field.kind.startswith("["):
            self._check_packed(field.kind, at, end)
        return end - at

    def _number(self, at: int, end: int) -> tuple[int, int]:
        """A varint of at most 64 bits in its shortest form, and its end position."""
        data = self._data
        if at < end and data[at] < 0x80:
            return data[at], at + 1
        result = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise DamagedError("it ends too early")
            byte = data[at]
            at += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 or result >> 64:
                    break
                return result, at
        raise DamagedError("a number that is too long")

    def _check_packed(self, kind: str, at: int, end: int) -> None:
        if at == end:
            raise DamagedError("an empty list of numbers")
        if kind in ("[float]", "[double]"):
            if (end - at) % (4 if kind == "[float]" else 8):
                raise DamagedError("a list of numbers that ends too early")
            return
        codes = np.frombuffer(self._data, np.uint8, end - at, at)
        ends = np.flatnonzero(codes < 0x80)
        if not len(ends) or ends[-1] != len(codes) - 1:
            raise DamagedError("a list of numbers that ends too early")
        lengths = np.diff(ends, prepend=-1)
        final = codes[ends]
        if (
            lengths.max() > 10
            or ((final == 0) & (lengths > 1)).any()
            or ((final > 1) & (lengths == 10)).any()
        ):
            raise DamagedError("a number that is too long")
        if kind == "[int32]":
            starts = ends - lengths + 1
            high = codes[starts[lengths == 5] + 4] > 0x07  # bits 31 and up
            if high.any() or ((lengths > 5) & (lengths < 10)).any():
                raise DamagedError("a number beyond 32 bits")
            negative = starts[lengths == 10]
            upper = codes[negative[:, None] + np.arange(4, 10)]
            sign = np.array([0xF8, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], np.uint8)
            if ((upper & np.array([0xF8, 255, 255, 255, 255, 255], np.uint8)) != sign).any():
                raise DamagedError("a number beyond 32 bits")


def _check_range(value: int, field: Field, name: str, number: int) -> None:
    if field.kind == "int32" and 1 << 31 <= value < (1 << 64) - (1 << 31):
        raise DamagedError(f"field {number} of {name} is beyond 32 bits")
    if field.kind == "enum" and value not in field.values:
        raise DamagedError(f"field {number} of {name} is {value}")
