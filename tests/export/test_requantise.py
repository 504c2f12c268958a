"""A finished bundle in int8: what comes out runs in the engine, what does not fit is refused."""

import json
import shutil
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from makeup_engines import Bundle
from makeup_export.onnx_graphs import ExportError
from makeup_export.requantise import quantise_bundle, widen_weights
from makeup_kernels import BundleError
from makeup_sdk import MakeupEngine
from makeup_sdk.cli import app
from makeup_sdk.weights import FOLDER as MODELS

MOBILE = MODELS / "mobile"
DEMO = Path(str(resources.files("makeup_sdk") / "assets" / "demo"))


@pytest.fixture(scope="module")
def painter_inputs():
    """Six runs of the painter on noise that is as smooth as faces and codes are."""
    rng = np.random.default_rng(0)

    def smooth(count, side, channels):
        coarse = rng.normal(size=(count, 8, 8, channels)).astype(np.float32)
        return np.stack([cv2.resize(each, (side, side)) for each in coarse])

    regions = np.zeros((6, 256, 256), np.uint8)
    regions[:, 40:220, 50:200] = 2
    regions[:, 160:190, 90:160] = 1
    regions[:, 90:110, 70:110] = 3
    return {
        "painter/image": np.clip(120 + 50 * smooth(6, 256, 3), 0, 255).astype(np.uint8),
        "painter/regions": regions,
        "painter/codes": np.ascontiguousarray(smooth(6, 64, 16).transpose(0, 3, 1, 2) * 0.3),
    }


@pytest.fixture
def inputs(painter_inputs, tmp_path):
    path = tmp_path / "inputs.npz"
    np.savez(path, **painter_inputs)
    return path


def test_the_painter_in_int8_paints_nearly_the_same(inputs, tmp_path):
    found = quantise_bundle(MOBILE, inputs, tmp_path / "int8")
    assert list(found) == ["painter"]
    assert 15 < found["painter"].psnr < 90
    bundle = Bundle.open(tmp_path / "int8")
    assert bundle.manifest.precision == "int8"
    assert bundle.contents["reader.onnx"] == (MOBILE / "reader.onnx").read_bytes()
    kinds = [node.op_type for node in onnx.load(tmp_path / "int8" / "painter.onnx").graph.node]
    assert kinds.count("QuantizeLinear") > 10
    size = (tmp_path / "int8" / "painter.onnx").stat().st_size
    assert size < 0.75 * (MOBILE / "painter.onnx").stat().st_size

    frame = cv2.imread(str(DEMO / "medium.jpg"))
    results = [
        MakeupEngine(look=DEMO / "red-classic.jpg", model=model).process(frame).astype(int)
        for model in ("mobile", tmp_path / "int8")
    ]
    assert np.abs(results[0] - frame).mean() > 2 * np.abs(results[0] - results[1]).mean() > 0


def test_weights_in_half_precision_are_widened():
    graph = onnx.load(MOBILE / "painter.onnx")
    wide = widen_weights(graph)
    assert any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.graph.initializer)
    assert all(tensor.data_type != onnx.TensorProto.FLOAT16 for tensor in wide.graph.initializer)
    onnx.checker.check_model(wide, full_check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {}, "inputs of no graph, expected arrays GRAPH/INPUT"),
        (lambda a: a | {"other/x": np.zeros(1)}, "inputs of other, expected"),
        (lambda a: a | {"painter/codes": a["painter/codes"][:, :8]}, "inputs of 'painter' are"),
        (lambda a: a | {"painter/codes": a["painter/codes"][:3]}, "as many runs of each"),
        (lambda a: {k: v[:0] for k, v in a.items()}, "as many runs of each"),
        (lambda a: a | {"painter/image": a["painter/image"].astype(float)}, "'float64', 256"),
    ],
)
def test_inputs_that_do_not_fit(painter_inputs, tmp_path, change, message):
    np.savez(tmp_path / "x.npz", **change(dict(painter_inputs)))
    with pytest.raises(ExportError, match=message):
        quantise_bundle(MOBILE, tmp_path / "x.npz", tmp_path / "int8")
    assert not (tmp_path / "int8").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_inputs_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=r"x\.npz: cannot be read"):
        quantise_bundle(MOBILE, path, tmp_path / "int8")


@pytest.mark.parametrize("damage", ["cut short", "changed inside", "no archive of arrays"])
def test_damaged_inputs(painter_inputs, tmp_path, damage):
    path = tmp_path / "x.npz"
    if damage == "no archive of arrays":
        with path.open("wb") as file:
            np.save(file, painter_inputs["painter/codes"])
    else:
        np.savez(path, **painter_inputs)
        data = path.read_bytes()
        place = len(data) // 4  # within the pixels of the images
        end = b"" if damage == "cut short" else b"damage" + data[place + 6 :]
        path.write_bytes(data[:place] + end)
    with pytest.raises(ExportError, match=r"x\.npz: cannot be read"):
        quantise_bundle(MOBILE, path, tmp_path / "int8")


def test_pickled_inputs_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", **{"painter/image": np.array([{}], dtype=object)})
    with pytest.raises(ExportError, match="cannot be read"):
        quantise_bundle(MOBILE, tmp_path / "x.npz", tmp_path / "int8")


def test_int8_is_not_quantised_again(inputs, tmp_path):
    quantise_bundle(MOBILE, inputs, tmp_path / "int8")
    with pytest.raises(ExportError, match="a bundle in int8 for onnx, expected fp32"):
        quantise_bundle(tmp_path / "int8", inputs, tmp_path / "again")


def test_a_taken_place_is_left_alone(inputs, tmp_path):
    (tmp_path / "int8").mkdir()
    with pytest.raises(BundleError, match="int8"):
        quantise_bundle(MOBILE, inputs, tmp_path / "int8")
    assert not list((tmp_path / "int8").iterdir())


def test_quantise_command(inputs, tmp_path):
    output = tmp_path / "int8.zip"
    arguments = ["quantise", str(MOBILE), "--inputs", str(inputs), "-o", str(output)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "dB to fp32" in result.output
    assert Bundle.open(output).manifest.precision == "int8"


def test_a_bundle_of_mobile_with_other_graphs_is_refused(tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(MOBILE, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"]["painter"]["inputs"][2]["shape"][1] = 8
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="graph 'painter' is missing or has other inputs"):
        MakeupEngine(model=folder)
