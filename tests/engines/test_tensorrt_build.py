"""Offline builds: the worker against the double, the parent against small stand-in workers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from makeup_engines import Bundle
from makeup_engines.tensorrt.build import BuildRequest, build, plan_steps
from makeup_engines.tensorrt.plans import LOG_FILE, PLAN_FILE, BuildOptions, plan_cache
from makeup_engines.tensorrt.targets import LOCAL, TARGETS, target_of
from makeup_engines.tensorrt.worker import BuildError, build_plan
from makeup_kernels import BackendUnavailableError

WORKER = """
import json, pathlib, sys
asked = json.loads(sys.stdin.readline())
print("a library's chatter")
print(json.dumps({"phase": "Tactics", "share": 0.5}), flush=True)
print("warning: slow", file=sys.stderr)
"""
GOOD = (
    WORKER
    + """
pathlib.Path(asked["plan"]).write_bytes(b"a plan")
pathlib.Path(asked["timing_cache"]).write_bytes(b"timings")
"""
)


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def build_request(make_double, rows_bundle_path, tmp_path) -> BuildRequest:
    make_double()
    return BuildRequest(Bundle.open(rows_bundle_path), LOCAL, BuildOptions(batch=3), None, tmp_path)


def quiet(graph: str, phase: str, share: float) -> None:
    pass


def test_worker_builds_in_order(make_double) -> None:
    double = make_double()
    shares = []
    plan, timings = build_plan(
        double.tensorrt,
        b"graph",
        batch=3,
        workspace_mib=64,
        timing_cache=b"old",
        report=lambda phase, share: shares.append((phase, share)),
    )
    assert (plan, timings) == (b"a plan", b"old+timings")
    assert shares == [("Tactics", 0.0), ("Tactics", 0.5), ("Tactics", 1.0)]
    important = [c for c in double.calls if not c.startswith(("ITensor", "INetwork"))]
    assert important == [
        "Builder.create_network",
        "OnnxParser.parse",
        "Builder.create_builder_config",
        "IBuilderConfig.set_memory_pool_limit",
        "workspace 67108864",
        "IBuilderConfig.create_timing_cache",
        "IBuilderConfig.set_timing_cache",
        "IBuilderConfig.progress_monitor =",
        "Builder.create_optimization_profile",
        "IOptimizationProfile.set_shape",
        "shapes x (1, 4) (1, 4) (3, 4)",
        "IBuilderConfig.add_optimization_profile",
        "Builder.build_serialized_network",
        "IBuilderConfig.get_timing_cache",
        "ITimingCache.serialize",
    ]


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("parse", "cannot parse the graph: no such operator"),
        ("build", "found no engine for the graph within 64 MiB"),
    ],
)
def test_worker_says_what_failed(make_double, trouble, message) -> None:
    double = make_double(trouble)
    with pytest.raises(BuildError, match=message):
        build_plan(
            double.tensorrt,
            b"graph",
            batch=1,
            workspace_mib=64,
            timing_cache=b"",
            report=lambda phase, share: None,
        )


def test_build_twice_does_it_once(build_request, tmp_path) -> None:
    seen = []
    first = build(build_request, lambda *step: seen.append(step), command(GOOD))
    entry, new = first["model"]
    assert new
    assert seen == [("model", "Tactics", 0.5)]
    assert entry.read(PLAN_FILE) == b"a plan"
    assert b"warning: slow" in entry.read(LOG_FILE)
    assert b"a library's chatter" in entry.read(LOG_FILE)
    assert (tmp_path / "tensorrt-timings.bin").read_bytes() == b"timings"
    again = build(build_request, quiet, command("raise SystemExit(9)"))
    assert again["model"] == (entry, False)


def test_other_options_are_another_entry(build_request) -> None:
    from dataclasses import replace

    entry, _ = build(build_request, quiet, command(GOOD))["model"]
    other = replace(build_request, options=BuildOptions(batch=4))
    assert build(other, quiet, command(GOOD))["model"][0].path != entry.path


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (WORKER + 'print(json.dumps({"error": "no such operator"})); sys.exit(1)', "no such oper"),
        (WORKER + "sys.exit(3)", r"the build process died \(exit status 3\)"),
        (WORKER + "import os; os.kill(os.getpid(), 11)", r"died \(killed by signal 11\)"),
        (WORKER, "no plan was written"),
    ],
)
def test_failed_builds_leave_a_log_and_no_entry(build_request, tmp_path, code, message) -> None:
    with pytest.raises(BuildError, match=message) as error:
        build(build_request, quiet, command(code))
    log = Path(str(error.value).rpartition("the log is ")[2])
    assert "warning: slow" in log.read_text()
    assert not list(plan_cache(tmp_path).entries())


def test_time_out(build_request, tmp_path) -> None:
    from dataclasses import replace

    hanging = command(WORKER + "import threading; threading.Event().wait()")
    with pytest.raises(BuildError, match="not built within 1 s; allow more with --timeout"):
        build(replace(build_request, timeout_s=1), quiet, hanging)
    assert not list(plan_cache(tmp_path).entries())


def test_killed_parent_leaves_no_entry(tmp_path) -> None:
    """Kill a process between writing an entry's files and renaming it."""
    code = f"""
import os, signal
from pathlib import Path
import makeup_engines.cache as cache
def die(path, data):
    Path(path).write_bytes(data[:3])
    os.kill(os.getpid(), signal.SIGKILL)
cache.write_synced = die
store = cache.Cache(Path({str(tmp_path)!r}) / "tensorrt")
store.store({{"graph": "g"}}, {{"engine.plan": b"abcdef"}})
"""
    done = subprocess.run(command(code), check=False)
    assert done.returncode == -signal.SIGKILL
    store = plan_cache(tmp_path)
    assert not list(store.entries())
    assert store.find({"graph": "g"}) is None
    store.store({"graph": "g"}, {"engine.plan": b"abcdef"})
    assert [path.name for path in store.root.iterdir()] == [store.key({"graph": "g"})]


