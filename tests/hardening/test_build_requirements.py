"""A new release of a build tool cannot change or break a wheel unseen."""

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="needs the train extra")

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))


def test_what_builds_the_wheel_is_bounded_on_both_sides():
    required = PROJECT["build-system"]["requires"]
    assert {re.match(r"[a-z0-9-]+", line)[0] for line in required} == {
        "scikit-build-core",
        "pybind11",
    }
    for line in required:
        assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+,<\d+", line), line


def test_developers_build_with_the_same_bounds():
    dev = PROJECT["project"]["optional-dependencies"]["dev"]
    assert [line for line in PROJECT["build-system"]["requires"] if "pybind11" in line] == [
        line for line in dev if "pybind11" in line
    ]
