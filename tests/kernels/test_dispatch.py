import os
import subprocess
import sys

import pytest

from makeup_kernels import BackendUnavailableError, InvalidInputError, _cpu, cpu_features
from makeup_kernels.dispatch import thread_count


def test_cpu_features_tell_what_runs(monkeypatch):
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


def test_threads_argument_wins_over_the_variable(monkeypatch):
    monkeypatch.setenv("MAKEUP_THREADS", "5")
    assert thread_count(2) == 2
    assert thread_count(None) == 5
    monkeypatch.delenv("MAKEUP_THREADS")
    assert thread_count(None) == _cpu.default_threads()


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
