"""Content that is forbidden in the graphs of a bundle."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from makeup_engines import Bundle, SessionOptions
from makeup_engines.onnx_check import check_onnx
from makeup_kernels import BundleError


def model(nodes=(), initializers=(), functions=(), domains=("",)) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(nodes, "g", [x], [x], initializers)
    opsets = [helper.make_opsetid(domain, 18) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=functions)


def external(location: str) -> onnx.TensorProto:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def in_a_branch(tensor: onnx.TensorProto) -> onnx.NodeProto:
    y = helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])
    branch = helper.make_graph([], "b", [], [y], [tensor])
    return helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)


def endless_loop() -> onnx.NodeProto:
    """A Loop of 2**62 iterations."""
    names = [("i", TensorProto.INT64), ("c", TensorProto.BOOL)]
    inputs = [helper.make_tensor_value_info(name, kind, []) for name, kind in names]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])],
        "body",
        inputs,
        [helper.make_tensor_value_info("d", TensorProto.BOOL, [])],
    )
    return helper.make_node("Loop", ["count", ""], [], body=body)


def claiming(dims: list[int]) -> onnx.TensorProto:
    """A tensor that says it has more elements than it holds."""
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    del tensor.dims[:]
    tensor.dims.extend(dims)
    return tensor


def sparse() -> onnx.ModelProto:
    bad = model()
    tensor = bad.graph.sparse_initializer.add()
    tensor.dims.extend([1 << 20, 1 << 20])
    return bad


FUNCTION = helper.make_function(
    "", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 18)]
)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (model(initializers=[external("/etc/passwd")]), "keeps its data in another file"),
        (model(initializers=[external("weights.bin")]), "keeps its data in another file"),
        (model(nodes=[in_a_branch(external("../w"))]), r"loops or branches \(Loop, Scan, If\)"),
        (model(nodes=[endless_loop()]), r"loops or branches \(Loop, Scan, If\)"),
        (
            model(initializers=[claiming([1 << 40])]),
            "tensor of shape .1099511627776. holds 4 bytes",
        ),
        (model(initializers=[claiming([-1])]), "tensor of shape .* holds 4 bytes"),
        (sparse(), "sparse tensors"),
        (
            model(nodes=[helper.make_node("Constant", [], ["c"], value=external("w"))]),
            "keeps its data in another file",
        ),
        (model(nodes=[helper.make_node("Evil", [], [], domain="my.ops")]), "domain 'my.ops'"),
        (model(domains=("", "com.microsoft")), "domain 'com.microsoft'"),
        (model(functions=[FUNCTION]), "local functions or training information"),
    ],
)
def test_refused(bad: onnx.ModelProto, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        check_onnx(bad.SerializeToString(), "m")


def test_plain_graphs_pass(graph_bytes) -> None:
    check_onnx(graph_bytes, "m")


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x0f", b"not onnx"])
def test_damaged(data: bytes) -> None:
    with pytest.raises(BundleError, match="damaged ONNX file"):
        check_onnx(data, "m")


def with_tensor(tensor: bytes) -> bytes:
    """A model whose only initialiser is given as bytes."""
    plain = model()
    graph = plain.graph.SerializeToString()
    # the initialiser, field 5, goes between the name, field 2, and the inputs, field 11
    at = graph.index(bytes([11 << 3 | 2]))
    graph = graph[:at] + bytes([5 << 3 | 2, len(tensor)]) + tensor + graph[at:]
    plain.ClearField("graph")
    plain.ClearField("opset_import")
    opset = helper.make_opsetid("", 18).SerializeToString()
    return b"".join(
        [
            plain.SerializeToString(),
            bytes([7 << 3 | 2, len(graph)]) + graph,
            bytes([8 << 3 | 2, len(opset)]) + opset,
        ]
    )


def number(value: int) -> bytes:
    out = []
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


ENTRY = onnx.StringStringEntryProto(key="location", value="secret").SerializeToString()
TENSOR = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0]).SerializeToString()
DISGUISES = {
    "tag with bit 32 set": number((13 << 3 | 2) + (1 << 32)) + number(len(ENTRY)) + ENTRY,
    "tag with bits up to 63": number((13 << 3 | 2) + (1 << 63)) + number(len(ENTRY)) + ENTRY,
    "longer tag": b"\xea\x80\x00" + number(len(ENTRY)) + ENTRY,
    "enumeration of 64 bits": number(14 << 3) + number(1 + (1 << 32)),
    "group": bytes([13 << 3 | 3]) + ENTRY + bytes([13 << 3 | 4]),
}


def test_the_disguises_are_what_they_say() -> None:
    assert onnx.load_from_string(with_tensor(TENSOR)).graph.initializer[0].float_data == [1.0]
    check_onnx(with_tensor(TENSOR), "m")


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_what_parsers_read_differently(disguise: bytes) -> None:
    with pytest.raises(BundleError, match=r"damaged ONNX file|in another file"):
        check_onnx(with_tensor(TENSOR + disguise), "m")


def test_a_field_that_comes_twice() -> None:
    """Parsers merge two graphs; one that takes the first alone sees half."""
    data = model().SerializeToString()
    graph = model(initializers=[external("w")]).graph.SerializeToString()
    twice = data + bytes([7 << 3 | 2]) + number(len(graph)) + graph
    with pytest.raises(BundleError, match="field 7 of ModelProto out of order or twice"):
        check_onnx(twice, "m")


def test_millions_of_empty_fields() -> None:
    with pytest.raises(BundleError, match="more than 200000 fields"):
        check_onnx(b"\x08\x08" + b"\x72\x00" * 8_500_000, "m")


def test_a_name_that_looks_like_another_format(bundle_path) -> None:
    """ONNX Runtime takes bytes 4 to 8 for the mark of its own format unless it is told."""
    disguised = onnx.load(bundle_path / "model.onnx")
    disguised.producer_name = "ORTM"
    data = disguised.SerializeToString()
    assert data[4:8] == b"ORTM"
    replace_graph(bundle_path, data)
    session = Bundle.open(bundle_path).session("model", threads=1)
    assert session.run({"x": np.ones((1, 1), np.float32)})["y"] == 2.0


def test_constants_are_not_unfolded_when_a_graph_is_opened(bundle_path, tmp_path) -> None:
    """A tensor of 128 MiB out of eight bytes would stand in the optimised graph."""
    large = onnx.load(bundle_path / "model.onnx")
    size = helper.make_tensor("size", TensorProto.INT64, [1], [1 << 25])
    large.graph.initializer.append(size)
    large.graph.node[0].input[1] = "most"
    large.graph.node.insert(0, helper.make_node("ReduceMax", ["many"], ["most"], keepdims=1))
    large.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["many"]))
    replace_graph(bundle_path, large.SerializeToString())
    options = SessionOptions(threads=1, cache=tmp_path / "cache")
    Bundle.open(bundle_path).session("model", options=options)
    (optimised,) = (tmp_path / "cache").rglob("optimised.onnx")
    assert optimised.stat().st_size < 10_000
    assert "ConstantOfShape" in [node.op_type for node in onnx.load(optimised).graph.node]


def replace_graph(folder: Path, data: bytes) -> None:
    (folder / "model.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_opening_a_bundle_checks_its_graphs(bundle_path) -> None:
    replace_graph(bundle_path, model(initializers=[external("/etc/passwd")]).SerializeToString())
    with pytest.raises(BundleError, match="keeps its data in another file"):
        Bundle.open(bundle_path)
