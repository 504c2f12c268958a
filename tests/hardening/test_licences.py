"""LICENSES.md covers all dependencies of `pyproject.toml` and all shipped files."""

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

if sys.version_info < (3, 11):
    pytest.importorskip("tomli", reason="needs the train extra")


def load():
    spec = importlib.util.spec_from_file_location(
        "licences", ROOT / "docs" / "tools" / "licences.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_up_to_date():
    licences = load()
    text = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
    assert text == licences.render(), "run python docs/tools/licences.py"


def test_every_dependency_has_a_line():
    """As the installed package names them."""
    table = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| ([a-z0-9-]+) \|", table, re.MULTILINE))
    asked = importlib.metadata.requires("makeup-sdk")
    names = {re.match(r"[A-Za-z0-9._-]+", line)[0] for line in asked} - {"makeup-sdk"}
    assert {"numpy", "torch", "pytest"} <= names
    assert names <= listed
    for folder in (ROOT / "sdk" / "makeup_sdk" / "weights").glob("*/manifest.json"):
        assert folder.parent.name in table


@pytest.mark.parametrize("name", sorted(load().LICENCES))
def test_licences_are_those_that_packages_state(name):
    try:
        stated = importlib.metadata.metadata(name).get("License-Expression")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    if not stated:
        pytest.skip(f"{name} states its licence in words")
    ours = load().LICENCES[name].split(";")[0].removesuffix(" AND others")
    assert set(ours.split(" AND ")) <= set(re.split(r" AND | OR ", stated))


def test_a_dependency_without_a_licence_ends_the_script(monkeypatch):
    licences = load()
    monkeypatch.delitem(licences.LICENCES, "numpy")
    with pytest.raises(SystemExit, match=r"^numpy: no licence in licences\.py"):
        licences.render()


def test_weights_are_open():
    """Everything shipped may be used commercially, and says what it was trained on."""
    licences = load()._weights()
    rows = [line.split(" | ") for line in licences.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 2
    for _, licence, data, _ in rows:
        assert licence == "Apache-2.0"
        assert set(re.findall(r", ([A-Z0-9.-]+)(?:;|$)", data)) <= {"CC0-1.0", "CC-BY-4.0", "MIT"}
