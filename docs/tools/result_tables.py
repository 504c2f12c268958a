"""MkDocs hook: tables from the result files in `benchmarks/results/`, made when the site is built.

A page says where a table goes; no number is copied by hand:

    {{ results }}                       every section of `benchmarks/tables.py`
    {{ metrics faces.json landmarks }}  a nested object of numbers, or one part of it (`a.b`)
    {{ arrivals systems.json }}         models side by side: arrival and left, time, size
    {{ training psgan.json }}           an overfit check, and what its sheet shows

A missing file or part stops the build. Pictures beside the results are served under `results/`.
"""

import importlib.util
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"

_MARKER = re.compile(r"^\{\{ (metrics|arrivals|training) (\S+?)(?: (\S+))? \}\}$", re.MULTILINE)
_EVERYTHING = "{{ results }}"
_PICTURES = (".jpg", ".svg")
_LOCAL_PICTURE = re.compile(r"(!\[[^\]]*\]\()(?!\w+:)")
_ELSEWHERE = "## Elsewhere"
"""Heading of the links to other files, which have their own pages here."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures of the results to the site."""
    for path in sorted(path for path in RESULTS.rglob("*") if path.suffix in _PICTURES):
        name = f"results/{path.relative_to(RESULTS).as_posix()}"
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of a page by tables."""
    if _EVERYTHING in markdown:
        markdown = markdown.replace(_EVERYTHING, everything())
    return _MARKER.sub(lambda match: table(*match.groups()), markdown)


def everything() -> str:
    """What `benchmarks/tables.py` makes of the files that are there, from its first section on."""
    spec = importlib.util.spec_from_file_location("tables", BENCHMARKS / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    with tempfile.TemporaryDirectory() as folder:
        for path in RESULTS.glob("*.json"):
            shutil.copy(path, folder)
        text = tables.write_readme(Path(folder)).read_text(encoding="utf-8")
    sections = text[text.index("\n## ") :].partition(_ELSEWHERE)[0]
    return _LOCAL_PICTURE.sub(r"\1results/", sections)


def table(kind: str, file: str, part: str | None = None) -> str:
    """The Markdown that stands for one marker.

    Raises:
        PluginError: no such result file, or no such part in it.
    """
    path = RESULTS / ("training" if kind == "training" else "") / file
    if not path.is_file():
        raise PluginError(f"{path}: no such result file; run the benchmark that writes it")
    data = json.loads(path.read_text(encoding="utf-8"))
    if kind == "training":
        notes = (path.parent / "README.md").read_text(encoding="utf-8")
        return "\n\n".join([_training(data), *observations(notes, path.stem)])
    if kind == "arrivals":
        return _arrivals(data["models"])
    for key in part.split(".") if part else ():
        if key not in data:
            raise PluginError(f"{path}: has no {key!r}; there are {', '.join(data)}")
        data = data[key]
    return _rows(("measure", "value"), _flat(data))


def _arrivals(models: Mapping[str, Mapping[str, Any]]) -> str:
    """Models side by side; those that take no reference have no arrival."""
    regions = ("lips", "eyes", "skin", "brows")
    rows = []
    for name, facts in sorted(models.items()):
        shares = [facts.get(r) for r in regions]
        cells = ["" if s is None else f"{s['arrival']:.2f} / {s['left']:.2f}" for s in shares]
        clocks = ("core_milliseconds", "milliseconds")
        costs = [f"{facts[c]:.0f}" if c in facts else "" for c in clocks]
        rows.append((f"`{name}`", *cells, *costs, f"{facts['megabytes']:.1f}"))
    return _rows(("arrival / left", *regions, "ms of a core", "ms on all cores", "MB"), rows)


def _training(data: Mapping[str, Any]) -> str:
    """What the last validation of a run says, task by task."""
    last = data["validation"][-1]
    tasks = sorted({key.partition("/")[0] for key in last if "/" in key})
    rows = []
    for task in tasks:
        cells = [task]
        for region in ("lips", "skin", "eyes"):
            before = last.get(f"{task}/before_delta_e_{region}")
            after = last.get(f"{task}/delta_e_{region}")
            known = before is not None and after is not None
            cells.append(f"{before:.1f} → {after:.1f}" if known else "")
        cells.append(f"{last[f'{task}/psnr']:.1f}" if f"{task}/psnr" in last else "")
        rows.append(tuple(cells))
    config = data["config"]
    facts = (
        f"*Width {config['width']}, {config['size']}×{config['size']} crops, {last['step']} steps "
        f"on {config['triples']} triples, which are also the validation set.*"
    )
    return facts + "\n\n" + _rows(("task", "lips ΔE", "skin ΔE", "eyes ΔE", "PSNR dB"), rows)


def observations(notes: str, recipe: str) -> Iterable[str]:
    """What the notes on the training runs say of a recipe: list items that begin with its name."""
    for names, text in re.findall(r"^- \*\*(.+?)\*\*: (.+(?:\n  .+)*)", notes, re.MULTILINE):
        if recipe in names.split(", "):
            yield " ".join(text.split())


def _flat(data: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    """Nested objects as rows of path and value."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _flat(value, f"{prefix} {key.replace('_', ' ')}".strip())
    else:
        yield prefix, _number(data)


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _number(value: Any) -> str:
    """At most four digits, and no exponent."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
