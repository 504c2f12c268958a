"""The examples in public docstrings run: `>>>` as doctests, indented blocks as programs."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import makeup_engines
import makeup_kernels
import makeup_sdk
import makeup_sdk.stream
from makeup_sdk import MakeupEngine, read_image

PACKAGES = (makeup_kernels, makeup_engines, makeup_sdk, makeup_sdk.stream)
_DEVICES = ("stream(0", '"window"')
"""What a block needs that cannot run here: a camera, a window."""


def documented() -> Iterator[tuple[str, str]]:
    """Name and docstring of every public package, class, function and method."""
    for package in PACKAGES:
        yield package.__name__, inspect.getdoc(package) or ""
        for name in package.__all__:
            thing = getattr(package, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            yield f"{package.__name__}.{name}", (thing.__doc__ and inspect.getdoc(thing)) or ""
            for method, function in inspect.getmembers(thing, inspect.isfunction):
                if not method.startswith("_"):
                    yield f"{package.__name__}.{name}.{method}", inspect.getdoc(function) or ""


def code_blocks(doc: str) -> Iterator[str]:
    """Paragraphs that are indented as a whole and are Python: literal blocks, no sections."""
    for paragraph in doc.split("\n\n"):
        lines = paragraph.splitlines()
        if not lines or not all(line.startswith("    ") for line in lines):
            continue
        block = textwrap.dedent(paragraph)
        try:
            tree = ast.parse(block)
        except SyntaxError:
            continue
        if any(not isinstance(node, ast.Expr | ast.AnnAssign) for node in tree.body):
            yield block


EXAMPLES = sorted(
    {
        (name, block)
        for name, doc in documented()
        for block in code_blocks(doc)
        if not any(device in block for device in _DEVICES)
    }
)


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(("name", "block"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_example(name: str, block: str) -> None:
    frame = read_image("photo.jpg")
    engine = MakeupEngine(look="red.look")
    exec(compile(block, name, "exec"), vars(makeup_sdk) | {"frame": frame, "engine": engine})


def test_the_engine_has_an_example() -> None:
    assert "makeup_sdk.MakeupEngine" in {name for name, _ in EXAMPLES}


def modules() -> Iterator[ModuleType]:
    """The modules of the run-time packages that import without further packages."""
    for package in (makeup_kernels, makeup_engines, makeup_sdk):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            try:
                yield importlib.import_module(info.name)
            except ImportError:  # an optional package is not installed
                continue


def test_doctests() -> None:
    failed = {
        module.__name__: result.failed
        for module in modules()
        if (result := doctest.testmod(module)).failed
    }
    assert failed == {}


PUBLIC = [package.__name__ for package in PACKAGES]
PUBLIC += [f"makeup_sdk.{name}" for name in ("catalogue", "cosmetics", "faces", "shades")]


@pytest.mark.parametrize("package", PUBLIC)
def test_the_reference_has_every_public_name(package: str) -> None:
    if package == "makeup_sdk.catalogue":
        pytest.importorskip("pyarrow", reason="needs the catalogue extra")
    folder = Path(__file__).parents[2] / "docs" / "reference"
    reference = "\n".join(page.read_text(encoding="utf-8") for page in folder.glob("*.md"))
    names = importlib.import_module(package).__all__
    assert [name for name in names if not re.search(rf"\b{name}\b", reference)] == []


def undocumented(name: str, thing: object) -> Iterator[str]:
    """What of a public class or function has no docstring; attributes may stand in the class's."""
    doc = inspect.getdoc(thing) or ""
    if not doc:
        yield name
    for key, member in vars(thing).items() if inspect.isclass(thing) else ():
        inner = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if key.startswith("_") or not inspect.isfunction(inner) or inspect.getdoc(inner):
            continue
        if not (isinstance(member, property) and re.search(rf"\b{key}\b", doc)):
            yield f"{name}.{key}"


def test_every_public_name_has_a_docstring() -> None:
    things = [(name, getattr(package, name)) for package in PACKAGES for name in package.__all__]
    checked = [pair for pair in things if inspect.isclass(pair[1]) or inspect.isfunction(pair[1])]
    assert len(checked) > 80
    assert [gap for name, thing in checked for gap in undocumented(name, thing)] == []


def test_a_gap_is_found() -> None:
    class Documented:
        """It has `size`."""

        @property
        def size(self) -> int:
            return 0

        def run(self) -> None:
            pass

    assert list(undocumented("Documented", Documented)) == ["Documented.run"]
