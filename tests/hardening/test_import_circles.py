"""No import cycles between our modules; lazy and typing imports count too."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "kernels/makeup_kernels",
    "engines/makeup_engines",
    "sdk/makeup_sdk",
    "training/makeup_training",
    "export/makeup_export",
)


def modules(packages: list[Path]) -> dict[str, Path]:
    """Files by the name under which they are imported."""
    found = {}
    for package in packages:
        for path in package.rglob("*.py"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of ours that a file imports at any place; all our imports are absolute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else str(node.module) for name in inner]
        yield from (name for name in names if name in known)


def circle(packages: list[Path]) -> list[str]:
    """The modules of one import circle; empty if there is none."""
    known = modules(packages)
    graph = {name: set(imports(path, known)) - {name} for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle() -> None:
    assert circle([ROOT / package for package in PACKAGES]) == []


@pytest.mark.parametrize(
    "line",
    [
        "import makeup_x.a",
        "from makeup_x import a",
        "def f():\n    from makeup_x.a import g",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from makeup_x.a import g",
    ],
)
def test_a_circle_is_found(line: str, tmp_path: Path) -> None:
    package = tmp_path / "makeup_x"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from makeup_x import b\n")
    (package / "b.py").write_text(line + "\n")
    assert set(circle([package])) == {"makeup_x.a", "makeup_x.b"}
