"""The TensorRT session against the recording double: order of calls, errors, clean-up."""

import numpy as np
import pytest

from makeup_engines import Bundle, SessionOptions
from makeup_engines.tensorrt.plans import (
    PLAN_FILE,
    BuildOptions,
    local_platform,
    plan_cache,
    plan_facts,
)
from makeup_kernels import BackendUnavailableError, BundleError, InvalidInputError


@pytest.fixture
def with_plan(rows_bundle_path, tmp_path):
    """Put a plan of the bundle's graph into a cache; facts may be changed."""

    def make(batch=2, **changes):
        bundle = Bundle.open(rows_bundle_path)
        machine = local_platform() | changes
        facts = plan_facts(bundle.contents["model.onnx"], machine, BuildOptions(batch))
        entry = plan_cache(tmp_path).store(facts, {PLAN_FILE: b"a plan"})
        return bundle, entry

    return make


def open_session(bundle, tmp_path, **options):
    return bundle.session(
        "model", backend="tensorrt", options=SessionOptions(cache=tmp_path, **options)
    )


def test_numpy_in_numpy_out(make_double, with_plan, tmp_path) -> None:
    double = make_double()
    bundle, _ = with_plan()
    session = open_session(bundle, tmp_path, batch=2)
    double.calls.clear()
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    given = np.empty((2, 4), np.float32)
    result = session.run({"x": x}, {"y": given})
    np.testing.assert_array_equal(given, x + 1)
    assert result["y"] is given
    assert double.calls == [
        "upload",
        "IExecutionContext.set_input_shape",
        "IExecutionContext.set_tensor_address",
        "IExecutionContext.set_tensor_address",
        "IExecutionContext.execute_async_v3",
        "download",
        "synchronise",
    ]
    np.testing.assert_array_equal(session.run({"x": x[:1]})["y"], x[:1] + 1)
    assert (session.device, session.backend, double.contexts) == ("cuda:0", "tensorrt", 0)


def test_device_arrays_are_used_in_place(make_double, double_module, with_plan, tmp_path) -> None:
    double = make_double()
    bundle, _ = with_plan()
    session = open_session(bundle, tmp_path)
    x = double_module.DeviceArray(double, np.full((1, 4), 2, np.float32))
    y = double_module.DeviceArray(double, np.zeros((1, 4), np.float32))
    double.calls.clear()
    assert session.run({"x": x}, {"y": y})["y"] is y
    np.testing.assert_array_equal(y.get(), np.full((1, 4), 3, np.float32))
    assert "upload" not in double.calls
    assert "download" not in double.calls
    assert double.calls[0] == "synchronise device"
    np.testing.assert_array_equal(session.run({"x": x})["y"].get(), y.get())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tensorrt": "9.9.9"}, "built for TensorRT 9.9.9, here is "),
        ({"gpu": "Other 1", "compute": "7.5"}, "built for GPU Other 1, here is Double 4000; "),
        ({"cuda": "1.0.0"}, "built for CUDA 1.0.0, here is 13.0.0"),
    ],
)
def test_a_plan_of_another_machine_is_not_deserialised(
    make_double, with_plan, tmp_path, changes, message
) -> None:
    double = make_double()
    bundle, _ = with_plan(**changes)
    with pytest.raises(BackendUnavailableError) as error:
        open_session(bundle, tmp_path)
    assert message in str(error.value)
    assert "run `makeup build BUNDLE --backend tensorrt` here" in str(error.value)
    assert not [call for call in double.calls if "deserialize" in call]


def test_no_plan(make_double, rows_bundle_path, tmp_path) -> None:
    make_double()
    with pytest.raises(BackendUnavailableError, match="no plan was built for this graph; run `mak"):
        open_session(Bundle.open(rows_bundle_path), tmp_path)


def test_too_large_a_batch(make_double, with_plan, tmp_path) -> None:
    make_double()
    bundle, _ = with_plan(batch=2)
    with pytest.raises(BackendUnavailableError, match="takes 2 faces per call, 3 were requested"):
        open_session(bundle, tmp_path, batch=3)
    session = open_session(bundle, tmp_path, batch=1)
    with pytest.raises(InvalidInputError, match="batch of 2, the session was opened for 1"):
        session.run({"x": np.zeros((2, 4), np.float32)})


def test_a_changed_plan_is_not_loaded(make_double, with_plan, tmp_path) -> None:
    double = make_double()
    bundle, entry = with_plan()
    (entry.path / PLAN_FILE).write_bytes(b"a plan of someone else")
    with pytest.raises(BundleError, match="changed or damaged"):
        open_session(bundle, tmp_path)
    assert not [call for call in double.calls if "deserialize" in call]


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [
        ("deserialise", BundleError, "refuses the plan although it was built for it"),
        ("context", BackendUnavailableError, "no memory on the GPU for the plan"),
        ("memory", BackendUnavailableError, "no memory on the GPU for inputs and outputs"),
    ],
)
def test_trouble_while_opening(make_double, with_plan, tmp_path, trouble, kind, message) -> None:
    double = make_double(trouble)
    bundle, _ = with_plan()
    with pytest.raises(kind, match=message):
        open_session(bundle, tmp_path)
    assert double.contexts == 0


def test_trouble_while_running(make_double, with_plan, tmp_path) -> None:
    double = make_double("execute")
    bundle, _ = with_plan()
    session = open_session(bundle, tmp_path)
    with pytest.raises(BackendUnavailableError, match="TensorRT could not run the plan"):
        session.run({"x": np.zeros((1, 4), np.float32)})
    assert double.contexts == 0


def test_close_frees_everything(make_double, with_plan, tmp_path) -> None:
    double = make_double()
    bundle, _ = with_plan()
    session = open_session(bundle, tmp_path)
    session.close()
    assert sorted(double.freed) == sorted(double.memory)


def test_cuda_graph_is_captured_once(make_double, with_plan, tmp_path, monkeypatch) -> None:
    double = make_double()
    driver = RecordingDriver(double)
    monkeypatch.setattr("makeup_engines.tensorrt.cuda_graph._load", lambda: driver)
    bundle, _ = with_plan()
    session = open_session(bundle, tmp_path, cuda_graph=True)
    x = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(session.run({"x": x})["y"], x + 1)
    double.calls.clear()
    session.run({"x": x})
    assert double.calls == ["upload", "cuGraphLaunch", "download", "synchronise"]
    session.close()
    assert "cuGraphExecDestroy" in double.calls


class RecordingDriver:
    """libcuda whose calls succeed; instantiation hands out a handle."""

    def __init__(self, double) -> None:
        self.double = double

    def __getattr__(self, name):
        def call(*arguments):
            self.double.calls.append(name)
            if name == "cuGraphInstantiateWithFlags":
                arguments[0]._obj.value = 5
            return 0

        return call


def test_wrong_graph(make_double, with_plan, rows_bundle_bytes, tmp_path) -> None:
    make_double()
    bundle, _ = with_plan()
    from dataclasses import replace

    spec = bundle.manifest.graphs["model"]
    other = replace(spec, outputs=(replace(spec.outputs[0], name="z"),))
    from makeup_engines.tensorrt.session import TensorRTSession

    with pytest.raises(BundleError, match="which is not what the manifest says"):
        TensorRTSession.open(
            bundle.contents["model.onnx"], other, "m", SessionOptions(cache=tmp_path)
        )
