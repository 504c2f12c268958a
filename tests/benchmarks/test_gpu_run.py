"""The GPU run on a machine without a GPU: its steps, limits, failures and output."""

import json
import os
import sys
from dataclasses import replace

import gpu_run
import pytest

MACHINE = gpu_run.Machine(
    gpu={"name": "NVIDIA X", "driver_version": "580.1", "compute_cap": "9.0"},
    nvcc="/cuda/bin/nvcc",
    sanitizer=None,
    versions={"torch": "2.11.0"},
    cuda_through="PyCUDA",
    system="Linux x86_64, Python 3.12.3",
)
TESTS_XML = """<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1">
<testcase classname="a" name="good"/><testcase classname="a" name="bad"><failure/></testcase>
<testcase classname="b" name="worse[cuda]"><error/></testcase>
</testsuite></testsuites>"""
MEMCHECK = """========= COMPUTE-SANITIZER
========= Invalid __global__ read of size 4 bytes
=========     at composite+0x10
7 passed in 3.1s
========= ERROR SUMMARY: 1 error
"""


def script(text, **more):
    return gpu_run.Step("try", [sys.executable, "-c", text], 0.5, **{"needs": (), **more})


@pytest.fixture
def perform(tmp_path):
    def run(step, limit=60.0, machine=MACHINE, dry=False):
        log = tmp_path / "log"
        return gpu_run.perform(step, machine, dict(os.environ), log, limit, dry=dry)

    return run


def test_results_of_a_step_are_read_and_told(perform, tmp_path):
    step = script(
        "print('p50 3')",
        figures=lambda output: {"p50": int(output.split()[1])},
        told=lambda figures: f"{figures['p50']} ms",
    )
    outcome = perform(step)
    assert (outcome.state, outcome.told, outcome.figures) == ("passed", "3 ms", {"p50": 3})
    assert (tmp_path / "log").read_text().endswith("\np50 3\n\n")


@pytest.mark.parametrize(
    ("step", "state", "told"),
    [
        (script("raise SystemExit('no card')"), "failed", "exit status 1: no card"),
        (script("", figures=lambda _: {}["x"]), "failed", "no results to read ('x')"),
        (script("", needs=("sanitizer",)), "not run", "not found here: sanitizer"),
    ],
)
def test_what_goes_wrong_is_told(step, state, told, perform):
    outcome = perform(step)
    assert (outcome.state, outcome.told) == (state, told)


def test_a_step_and_its_children_are_stopped_at_the_limit(perform):
    """A child that lived on would hold the output open, and the call would not return."""
    step = replace(script(""), command=["sh", "-c", "sleep 1000 & sleep 1000"])
    outcome = perform(step, limit=1.0)
    assert (outcome.state, outcome.told) == ("out of time", "stopped after 1 s")
    assert perform(step, limit=0.5).told == "no time was left for it"


def test_dry_run_takes_the_other_command(perform):
    step = script("raise SystemExit(3)", needs=("gpu",), dry=[sys.executable, "-c", ""])
    assert perform(step, dry=True).state == "rehearsed"
    without = perform(replace(step, dry=None), dry=True)
    assert (without.state, without.told) == ("not run", "not found here: gpu")


def test_a_failure_does_not_stop_the_rest_and_everything_is_written(monkeypatch, tmp_path, capsys):
    steps = [script("raise SystemExit(2)"), script("print('well')", told=lambda _: "a | b")]
    monkeypatch.setattr(gpu_run, "describe_machine", lambda: MACHINE)
    monkeypatch.setattr(gpu_run, "steps", lambda work, machine: steps)
    assert gpu_run.main(["--out", str(tmp_path / "new"), "--minutes", "2"]) == 1
    report = json.loads((tmp_path / "new" / "gpu_run.json").read_text())
    assert [step["state"] for step in report["steps"]] == ["failed", "passed"]
    assert report["machine"]["gpu"]["name"] == "NVIDIA X"
    table = (tmp_path / "new" / "gpu_run.md").read_text()
    assert (
        "NVIDIA X, driver 580.1; Linux x86_64, Python 3.12.3. CUDA kernels through PyCUDA" in table
    )
    assert "| try | failed | 0 | exit status 2: nothing was printed |" in table
    assert "| try | passed | 0 | a \\| b |" in table
    assert "try: passed" in capsys.readouterr().out
    steps.pop(0)
    assert gpu_run.main(["--out", str(tmp_path / "new")]) == 0


def test_without_a_gpu_it_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu_run, "describe_machine", lambda: replace(MACHINE, gpu=None))
    assert gpu_run.main(["--out", str(tmp_path)]) == 1
    assert "nvidia-smi finds no GPU here; see the steps with --dry-run" in capsys.readouterr().err


def test_steps_are_for_the_card_that_is_found(tmp_path):
    names = [step.name for step in gpu_run.steps(tmp_path, MACHINE)]
    assert names[-6:] == [
        "compile the CUDA kernels for sm_90", "tests of the GPU kernels",
        "makeup bench on the GPU", "times of the GPU kernels", "memcheck", "racecheck",
    ]  # fmt: skip
    other = replace(MACHINE, gpu={**MACHINE.gpu, "compute_cap": "12.0"})
    assert "compile the CUDA kernels for sm_120" in {s.name for s in gpu_run.steps(tmp_path, other)}


@pytest.mark.parametrize("through", ["PyCUDA", "the CUDA driver API (no PyCUDA here)"])
def test_the_stand_in_is_on_the_path_only_without_pycuda(through, tmp_path):
    environment = gpu_run.child_environment(tmp_path, replace(MACHINE, cuda_through=through))
    paths = environment["PYTHONPATH"].split(os.pathsep)
    assert (str(gpu_run.STAND_IN) in paths) is (through != "PyCUDA")
    assert paths[0] == str(tmp_path / "site")


def test_counts_of_tests_and_sanitizer(tmp_path):
    (tmp_path / "tests.xml").write_text(TESTS_XML)
    figures = gpu_run.read_tests(tmp_path / "tests.xml")
    assert figures["failed"] == ["a::bad", "b::worse[cuda]"]
    assert gpu_run.told_of_tests(figures).startswith("2 passed, 2 failed, 1 skipped; a::bad; b::")
    found = gpu_run.read_sanitizer(MEMCHECK)
    assert gpu_run.told_of_sanitizer(found) == (
        "7 tests; ERROR SUMMARY: 1 error; Invalid __global__ read of size 4 bytes"
    )
    with pytest.raises(ValueError, match="gave no summary, or no test ran"):
        gpu_run.read_sanitizer(MEMCHECK.replace("7 passed", "7 skipped"))


def test_checked_tests_exist():
    folder = gpu_run.ROOT / "tests" / "kernels" / "cuda"
    for node in gpu_run.CHECKED:
        file, _, name = node.partition("::")
        assert f"def {name.partition('[')[0]}(" in (folder / file).read_text()
