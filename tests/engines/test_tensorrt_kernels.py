"""Our CUDA kernels beside the plans: built, checked, and launched on a session's stream."""

import hashlib
import json

import numpy as np
import pytest

from makeup_engines import Bundle, SessionOptions
from makeup_engines.tensorrt import kernels
from makeup_engines.tensorrt.kernels import build_kernels, load_kernels
from makeup_engines.tensorrt.plans import (
    LOG_FILE,
    PLAN_FILE,
    BuildOptions,
    local_platform,
    plan_cache,
    plan_facts,
)
from makeup_kernels import BackendUnavailableError, BundleError, InvalidInputError
from makeup_kernels.composite.cuda import composite
from makeup_kernels.cuda import OPERATIONS, code, driver
from makeup_kernels.cuda.build import KernelBuildError


def compile_for(target: str) -> dict[str, bytes]:
    return {f"{name}.fatbin": f"{name} for {target}".encode() for name in OPERATIONS}


@pytest.fixture
def double(make_double, monkeypatch):
    """The recording double, and kernels of this test alone."""
    monkeypatch.setattr(code, "_offered", {})
    monkeypatch.setattr(driver, "_functions", {})
    monkeypatch.setattr(driver, "_scratch", {})
    return make_double()


@pytest.fixture
def session(double, rows_bundle_path, tmp_path):
    bundle = Bundle.open(rows_bundle_path)
    cache = plan_cache(tmp_path)
    facts = plan_facts(bundle.contents["model.onnx"], local_platform(), BuildOptions(2))
    cache.store(facts, {PLAN_FILE: b"a plan"})
    build_kernels(cache, local_platform(), compile_for)
    options = SessionOptions(cache=tmp_path, batch=2)
    return bundle.session("model", backend="tensorrt", options=options)


def test_kernels_are_built_once_for_the_gpu_with_their_digests(double, tmp_path) -> None:
    cache = plan_cache(tmp_path)
    entry, new = build_kernels(cache, local_platform(), compile_for)
    assert new
    record = json.loads((entry.path / "entry.json").read_text())
    text = b"composite for sm_89"
    assert record["files"]["composite.fatbin"] == hashlib.sha256(text).hexdigest()
    assert (entry.path / "composite.fatbin").read_bytes() == text
    assert build_kernels(cache, local_platform(), None) == (entry, False)
    assert load_kernels(cache, local_platform())
    assert code.offered_code("composite") == text


def test_kernels_of_another_gpu_or_release_are_not_loaded(double, tmp_path, monkeypatch) -> None:
    cache = plan_cache(tmp_path)
    build_kernels(cache, local_platform(), compile_for)
    assert not load_kernels(cache, local_platform() | {"compute": "8.7"})
    monkeypatch.setattr(kernels, "source_digest", lambda: "of another release")
    assert not load_kernels(cache, local_platform())
    assert code.offered_code("composite") is None


def test_changed_kernels_are_not_loaded(double, tmp_path) -> None:
    entry, _ = build_kernels(plan_cache(tmp_path), local_platform(), compile_for)
    (entry.path / "composite.fatbin").write_bytes(b"of someone else")
    with pytest.raises(BundleError, match=r"changed or damaged.*makeup engines clean"):
        load_kernels(plan_cache(tmp_path), local_platform())
    assert code.offered_code("composite") is None


def test_without_nvcc_the_packages_kernels_are_taken(double, tmp_path, monkeypatch) -> None:
    def missing() -> str:
        raise BackendUnavailableError("nvcc: not found")

    monkeypatch.setattr(kernels, "find_nvcc", missing)
    monkeypatch.setenv(code.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(BackendUnavailableError, match=r"nvcc: not found; and the CUDA kernels are"):
        build_kernels(plan_cache(tmp_path), local_platform())
    for name, text in compile_for("sm_90").items():
        (tmp_path / name).write_bytes(text)
    code.write_manifest(tmp_path, ("sm_90",), "test")
    with pytest.raises(BackendUnavailableError, match="kernels are for sm_90, not sm_89"):
        build_kernels(plan_cache(tmp_path), local_platform())
    code.write_manifest(tmp_path, ("sm_90", "compute_80"), "test")
    entry, _ = build_kernels(plan_cache(tmp_path), local_platform())
    assert entry.read("align.fatbin") == b"align for sm_90"
    assert b"from " in entry.read(LOG_FILE)


def test_a_compiler_that_refuses_leaves_no_entry(double, tmp_path) -> None:
    def refuse(target: str) -> dict[str, bytes]:
        raise KernelBuildError(f"align: no such target {target}")

    with pytest.raises(KernelBuildError, match="no such target sm_89"):
        build_kernels(plan_cache(tmp_path), local_platform(), refuse)
    assert not list(plan_cache(tmp_path).entries())


def test_graph_and_kernel_on_the_sessions_stream(session, double, double_module) -> None:
    def device(values: np.ndarray):
        return double_module.DeviceArray(double, values)

    x, y = device(np.full((1, 4), 2, np.float32)), device(np.zeros((1, 4), np.float32))
    frame, crops = np.zeros((8, 8, 3), np.uint8), np.zeros((1, 4, 4, 3), np.uint8)
    frame, crops = device(frame), device(crops)
    masks, matrices = device(np.zeros((1, 4, 4), np.float32)), device(np.zeros((1, 2, 3)))
    double.calls.clear()
    with session.current():
        session.enqueue({"x": x}, {"y": y})
        composite(frame, crops, crops, masks, matrices, out=frame, stream=session.stream)
    np.testing.assert_array_equal(y.get(), np.full((1, 4), 3, np.float32))
    assert double.calls == [
        "IExecutionContext.set_input_shape",
        "IExecutionContext.set_tensor_address",
        "IExecutionContext.set_tensor_address",
        "IExecutionContext.execute_async_v3",
        "load composite for sm_89",
        "launch composite on 77",
    ]
    assert double.contexts == 0


def test_enqueue_wants_arrays_on_the_gpu(session, double, double_module) -> None:
    x = double_module.DeviceArray(double, np.zeros((1, 4), np.float32))
    host = np.zeros((1, 4), np.float32)
    with pytest.raises(InvalidInputError, match="NumPy: y, outputs without an array: none; use r"):
        session.enqueue({"x": x}, {"y": host})
    with pytest.raises(InvalidInputError, match="NumPy: none, outputs without an array: y"):
        session.enqueue({"x": x}, {})
