"""Quantising a finished bundle to int8: the result runs in the engine; bad input is refused."""

from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from typer.testing import CliRunner

from makeup_engines import Bundle
from makeup_export.onnx_graphs import ExportError
from makeup_export.requantise import quantise_bundle, widen_weights
from makeup_kernels import BundleError
from makeup_sdk import MakeupEngine
from makeup_sdk.cli import app
from makeup_sdk.weights import FOLDER as MODELS
from makeup_training.faces.record_inputs import record

PSGAN = MODELS / "psgan"
DEMO = Path(str(resources.files("makeup_sdk") / "assets" / "demo"))


@pytest.fixture(scope="module")
def decoder_inputs():
    """What the decoder is given after six references as smooth as faces are."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(6, 12, 12, 3)).astype(np.float32)
    bundle = Bundle.open(PSGAN)
    side = (bundle.manifest.constants["size"],) * 2
    images = np.stack([cv2.resize(each, side) for each in coarse]).transpose(0, 3, 1, 2)
    session = bundle.session("reference", backend="onnxruntime", threads=1)
    found = session.run({"image": np.ascontiguousarray(images) * np.float32(50)})
    return {f"decoder/{name}": values for name, values in found.items()}


@pytest.fixture(scope="module")
def inputs(decoder_inputs, tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "inputs.npz"
    np.savez(path, **decoder_inputs)
    return path


@pytest.fixture(scope="module")
def int8(inputs, tmp_path_factory):
    """The bundle in int8, and how near each of its graphs is."""
    path = tmp_path_factory.mktemp("quantised") / "int8"
    return path, quantise_bundle(PSGAN, inputs, path)


def test_a_decoder_in_int8_paints_nearly_the_same(int8):
    path, found = int8
    assert list(found) == ["decoder"]
    assert 15 < found["decoder"].psnr < 90
    bundle = Bundle.open(path)
    assert bundle.manifest.precision == "int8"
    assert bundle.contents["source.onnx"] == (PSGAN / "source.onnx").read_bytes()
    kinds = [node.op_type for node in onnx.load(path / "decoder.onnx").graph.node]
    assert kinds.count("QuantizeLinear") > 10
    size = (path / "decoder.onnx").stat().st_size
    assert size < 0.75 * (PSGAN / "decoder.onnx").stat().st_size

    frame = cv2.imread(str(DEMO / "medium.jpg"))
    results = [
        MakeupEngine(look=DEMO / "red-classic.jpg", model=model).process(frame).astype(int)
        for model in ("psgan", path)
    ]
    assert np.abs(results[0] - frame).mean() > 2 * np.abs(results[0] - results[1]).mean() > 0


def test_weights_in_half_precision_are_widened():
    graph = onnx.load(PSGAN / "decoder.onnx")
    wide = widen_weights(graph)
    assert any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.graph.initializer)
    assert all(tensor.data_type != onnx.TensorProto.FLOAT16 for tensor in wide.graph.initializer)
    onnx.checker.check_model(wide, full_check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {}, "inputs of no graph, expected arrays GRAPH/INPUT"),
        (lambda a: a | {"other/x": np.zeros(1)}, "inputs of other, expected"),
        (
            lambda a: a | {"decoder/features": a["decoder/features"][:, :8]},
            "inputs of 'decoder' are",
        ),
        (lambda a: a | {"decoder/features": a["decoder/features"][:3]}, "as many runs of each"),
        (lambda a: {k: v[:0] for k, v in a.items()}, "as many runs of each"),
        (lambda a: a | {"decoder/gamma": a["decoder/gamma"].astype(float)}, "'float64', 3"),
    ],
)
def test_inputs_that_do_not_fit(decoder_inputs, tmp_path, change, message):
    np.savez(tmp_path / "x.npz", **change(dict(decoder_inputs)))
    with pytest.raises(ExportError, match=message):
        quantise_bundle(PSGAN, tmp_path / "x.npz", tmp_path / "int8")
    assert not (tmp_path / "int8").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_inputs_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=r"x\.npz: cannot be read"):
        quantise_bundle(PSGAN, path, tmp_path / "int8")


@pytest.mark.parametrize("damage", ["cut short", "changed inside", "no archive of arrays"])
def test_damaged_inputs(decoder_inputs, tmp_path, damage):
    path = tmp_path / "x.npz"
    if damage == "no archive of arrays":
        with path.open("wb") as file:
            np.save(file, decoder_inputs["decoder/features"])
    else:
        np.savez(path, **decoder_inputs)
        data = path.read_bytes()
        place = len(data) // 4  # within the pixels of the images
        end = b"" if damage == "cut short" else b"damage" + data[place + 6 :]
        path.write_bytes(data[:place] + end)
    with pytest.raises(ExportError, match=r"x\.npz: cannot be read"):
        quantise_bundle(PSGAN, path, tmp_path / "int8")


def test_pickled_inputs_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", **{"decoder/gamma": np.array([{}], dtype=object)})
    with pytest.raises(ExportError, match="cannot be read"):
        quantise_bundle(PSGAN, tmp_path / "x.npz", tmp_path / "int8")


def test_int8_is_not_quantised_again(int8, inputs, tmp_path):
    with pytest.raises(ExportError, match="a bundle in int8 for onnx, expected fp32"):
        quantise_bundle(int8[0], inputs, tmp_path / "again")


def test_a_taken_place_is_left_alone(inputs, tmp_path):
    (tmp_path / "int8").mkdir()
    with pytest.raises(BundleError, match="int8"):
        quantise_bundle(PSGAN, inputs, tmp_path / "int8")
    assert not list((tmp_path / "int8").iterdir())


def test_quantise_command(inputs, tmp_path):
    output = tmp_path / "int8.zip"
    arguments = ["quantise", str(PSGAN), "--inputs", str(inputs), "-o", str(output)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "dB to fp32" in result.output
    assert Bundle.open(output).manifest.precision == "int8"


def test_int8_for_the_cpu_is_close_to_fp32(tmp_path):
    """The shipped networks of the face analysis, quantised once more on the demo faces."""
    recorded = record(sorted(DEMO.glob("*.jpg")), 6)
    assert {name: values.shape for name, values in recorded.items()} == {
        "model/image": (12, 3, 160, 160),  # each face is looked at twice
        "lips/image": (6, 3, 64, 96),
        "lips/regions": (6, 5, 40, 60),
    }
    np.savez(tmp_path / "inputs.npz", **recorded)
    source, target = MODELS / "face_landmarks_regions", tmp_path / "int8"
    quantise_bundle(source, tmp_path / "inputs.npz", target, cpu=True)
    assert Bundle.open(target).manifest.precision == "int8"
    for name in ("model", "lips"):
        exact, fast = (Bundle.open(path).session(name, threads=1) for path in (source, target))
        given = {
            key.partition("/")[2]: values[:1]
            for key, values in recorded.items()
            if key.startswith(name)
        }
        got = fast.run(given)
        for output, values in exact.run(given).items():
            assert np.abs(got[output] - values).mean() <= 0.02 * np.ptp(values) + 1e-3
        weights = [
            numpy_helper.to_array(tensor)
            for tensor in onnx.load(target / f"{name}.onnx").graph.initializer
            if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 4
        ]
        assert len(weights) > 10
        assert max(int(np.abs(values.astype(int)).max()) for values in weights) <= 64


def test_recording_wants_faces():
    with pytest.raises(SystemExit, match="--faces: 0 faces in 0 files, expected 64"):
        record([])
