"""The check of ONNX files agrees with the real parser on 10,000 mutated models."""

import random
from collections.abc import Callable, Iterator

import pytest
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from onnx import ModelProto, TensorProto, helper

from makeup_engines.onnx_check import check_onnx
from makeup_kernels import BundleError

FORBIDDEN = {
    "ModelProto": {"training_info", "functions", "configuration"},
    "GraphProto": {"sparse_initializer"},
    "NodeProto": {"device_configurations"},
    "AttributeProto": {"g", "graphs", "sparse_tensor", "sparse_tensors", "ref_attr_name"},
    "TensorProto": {"external_data", "segment"},
    "TypeProto": {
        "sequence_type", "map_type", "opaque_type", "sparse_tensor_type", "optional_type",
    },
}  # fmt: skip
DATA = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def rich_model() -> ModelProto:
    """A model that has nearly every field that a plain graph may have."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "N"], "a picture")
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, None])
    tensors = [
        helper.make_tensor("f", TensorProto.FLOAT, [2], [1.0, -2.0]),
        helper.make_tensor("r", TensorProto.FLOAT, [2], b"\0\0\x80?\0\0\0@", raw=True),
        helper.make_tensor("i", TensorProto.INT32, [3], [1, -1, 1 << 30]),
        helper.make_tensor("l", TensorProto.INT64, [3], [-1, 1 << 60, 300]),
        helper.make_tensor("d", TensorProto.DOUBLE, [], [0.5]),
        helper.make_tensor("u", TensorProto.UINT64, [2], [1, (1 << 64) - 1]),
        helper.make_tensor("s", TensorProto.STRING, [1], [b"text"]),
        helper.make_tensor("e", TensorProto.FLOAT, [0], []),
    ]
    tensors[0].doc_string = "two"
    tensors[1].data_location = TensorProto.DEFAULT
    nodes = [
        helper.make_node("Add", ["x", "f"], ["t"], name="n", doc_string="adds", overload=""),
        helper.make_node("Constant", [], ["c"], value=tensors[1]),
        helper.make_node("Clip", ["t"], ["y"], domain="ai.onnx", min=0.5, axes=[-1, 1], mode="m"),
        helper.make_node(
            "Odd", ["y"], [], words=["a", "b"], floats=[0.5, 1.5], tensors=tensors[:2]
        ),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], tensors, value_info=[y], doc_string="graph")
    note = graph.quantization_annotation.add(tensor_name="f")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="d")
    model = helper.make_model(graph, producer_name="p", opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {"key": "value"})
    return model


def messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from messages(inner)


def plain(message: Message) -> bool:
    """Whether a parsed message is one that a bundle may hold."""
    name = message.DESCRIPTOR.name
    for field, value in message.ListFields():
        texts = value if field.is_repeated else [value]
        # one that is not UTF-8 comes as bytes
        if field.type == field.TYPE_STRING and not all(isinstance(text, str) for text in texts):
            return False
    if len(UnknownFieldSet(message)) or FORBIDDEN.get(name, set()) & {
        field.name for field, _ in message.ListFields()
    }:
        return False
    if name in ("NodeProto", "OperatorSetIdProto"):
        return message.domain in ("", "ai.onnx")
    if name != "TensorProto":
        return True
    elements = 1
    for size in message.dims:
        elements *= size if size >= 0 else 1 << 64
    held = len(message.raw_data) + sum(len(text) + 1 for text in message.string_data)
    for field in DATA:
        part = TensorProto(**{field: getattr(message, field)})
        held += part.ByteSize() - header(part) if getattr(message, field) else 0
    return message.data_location == TensorProto.DEFAULT and elements <= 4 * held


def header(tensor: TensorProto) -> int:
    """Bytes of the tag and the length before a packed list."""
    size = tensor.ByteSize()
    return next(n for n in range(2, 7) if (size - n) < 1 << 7 * (n - 1))


def accepted_by_the_real_parser(data: bytes) -> bool:
    """Whether it parses, is what the parser would write itself, and holds plain things only."""
    try:
        model = ModelProto.FromString(data)
    except DecodeError:
        return False
    if model.SerializeToString() != data or not model.HasField("graph"):
        return False
    return all(map(plain, messages(model)))


def accepted_by_us(data: bytes) -> bool:
    try:
        check_onnx(data, "m")
    except BundleError:
        return False
    return True


def varint(number: int, extra: int = 0) -> bytes:
    """A number; `extra` bytes longer than it need be."""
    out = []
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    if extra:
        return bytes([*out, number | 0x80, *[0x80] * (extra - 1), 0])
    return bytes([*out, number])


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    shift = result = 0
    while True:
        result |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return result, at


Item = tuple[int, int, "int | bytes"]


def items(data: bytes) -> list[Item]:
    """A message as (field number, wire type, value)."""
    found: list[Item] = []
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        kind = key & 7
        if kind == 0:
            number, at = read_varint(data, at)
            found.append((key >> 3, kind, number))
        else:
            size, at = read_varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            found.append((key >> 3, kind, data[at : at + size]))
            at += size
    return found


def written(parts: list[Item], chance: random.Random) -> bytes:
    """The bytes of a message; now and then not in their shortest form."""
    out = b""
    for number, kind, value in parts:
        stretch = chance.choice((0, 0, 0, 0, 1, 5)) if chance.random() < 0.1 else 0
        high = chance.choice((1 << 29, 1 << 32)) if chance.random() < 0.02 else 0
        out += varint((number + high) << 3 | kind, stretch)
        if isinstance(value, int):
            out += varint(value, stretch)
        else:
            out += (varint(len(value)) if kind == 2 else b"") + value
    return out


def by_fields(data: bytes, message: Message, chance: random.Random) -> bytes:
    """Change one field of a message, or one somewhere below it."""
    parts = items(data)
    if not parts:
        return data
    at = chance.randrange(len(parts))
    number, kind, value = parts[at]
    field = message.DESCRIPTOR.fields_by_number.get(number)
    if field is not None and field.message_type is not None and chance.random() < 0.8:
        inner = type(message)()
        below = getattr(inner, field.name)
        below = below.add() if field.is_repeated else below
        parts[at] = (number, kind, by_fields(bytes(value), below, chance))
        return b"".join(written([part], random.Random(1)) for part in parts)
    change = chance.randrange(7)
    if change == 0:
        parts.insert(at, parts[at])
    elif change == 1:
        del parts[at]
    elif change == 2:
        chance.shuffle(parts)
    elif change == 3:
        parts[at] = (chance.randrange(1, 27), kind, value)
    elif change == 4 and isinstance(value, int):
        edges = (0, 1, 2, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 64) - 1, (1 << 64) - (1 << 31))
        parts[at] = (number, kind, chance.choice(edges))
    elif change == 5:
        parts.insert(chance.randrange(len(parts) + 1), (chance.randrange(1, 27), 0, 1))
    elif isinstance(value, bytes):
        parts[at] = (number, kind, by_bytes(value, message, chance) if kind == 2 else value)
    return written(parts, chance)


def by_bytes(data: bytes, message: Message, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(changed) + 1)
        cut = chance.choice((0, 1, 1, 1, 2))
        new = bytes(
            chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            for _ in range(chance.choice((0, 1, 1, 2)))
        )
        changed[at : at + cut] = new
    return bytes(changed)


@pytest.mark.parametrize("mutate", [by_fields, by_bytes])
def test_both_parsers_agree(mutate: Callable[[bytes, Message, random.Random], bytes]) -> None:
    data = rich_model().SerializeToString()
    chance = random.Random(24)
    verdicts = [0, 0]
    assert accepted_by_us(data)
    assert accepted_by_the_real_parser(data)
    for _ in range(5000):
        mutant = mutate(data, ModelProto(), chance)
        ours, real = accepted_by_us(mutant), accepted_by_the_real_parser(mutant)
        assert ours == real, (ours, real, mutant.hex())
        verdicts[ours] += 1
    assert min(verdicts) > 400, verdicts
