"""A tiny bundle: one graph that adds 1."""

import hashlib
import importlib.util
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


@pytest.fixture(scope="session")
def rows_bundle_bytes() -> tuple[bytes, dict]:
    """A graph that adds 1 to (batch, 4) and its manifest, for backends with a profile."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph([helper.make_node("Add", ["x", "one"], ["y"])], "g", [x], [y], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    data = model.SerializeToString()
    manifest = manifest_of(data)
    for kind, name in (("inputs", "x"), ("outputs", "y")):
        entry = {"name": name, "dtype": "float32", "shape": ["batch", 4]}
        manifest["graphs"]["model"][kind] = [entry]
    return data, manifest


@pytest.fixture
def rows_bundle_path(tmp_path: Path, rows_bundle_bytes: tuple[bytes, dict]) -> Path:
    folder = tmp_path / "rows"
    folder.mkdir()
    data, manifest = rows_bundle_bytes
    (folder / "model.onnx").write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def double_module():
    """The module of TensorRT's double, which lies beside this file."""
    spec = importlib.util.spec_from_file_location(
        "tensorrt_double", Path(__file__).with_name("tensorrt_double.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["10.3.0", "11.4.0.106"])
def make_double(request, double_module, monkeypatch):
    """Install doubles of one TensorRT release, with a kind of trouble."""

    def make(trouble: str = ""):
        return double_module.Doubles(request.param, trouble).install(monkeypatch)

    return make
