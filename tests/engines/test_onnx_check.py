"""What no graph of a bundle may hold."""

import hashlib
import json

import onnx
import pytest
from onnx import TensorProto, helper

from makeup_engines import Bundle
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


FUNCTION = helper.make_function(
    "", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 18)]
)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (model(initializers=[external("/etc/passwd")]), "keeps its data in another file"),
        (model(initializers=[external("weights.bin")]), "keeps its data in another file"),
        (model(nodes=[in_a_branch(external("../w"))]), "keeps its data in another file"),
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


def test_graphs_nested_without_end() -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    node = in_a_branch(tensor)
    for _ in range(20):
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
        branch = helper.make_graph([node], "b", [], [y])
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch)
    with pytest.raises(BundleError, match="nested too deeply"):
        check_onnx(model(nodes=[node]).SerializeToString(), "m")


def test_opening_a_bundle_checks_its_graphs(bundle_path) -> None:
    bad = model(initializers=[external("/etc/passwd")]).SerializeToString()
    (bundle_path / "model.onnx").write_bytes(bad)
    manifest = json.loads((bundle_path / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = hashlib.sha256(bad).hexdigest()
    (bundle_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="keeps its data in another file"):
        Bundle.open(bundle_path)
