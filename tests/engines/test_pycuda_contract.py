"""Every PyCUDA name that the code touches exists in the real release, with the arguments used."""

import ast
import json
import os
import re
from pathlib import Path

import pytest

import makeup_engines.tensorrt
import makeup_kernels.cuda

API = json.loads(Path(__file__).with_name("pycuda_api.json").read_text())
DRIVER = API["driver"]
SOURCES = [
    *Path(makeup_kernels.cuda.__file__).parent.glob("*.py"),
    *Path(makeup_engines.tensorrt.__file__).parent.glob("*.py"),
]

# the class behind each variable of the code; "" is the module itself
VARIABLES = {
    "cuda": "",
    "_cuda": "",
    "function": "Function",
    "module": "Module",
    "copy": "Memcpy2D",
    "start": "Event",
    "end": "Event",
    "_stream": "Stream",
    "primary": "Context",
    "Context": "Context",
}


def touched() -> set[tuple[str, str]]:
    """(class or "", name) of every attribute of the variables above."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                base = node.value
                name = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
                if name in VARIABLES:
                    found.add((VARIABLES[name], node.attr))
                elif name == "device_attribute":
                    found.add((name, node.attr))
    return found


def test_every_name_is_listed() -> None:
    names = touched()
    assert len(names) > 25
    module = {*DRIVER["functions"], *DRIVER["classes"], *DRIVER["exceptions"], "device_attribute"}
    for kind, name in names:
        known = module if kind == "" else DRIVER["classes"].get(kind) or DRIVER[kind]
        assert name in known, (kind, name)


@pytest.fixture(scope="module")
def pycuda() -> Path:
    """The unpacked source distribution of PyCUDA."""
    folder = Path(os.environ.get("MAKEUP_PYCUDA_SOURCE", ""))
    if not (folder / "pycuda" / "driver.py").is_file():
        pytest.skip("set MAKEUP_PYCUDA_SOURCE to the unpacked sdist of " + API["version"])
    assert f"Version: {API['version']}\n" in (folder / "PKG-INFO").read_text()
    return folder


def block(text: str, start: str, end: str) -> str:
    begin = text.index(start)
    return text[begin : text.index(end, begin)]


def test_the_listing_is_that_of_the_real_release(pycuda: Path) -> None:
    wrapper = (pycuda / "src/wrapper/wrap_cudadrv.cpp").read_text()
    driver = (pycuda / "pycuda/driver.py").read_text()
    for name, arguments in DRIVER["functions"].items():
        definition = block(wrapper, f'py::def("{name}"', ";")
        order = [definition.index(f'"{argument}"') for argument in arguments or []]
        assert order == sorted(order), name
    for kind, members in DRIVER["classes"].items():
        definition = block(wrapper, f'("{kind}"', "py::class_<")
        for member in members:
            in_macro = rf"\b{member}\b" if kind == "Memcpy2D" else rf'(METHOD\(|"){member}\b'
            found = re.search(in_macro, wrapper if kind == "Memcpy2D" else definition)
            assert found or f"        {kind}.{member} = " in driver, (kind, member)
    for name in DRIVER["device_attribute"]:
        assert f'.value("{name}"' in wrapper
    for name in DRIVER["exceptions"]:
        assert f"DECLARE_EXC({name}, " in wrapper
    arrays = (pycuda / "pycuda/gpuarray.py").read_text()
    for name in API["gpuarray"]:
        assert re.search(rf"^(def {name}\(|{name} = )", arrays, re.MULTILINE), name
    assert "def __cuda_array_interface__" in arrays


def test_arguments_may_come_as_one_buffer(pycuda: Path) -> None:
    """`prepare(["96s"])` keeps the text as the format; a launch packs the buffer with it."""
    driver = (pycuda / "pycuda/driver.py").read_text()
    prepare = block(driver, "def function_prepare(func", "def function_prepared_call")
    assert "elif isinstance(arg_type, str):\n                func.arg_format += arg_type" in prepare
    assert "return func" in prepare
    launch = block(driver, "def function_prepared_async_call(func", "# }}}")
    assert "func, grid, block, stream, *args" in launch
    assert "arg_buf = pack(func.arg_format, *args)" in launch
    assert "func._launch_kernel(grid, block, arg_buf, shared_size, stream)" in launch
