"""`makeup build`, `makeup engines`, and commands that other packages add."""

import sys
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from makeup_engines import Bundle
from makeup_engines.tensorrt.build import BuildRequest, build
from makeup_engines.tensorrt.kernels import build_kernels
from makeup_engines.tensorrt.plans import PLAN_FILE
from makeup_engines.tensorrt.targets import LOCAL
from makeup_kernels import MakeupError
from makeup_sdk.cli import app, export
from makeup_sdk.weights import open_shipped, shipped_names

WORKER = """
import json, pathlib, sys
asked = json.loads(sys.stdin.readline())
pathlib.Path(asked["plan"]).write_bytes(b"a plan")
"""


@pytest.fixture
def invoke(tmp_path):
    def run(*arguments: str):
        result = CliRunner().invoke(app, [*arguments, "--cache", str(tmp_path / "cache")])
        if isinstance(result.exception, MakeupError):
            raise result.exception
        return result

    return run


@pytest.fixture
def worker(monkeypatch):
    """`makeup build` with stand-ins for the process that builds, and for nvcc."""
    from makeup_sdk.cli import engines

    command = [sys.executable, "-c", WORKER]
    monkeypatch.setattr(engines, "build", lambda request, show: build(request, show, command))
    monkeypatch.setattr(
        engines,
        "build_kernels",
        lambda cache, machine: build_kernels(cache, machine, lambda target: {target: b"code"}),
    )


def test_plan_on_a_machine_without_tensorrt(invoke, rows_bundle_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    result = invoke("build", str(rows_bundle_path), "--target", "orin-nano", "--plan")
    assert result.exit_code == 0
    assert "not on this machine" in result.output
    assert "orin-nano, Jetson Orin Nano" in result.output
    assert "'workspace_mib': 512" in result.output
    with pytest.raises(MakeupError, match="backend 'tensorrt' is not available"):
        invoke("build", str(rows_bundle_path))


def test_build_list_verify_clean(invoke, worker, make_double, rows_bundle_path, tmp_path) -> None:
    double = make_double()
    assert "no engines in" in invoke("engines", "list").output
    built = invoke("build", str(rows_bundle_path)).output
    assert "model: built, " in built
    assert "CUDA kernels: built, " in built
    again = invoke("build", str(rows_bundle_path)).output
    assert "model: already built, " in again
    assert "CUDA kernels: already built, " in again
    planned = invoke("build", str(rows_bundle_path), "--plan").output
    assert "nothing, it is" in planned
    listed = invoke("engines", "list").output
    assert double.version in listed
    assert "fits" in listed
    assert "plus_one" in listed
    assert "CUDA kernels" in listed
    assert "2 of 2 engines are whole" in invoke("engines", "verify").output
    (plan,) = (tmp_path / "cache").rglob(PLAN_FILE)
    plan.write_bytes(b"a plan of another")
    result = invoke("engines", "verify")
    assert result.exit_code == 1
    assert "1 of 2 engines are whole" in result.output
    assert "changed or damaged" in result.output
    (plan.parent / "entry.json").write_text("{}")
    assert "1 of 2 engines are whole" in invoke("engines", "verify").output
    assert "removed 2 entries" in invoke("engines", "clean").output
    assert "no engines in" in invoke("engines", "list").output


def test_only_tensorrt_is_built_ahead(invoke, rows_bundle_path) -> None:
    with pytest.raises(MakeupError, match=r"there is nothing to build.* use the model"):
        invoke("build", str(rows_bundle_path), "--backend", "onnxruntime")
    with pytest.raises(MakeupError, match="products: has no networks of its own"):
        invoke("build", "products", "--plan")
    with pytest.raises(MakeupError, match=r"'psgann' is unknown.* psgan"):
        invoke("build", "psgann", "--plan")


@pytest.mark.parametrize("name", [name for name in shipped_names() if "int8" not in name])
def test_every_shipped_network_has_a_plan(invoke, name) -> None:
    result = invoke("build", name, "--target", "orin", "--plan")
    assert result.exit_code == 0
    for graph in open_shipped(name).manifest.graphs:
        assert graph in result.output


def test_build_of_a_changed_bundle(invoke, rows_bundle_path) -> None:
    (rows_bundle_path / "model.onnx").write_bytes(b"")
    with pytest.raises(MakeupError, match="changed or damaged"):
        invoke("build", str(rows_bundle_path), "--plan")


def test_all_graphs_of_a_bundle_are_keyed_apart(make_double, rows_bundle_path, tmp_path) -> None:
    make_double()
    request = BuildRequest(Bundle.open(rows_bundle_path), LOCAL, cache=tmp_path)
    entry, _ = build(request, lambda *step: None, [sys.executable, "-c", WORKER])["model"]
    expected = {"graph", "tensorrt", "cuda", "gpu", "compute", "os", "profile"}
    assert entry.facts.keys() == expected


def added(monkeypatch, *entries: EntryPoint) -> typer.Typer:
    monkeypatch.setattr(export, "entry_points", lambda group: list(entries))
    application = typer.Typer()
    application.command("other")(lambda: None)
    export.add_commands(application)
    return application


def test_entry_points_add_commands(monkeypatch) -> None:
    entry = EntryPoint("export", "makeup_export.commands:register", export.GROUP)
    result = CliRunner().invoke(added(monkeypatch, entry), ["--help"])
    assert "export" in result.output
    assert "import" in result.output


@pytest.mark.parametrize("command", [["export", "psgan", "--weights"], ["import", "psgan"]])
def test_commands_without_the_extra_say_what_to_install(monkeypatch, tmp_path, command) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    entry = EntryPoint("export", "makeup_export.commands:register", export.GROUP)
    arguments = [*command, "G.pth", "-o", str(tmp_path / "bundle")]
    result = CliRunner().invoke(added(monkeypatch, entry), arguments)
    assert isinstance(result.exception, MakeupError)
    assert str(result.exception) == (
        f"makeup {command[0]}: torch not installed; "
        "run `pip install '.[train]'` in the source folder"
    )


def test_a_command_whose_packages_are_missing_says_so(monkeypatch) -> None:
    entry = EntryPoint("export", "makeup_export.absent:register", export.GROUP)
    result = CliRunner().invoke(added(monkeypatch, entry), ["export", "psgan", "--weights", "x"])
    assert result.exit_code == 2
    assert ".[train]" in result.output
