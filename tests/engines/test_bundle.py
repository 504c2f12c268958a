import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from makeup_engines import Bundle, Manifest
from makeup_kernels import BackendUnavailableError, BundleError, InvalidInputError


def edit(folder: Path, change: Callable[[dict], object]) -> Path:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    return folder


def test_bundle_runs_its_graph(bundle_path: Path) -> None:
    bundle = Bundle.open(bundle_path)
    session = bundle.session("model", threads=1)
    out = session.run({"x": np.array([[1.0, 2.0, 3.5]], np.float32)})
    np.testing.assert_array_equal(out["y"], [[2.0, 3.0, 4.5]])
    assert session.device == "cpu"
    assert bundle.manifest.graphs["model"].inputs[0].shape == (1, "N")


def test_what_was_checked_is_what_runs(bundle_path: Path) -> None:
    bundle = Bundle.open(bundle_path)
    (bundle_path / "model.onnx").write_bytes(b"swapped after the check")
    out = bundle.session("model").run({"x": np.zeros((1, 1), np.float32)})
    assert out["y"].item() == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema=2), "schema version 2, this release reads 1"),
        (lambda m: m.pop("files"), "field files: expected an object, got None"),
        (lambda m: m["files"].update({"../x": "0" * 64}), "plain file name inside the bundle"),
        (lambda m: m["files"].update({"/etc/passwd": "0" * 64}), "plain file name"),
        (lambda m: m["files"].update({"model.onnx": "abc"}), "SHA-256 of 64 hex digits"),
        (lambda m: m["files"].update({"model.onnx": "0" * 64}), "changed or damaged"),
        (lambda m: m["files"].update({"gone.onnx": "0" * 64}), "missing or not a plain file"),
        (lambda m: m["graphs"]["model"].update(file="other.onnx"), "a file listed in files"),
        (
            lambda m: m["graphs"]["model"]["inputs"][0].update(shape=[1 << 40]),
            "graphs.model.inputs[0].shape: expected sizes 1..32768",
        ),
        (
            lambda m: m["graphs"]["model"]["inputs"][0].update(dtype="object"),
            "inputs[0].dtype: expected one of float32",
        ),
        (lambda m: m.update(color="cmyk"), "expected 'bgr' or 'rgb', got 'cmyk'"),
        (lambda m: m["normalization"].update(mean=[0, 0]), "a list of 3 numbers"),
        (lambda m: m["normalization"].update(mean=[0, 0, "x"]), "a list of 3 numbers"),
    ],
)
def test_hostile_manifest(bundle_path: Path, change: Callable, message: str) -> None:
    with pytest.raises(BundleError) as error:
        Bundle.open(edit(bundle_path, change))
    assert message in str(error.value)


def test_not_json(bundle_path: Path) -> None:
    (bundle_path / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="not valid JSON"):
        Bundle.open(bundle_path)


def test_deeply_nested_json() -> None:
    with pytest.raises(BundleError, match="not valid JSON"):
        Manifest.parse("[" * 100_000, "m")


def test_not_utf8(bundle_path: Path) -> None:
    (bundle_path / "manifest.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="not UTF-8"):
        Bundle.open(bundle_path)


def test_huge_manifest(bundle_path: Path) -> None:
    (bundle_path / "manifest.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(BundleError, match="larger than 1 MiB"):
        Bundle.open(bundle_path)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no manifest\.json there; .* `makeup export` makes"):
        Bundle.open(tmp_path)


def test_link_out_of_the_bundle(bundle_path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    (bundle_path / "model.onnx").rename(outside)
    (bundle_path / "model.onnx").symlink_to(outside)
    with pytest.raises(BundleError, match="missing or not a plain file"):
        Bundle.open(bundle_path)


def test_unknown_graph(bundle_path: Path) -> None:
    with pytest.raises(BundleError, match="no graph 'decoder'; the bundle has: model"):
        Bundle.open(bundle_path).session("decoder")


def test_named_backend_runs_or_raises(bundle_path: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="'tensorrt' is not available"):
        Bundle.open(bundle_path).session("model", backend="tensorrt")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "got inputs [], expected ['x']"),
        ({"z": np.zeros((1, 1), np.float32)}, "got inputs ['z'], expected ['x']"),
        ({"x": np.zeros((1, 1), np.float64)}, "input 'x' is float64 (1, 1), expected float32"),
        ({"x": np.zeros((2, 1), np.float32)}, "input 'x' is float32 (2, 1), expected float32"),
        ({"x": np.zeros(1, np.float32)}, "input 'x' is float32 (1,), expected float32"),
    ],
)
def test_wrong_inputs(bundle_path: Path, inputs: dict, message: str) -> None:
    session = Bundle.open(bundle_path).session("model")
    with pytest.raises(InvalidInputError) as error:
        session.run(inputs)
    assert message in str(error.value)
