import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from makeup_kernels import (
    BackendUnavailableError,
    InvalidInputError,
    align_faces,
    apply_color_map,
    attentive_morph,
    composite,
    cpu_features,
    dispatch,
    match_region_histograms,
    region_maps,
)
from makeup_kernels.dispatch import choose_backend, thread_count


def test_cpu_features_tell_what_runs(monkeypatch, many_cores):
    monkeypatch.delenv("MAKEUP_CPU_ISA", raising=False)
    monkeypatch.setenv("MAKEUP_THREADS", "3")
    features = cpu_features()
    assert features.available_isas[0] == "baseline"
    assert features.isa == features.available_isas[-1]
    assert features.threads == 3
    assert features.compiler.split()[0] in ("gcc", "clang")
    assert isinstance(features.openmp, bool)


def test_isa_variable_chooses(isa):
    assert cpu_features().isa == isa


def test_unknown_isa_raises(monkeypatch):
    monkeypatch.setenv("MAKEUP_CPU_ISA", "sse9")
    with pytest.raises(BackendUnavailableError, match=r"MAKEUP_CPU_ISA=sse9: .* have baseline"):
        cpu_features()


@pytest.mark.parametrize("setting", ["0", "-2", "two", "1.5"])
def test_wrong_threads_variable_raises(setting, monkeypatch):
    monkeypatch.setenv("MAKEUP_THREADS", setting)
    with pytest.raises(InvalidInputError, match=f"MAKEUP_THREADS={setting}: expected an integer"):
        thread_count(None)


def test_threads_argument_wins_over_the_variable(monkeypatch, many_cores):
    monkeypatch.setenv("MAKEUP_THREADS", "5")
    assert thread_count(2) == 2
    assert thread_count(None) == 5


@pytest.fixture
def three_cores(monkeypatch):
    monkeypatch.setattr(dispatch, "usable_cores", lambda: 3)
    monkeypatch.setattr(dispatch, "_cpu", SimpleNamespace(openmp=True, default_threads=lambda: 16))
    monkeypatch.delenv("MAKEUP_THREADS", raising=False)
    dispatch._warn_of_bound.cache_clear()
    yield
    dispatch._warn_of_bound.cache_clear()


@pytest.mark.parametrize(
    ("openmp", "openmp_threads", "expected"), [(True, 16, 3), (True, 2, 2), (False, 1, 3)]
)
def test_default_is_a_thread_per_usable_core(
    openmp, openmp_threads, expected, three_cores, monkeypatch
):
    """OMP_NUM_THREADS lowers it; without OpenMP the kernels take one, and sessions the cores."""
    monkeypatch.setattr(dispatch._cpu, "openmp", openmp)
    monkeypatch.setattr(dispatch._cpu, "default_threads", lambda: openmp_threads)
    assert thread_count(None) == expected


def test_threads_are_bounded_by_the_cores_with_one_warning(three_cores, monkeypatch):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert [thread_count(n) for n in (1, 3, 200, 200)] == [1, 3, 3, 3]
        monkeypatch.setenv("MAKEUP_THREADS", "64")
        assert thread_count(None) == thread_count(None) == 3
    assert [w.category for w in said] == [RuntimeWarning] * 2
    messages = [str(w.message) for w in said]
    assert messages[0].startswith("threads: got 200, but this process may use 3 of the machine's")
    assert messages[0].endswith("3 will run. Ask for at most 3, or leave it out.")
    assert messages[1].startswith("MAKEUP_THREADS: got 64, but")


@pytest.mark.parametrize("policy", [None, "active"])
def test_loading_leaves_the_environment_as_it_was(policy):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if policy:
        environment["OMP_WAIT_POLICY"] = policy
    script = "import os, makeup_kernels; print(os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(policy)


IMAGE, MAP = np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), np.uint8)
PLANE, MARKS, MATRIX = np.ones((2, 4, 5), np.float32), np.eye(68, 2, dtype=np.float32), np.eye(2, 3)
CALLS = {
    "align_faces": lambda **b: align_faces(IMAGE, MATRIX, **b),
    "apply_color_map": lambda **b: apply_color_map(
        IMAGE, np.ones((6, 4, 5), np.float32), MATRIX, **b
    ),
    "attentive_morph": lambda **b: attentive_morph(
        PLANE, PLANE, MARKS, MARKS, MAP, MAP, PLANE, **b
    ),
    "composite": lambda **b: composite(IMAGE, IMAGE, IMAGE, PLANE[0], MATRIX, **b),
    "match_region_histograms": lambda **b: match_region_histograms(IMAGE, IMAGE, MAP, MAP, **b),
    "region_maps": lambda **b: region_maps(np.ones((5, 4, 4), np.float32), MARKS, **b),
}


class OnGpu:
    """Stands for an array on a GPU."""

    __cuda_array_interface__ = None


@pytest.fixture
def gpu_backends(monkeypatch):
    """Set which of the GPU backends can run: a name maps to None, or to why it cannot."""

    def set_reasons(**reasons):
        for name, reason in reasons.items():
            monkeypatch.setattr(f"makeup_kernels.{name}.available", lambda reason=reason: reason)

    return set_reasons


@pytest.mark.parametrize("backend", ["triton", "cuda"])
@pytest.mark.parametrize("name", CALLS)
def test_a_backend_by_name_runs_or_raises(name, backend, gpu_backends):
    gpu_backends(triton="it finds no GPU; buy one", cuda="it finds no GPU; buy one")
    message = f"{name}: the '{backend}' backend cannot run here: it finds no GPU; buy one"
    with pytest.raises(BackendUnavailableError, match=message):
        CALLS[name](backend=backend)
    with pytest.raises(
        InvalidInputError, match="backend: got 'gpu', expected one of 'auto', 'cpu'"
    ):
        CALLS[name](backend="gpu")
    CALLS[name](backend="auto")


def test_auto_follows_the_arrays(gpu_backends):
    gpu_backends(triton=None, cuda=None)
    assert choose_backend("auto", "morph", IMAGE, MAP) == "cpu"
    assert choose_backend("auto", "morph", OnGpu()) == "triton"
    assert choose_backend("cuda", "morph", IMAGE) == "cuda"
    gpu_backends(triton="no torch")
    assert choose_backend("auto", "morph", OnGpu()) == "cuda"
    gpu_backends(cuda="no PyCUDA")
    with pytest.raises(
        BackendUnavailableError, match=r"morph: the 'triton' .*: no torch; the 'cuda' .*: no PyCUDA"
    ):
        choose_backend("auto", "morph", OnGpu())