def test_parent_killed_during_a_build_leaves_no_entry(rows_bundle_path, tmp_path) -> None:
    """The worker kills the process that waits for it, then goes on."""
    folder = Path(__file__).parent
    code = f"""
import sys
sys.path.insert(0, {str(folder)!r})
from tensorrt_double import Doubles
from makeup_engines import Bundle
from makeup_engines.tensorrt.build import BuildRequest, build
from makeup_engines.tensorrt.targets import LOCAL
from pathlib import Path
class Patch:
    def setitem(self, table, key, value):
        table[key] = value
Doubles("11.4.0.106").install(Patch())
request = BuildRequest(Bundle.open({str(rows_bundle_path)!r}), LOCAL, cache=Path({str(tmp_path)!r}))
worker = "import os, signal; os.kill(os.getppid(), signal.SIGKILL);" + {GOOD!r}
build(request, lambda *step: None, [sys.executable, "-c", worker])
"""
    done = subprocess.run(command(code), check=False, stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not list(plan_cache(tmp_path).entries())
    assert not list(tmp_path.rglob(PLAN_FILE))


def test_target_of_another_gpu(build_request) -> None:
    from dataclasses import replace

    with pytest.raises(BackendUnavailableError) as error:
        build(replace(build_request, target=TARGETS["orin"]), quiet, command(GOOD))
    assert "target orin is Jetson AGX Orin (compute 8.7), this GPU is Double 4000" in str(
        error.value
    )
    ada, _ = build(replace(build_request, target=TARGETS["ada"]), quiet, command(GOOD))["model"]
    assert ada.facts["compute"] == "8.9"


def test_unknown_target() -> None:
    with pytest.raises(
        BackendUnavailableError, match="target 'nano' is unknown; expected one of local,"
    ):
        target_of("nano")


def test_plan_without_tensorrt(rows_bundle_path, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    request = BuildRequest(
        Bundle.open(rows_bundle_path), TARGETS["thor"], BuildOptions(), None, tmp_path
    )
    (step,) = plan_steps(request, None)
    assert (step.graph, step.built, step.entry) == ("model", False, None)
    assert step.facts["compute"] == "11.0 or 10.1"
    with pytest.raises(BackendUnavailableError, match=r"run `pip install '\.\[gpu\]'`"):
        build(request, quiet)


def test_no_gpu(make_double, rows_bundle_path) -> None:
    make_double("no_gpu")
    request = BuildRequest(Bundle.open(rows_bundle_path), LOCAL)
    with pytest.raises(BackendUnavailableError, match="no GPU 0"):
        build(request, quiet)


def test_old_tensorrt(make_double, monkeypatch) -> None:
    from makeup_engines.tensorrt.plans import import_tensorrt

    double = make_double()
    monkeypatch.setattr(double.tensorrt, "__version__", "8.6.1")
    with pytest.raises(BackendUnavailableError, match=r"8\.6\.1 is too old, expected 10\.3"):
        import_tensorrt()


def test_worker_as_a_process(rows_bundle_path, tmp_path) -> None:
    """Where TensorRT is missing the worker says so in its protocol."""
    (tmp_path / "tensorrt.py").write_text("raise ImportError('no libnvinfer')")
    asked = {"graph": str(rows_bundle_path / "model.onnx"), "timing_cache": os.devnull}
    asked |= {"plan": str(tmp_path / "p"), "batch": 1, "workspace_mib": 64}
    done = subprocess.run(
        [sys.executable, "-m", "makeup_engines.tensorrt.worker"],
        input=json.dumps(asked),
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no libnvinfer" in json.loads(done.stdout)["error"]
