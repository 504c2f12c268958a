"""Every TensorRT name that the code touches exists in the real bindings of 10.x and 11.x."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import makeup_engines.tensorrt

ROOM = Path(makeup_engines.tensorrt.__file__).parent
API = json.loads(Path(__file__).with_name("tensorrt_api.json").read_text())

# the class behind each variable of the code
VARIABLES = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "_engine": "ICudaEngine",
    "context": "IExecutionContext",
    "_context": "IExecutionContext",
    "tensor": "ITensor",
}


def touched() -> set[tuple[str, str]]:
    """(class or "", name) of every attribute of `trt` and of the variables above."""
    found = set()
    for path in (ROOM / "worker.py", ROOM / "session.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute):
                continue
            base = node.value
            if isinstance(base, ast.Name) and base.id == "trt":
                found.add(("", node.attr))
            elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
                if base.value.id == "trt":
                    found.add((base.attr, node.attr))
                elif base.value.id == "self" and base.attr in VARIABLES:
                    found.add((VARIABLES[base.attr], node.attr))
            elif (
                isinstance(base, ast.Name) and base.id in VARIABLES and path.stem == "worker"
            ) or (isinstance(base, ast.Name) and base.id in ("engine", "runtime")):
                found.add((VARIABLES[base.id], node.attr))
    return found - {("", "__version__"), ("IProgressMonitor", "__init__")}


@pytest.mark.parametrize("version", API)
def test_every_name_exists(version: str) -> None:
    names = touched()
    assert len(names) > 25
    for kind, name in names:
        assert name in (API[version] if kind == "" else API[version][kind]), (kind, name)


@pytest.mark.parametrize("version", API)
def test_the_progress_monitor_overrides_what_exists(version: str) -> None:
    source = ast.parse((ROOM / "worker.py").read_text())
    monitor = next(n for n in ast.walk(source) if isinstance(n, ast.ClassDef) and n.bases
                   and isinstance(n.bases[0], ast.Attribute))  # fmt: skip
    methods = {n.name for n in monitor.body if isinstance(n, ast.FunctionDef)} - {"__init__"}
    assert methods == set(API[version]["IProgressMonitor"])


LISTING = """
import inspect, json, sys
import tensorrt_bindings as trt
asked = json.loads(sys.stdin.read())
names = {
    kind: [m for m in dir(getattr(trt, kind)) if not m.startswith("_")]
    if inspect.isclass(getattr(trt, kind)) else []
    for kind in asked
}
print(json.dumps([trt.__version__, names]))
"""

STUB = "".join(
    f"void *{name}(void) {{ return 0; }}\n"
    for name in (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "createNvOnnxParser_INTERNAL",
        "createNvOnnxParserRefitter_INTERNAL",
        "getBuilderPluginRegistry",
        "getPluginRegistry",
        "getNvOnnxParserVersion",
        "initLibNvInferPlugins",
    )
)


@pytest.mark.parametrize("version", API)
def test_the_listing_is_that_of_the_real_bindings(version: str, tmp_path: Path) -> None:
    """Needs the unpacked wheels: MAKEUP_TENSORRT_BINDINGS names folders joined by ':'."""
    folders = os.environ.get("MAKEUP_TENSORRT_BINDINGS", "")
    wanted = version.rpartition(".")[0] if version.count(".") > 2 else version
    folder = next(
        (f for f in folders.split(":") if f and list(Path(f).glob(f"tensorrt*-{wanted}*"))), None
    )
    if folder is None:
        pytest.skip(
            "set MAKEUP_TENSORRT_BINDINGS to the folders of the unpacked wheels "
            "tensorrt_cu12_bindings==10.3.0 and tensorrt_cu13_bindings==11.4.0.106"
        )
    (tmp_path / "stub.c").write_text(STUB)
    major = version.split(".", maxsplit=1)[0]
    for library in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        name = f"lib{library}.so.{major}"
        command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", name, "stub.c"]
        subprocess.run(command, cwd=tmp_path, check=True)
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": folder}
    answer = subprocess.run(
        [sys.executable, "-c", LISTING],
        input=json.dumps(list(API[version])),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found_version, names = json.loads(answer.stdout)
    assert found_version == version
    assert {kind: sorted(members) for kind, members in names.items()} == API[version]
