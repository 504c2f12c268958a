"""ONNX Runtime sessions, arrays on devices, and the choice of a backend."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from makeup_engines import BACKENDS, Bundle, SessionOptions
from makeup_engines.cache import Cache
from makeup_kernels import BackendUnavailableError, BundleError, InvalidInputError, OutputError


@pytest.fixture
def bundle(rows_bundle_path) -> Bundle:
    return Bundle.open(rows_bundle_path)


def test_outputs_are_written_in_place(bundle) -> None:
    session = bundle.session("model", threads=1)
    x, y = np.arange(8, dtype=np.float32).reshape(2, 4), np.zeros((2, 4), np.float32)
    assert session.run({"x": x}, {"y": y})["y"] is y
    np.testing.assert_array_equal(y, x + 1)
    strided = np.zeros((2, 8), np.float32)[:, ::2]
    strided[:] = x
    np.testing.assert_array_equal(session.run({"x": strided}, {"y": y})["y"], x + 1)
    np.testing.assert_array_equal(session.run({"x": strided})["y"], x + 1)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"z": np.zeros((1, 4), np.float32)}, "got outputs ['z'], expected some of ['y']"),
        ({"y": np.zeros((1, 4))}, "output 'y' is float64 (1, 4), expected float32 (batch, 4)"),
        ({"y": np.zeros((2, 4), np.float32)}, "with the batch of the inputs"),
        ({"y": np.zeros((1, 8), np.float32)[:, ::2]}, "must be a writeable, C-contiguous"),
        ({"y": [0, 0, 0, 0]}, "output 'y' is a list, expected a NumPy array"),
    ],
)
def test_wrong_outputs(bundle, outputs, message) -> None:
    with pytest.raises(InvalidInputError) as error:
        bundle.session("model").run({"x": np.zeros((1, 4), np.float32)}, outputs)
    assert message in str(error.value)


def test_a_cache_that_cannot_be_written(bundle, closed_folder) -> None:
    """The session works, and optimises its graph anew each time; a build must not lose its plan."""
    session = bundle.session("model", options=SessionOptions(cache=closed_folder))
    x = np.zeros((1, 4), np.float32)
    np.testing.assert_array_equal(session.run({"x": x})["y"], x + 1)
    with pytest.raises(OutputError, match="Permission denied"):
        Cache(closed_folder).store({"graph": "g"}, {"engine.plan": b"a plan"})
    assert list(closed_folder.iterdir()) == []


def test_read_only_outputs(bundle) -> None:
    y = np.zeros((1, 4), np.float32)
    y.flags.writeable = False
    with pytest.raises(InvalidInputError, match="must be a writeable"):
        bundle.session("model").run({"x": np.zeros((1, 4), np.float32)}, {"y": y})


def test_a_graph_that_is_not_what_the_manifest_says(bundle) -> None:
    spec = bundle.manifest.graphs["model"]
    for change in ({"name": "q"}, {"shape": (1, 5)}, {"dtype": "float16"}):
        other = replace(spec, inputs=(replace(spec.inputs[0], **change),))
        manifest = replace(bundle.manifest, graphs={"model": other})
        with pytest.raises(BundleError, match="which is not what the manifest says"):
            replace(bundle, manifest=manifest).session("model")


def test_auto_takes_the_cpu_here(bundle) -> None:
    session = bundle.session("model", backend="auto")
    assert (session.backend, session.device) == ("onnxruntime", "cpu")


def test_names_run_or_raise(bundle) -> None:
    for backend in ("onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-x", "nonsense"):
        with pytest.raises(BackendUnavailableError, match="is not available for"):
            bundle.session("model", backend=backend)
    assert "onnxruntime" in BACKENDS


def test_a_provider_that_silently_falls_back_is_an_error(bundle, monkeypatch) -> None:
    real = onnxruntime.InferenceSession
    asked = []

    def fallen_back(model, options, providers):
        asked.append(providers)
        return real(model, options, providers=["CPUExecutionProvider"])

    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen_back)
    with pytest.raises(BackendUnavailableError) as error:
        bundle.session("model", backend="onnxruntime-cuda", options=SessionOptions(device=1))
    assert "CUDAExecutionProvider was asked for, ONNX Runtime started CPUE" in str(error.value)
    assert asked == [[("CUDAExecutionProvider", {"device_id": "1"})]]


def test_threads_may_share_a_session(bundle) -> None:
    from concurrent.futures import ThreadPoolExecutor

    session = bundle.session("model", threads=1)

    def work(k: int) -> bool:
        x = np.full((k % 3 + 1, 4), k, np.float32)
        y = np.empty_like(x)
        return bool((session.run({"x": x}, {"y": y})["y"] == k + 1).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(50)))
