"""The site builds without warnings, and its tables match the result files."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("mkdocs", reason="needs the docs extra")
pytest.importorskip("mkdocstrings", reason="needs the docs extra")

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parents[2]


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook, reading results that a test writes to `tmp_path`."""
    module = hook("result_tables")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


def test_every_section_of_the_benchmarks() -> None:
    text = hook("result_tables").on_page_markdown("before\n\n{{ results }}\n\nafter")
    assert text.startswith("before\n\n\n## ")
    assert text.endswith("\n\nafter")
    assert "# Benchmark results" not in text
    assert "Elsewhere" not in text


def test_metrics_table(tables: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text(json.dumps({"a": {"b_c": 0.81234, "d": {"e": 1234.5}}}))
    assert tables.table("metrics", "toy.json", "a").splitlines()[2:] == [
        "| b c | 0.812 |",
        "| d e | 1,234 |",
    ]


def test_models_stand_side_by_side(tables: ModuleType, tmp_path: Path) -> None:
    models = {
        "b": {"core_milliseconds": 7.6, "milliseconds": 6.9, "megabytes": 0},
        "a": {"lips": {"arrival": 0.876, "left": 0.5}, "megabytes": 1.92},
    }
    (tmp_path / "toy.json").write_text(json.dumps({"models": models}))
    assert tables.table("arrivals", "toy.json").splitlines()[2:] == [
        "| `a` | 0.88 / 0.50 |  |  |  |  |  | 1.9 |",
        "| `b` |  |  |  |  | 8 | 7 | 0.0 |",
    ]


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("{{ metrics gone.json }}", "no such result file; run the benchmark that writes it"),
        ("{{ metrics toy.json b }}", "has no 'b'; there are a"),
    ],
)
def test_a_table_without_numbers_stops_the_build(
    tables: ModuleType, tmp_path: Path, marker: str, message: str
) -> None:
    (tmp_path / "toy.json").write_text('{"a": {"n": 1}}')
    with pytest.raises(PluginError, match=message):
        tables.on_page_markdown(marker)


def test_command_line_reference() -> None:
    text = hook("command_line").on_page_markdown("# x\n\n{{ command line }}")
    assert "## makeup apply" in text
    assert "## makeup look encode" in text
    assert "| `--output`, `-o` | Image for one photo, else a folder; by default beside" in text


def test_site_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the command line reference needs the train extra")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(site)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert len(pages) > 35
    marker = re.compile(r"\{\{ (results|metrics|arrivals|training|command line)")
    assert [str(path) for path, text in pages.items() if marker.search(text)] == []
    engine = (site / "reference" / "engine" / "index.html").read_text(encoding="utf-8")
    assert "process_detailed" in engine
    assert (site / "results" / "training" / "psgan.jpg").is_file()
    assert not (site / "tools").exists()


def test_observations_are_those_of_the_recipe() -> None:
    notes = "x\n\n- **psgan, ssat**: soft\n  pictures.\n- **psgan-sr**: spots.\n\nEnd."
    of = hook("result_tables").observations
    assert list(of(notes, "ssat")) == ["soft pictures."]
    assert list(of(notes, "psgan-sr")) == ["spots."]
    assert list(of(notes, "psgan-pose")) == []
