"""The Python of every page runs: its blocks one after the other, as a reader would type them.

A block that cannot run here has `<!-- not run: REASON -->` on the line before it.
"""

import re
from pathlib import Path

import pytest

from makeup_engines.tensorrt.targets import TARGETS
from makeup_sdk import read_image

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str]]:
    """Line and text of each block of a page that runs; listings of `examples/` have own tests."""
    text = page.read_text(encoding="utf-8")
    return [
        (text[: match.start(2)].count("\n"), match[2])
        for match in _BLOCK.finditer(text)
        if not match[1] and not match[2].startswith("--8<--")
    ]


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if blocks(page)]


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_page(page: Path) -> None:
    names = {"__name__": "page", "frame": read_image("photo.jpg"), "show": lambda image: None}
    for line, text in blocks(page):
        exec(compile("\n" * line + text, str(page), "exec"), names)


def test_pages_hold_code() -> None:
    assert {"quickstart.md", "concepts.md", "index.md"} <= {page.name for page in PAGES}
    assert len(PAGES) >= 8


def test_only_what_needs_a_device_is_left_out() -> None:
    reasons = [
        reason
        for page in DOCS.rglob("*.md")
        for reason in re.findall(r"<!-- not run: ([^>]+) -->", page.read_text(encoding="utf-8"))
    ]
    assert set(reasons) <= {
        "needs a camera",
        "needs a GPU",
        "needs a Jetson",
        "needs a server",
        "needs a trained model",
    }


def test_the_table_of_jetsons_is_that_of_the_code() -> None:
    page = (DOCS / "howto" / "jetson.md").read_text(encoding="utf-8")
    boards = [target for target in TARGETS.values() if target.machine == "aarch64"]
    for target in boards:
        memory = target.workspace_mib
        shown = f"{memory} MiB" if memory < 1024 else f"{memory // 1024} GiB"
        board = target.title.removeprefix("Jetson ")
        compute, hours = " or ".join(target.compute), target.timeout_s // 3600
        assert f"| `{target.name}` | {board} | {compute} | {shown} | {hours} h |" in page
