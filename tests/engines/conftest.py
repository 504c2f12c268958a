"""A tiny bundle: one graph that adds 1."""

import hashlib
import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper


def manifest_of(graph: bytes) -> dict:
    return {
        "schema": 1,
        "model": "plus_one",
        "precision": "fp32",
        "target": "onnx",
        "color": "bgr",
        "normalization": {"mean": [0, 0, 0], "scale": [1, 1, 1]},
        "graphs": {
            "model": {
                "file": "model.onnx",
                "inputs": [{"name": "x", "dtype": "float32", "shape": [1, "N"]}],
                "outputs": [{"name": "y", "dtype": "float32", "shape": [1, "N"]}],
            }
        },
        "files": {"model.onnx": hashlib.sha256(graph).hexdigest()},
        "tools": {"onnx": onnx.__version__},
        "weights": {"licence": "Apache-2.0", "training_data": []},
        "constants": {},
    }


@pytest.fixture(scope="session")
def graph_bytes() -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "N"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "N"])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph([helper.make_node("Add", ["x", "one"], ["y"])], "g", [x], [y], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


@pytest.fixture
def bundle_path(tmp_path: Path, graph_bytes: bytes) -> Path:
    folder = tmp_path / "plus_one"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(graph_bytes)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(graph_bytes)))
    return folder
