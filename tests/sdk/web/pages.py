"""Actions on the page in a browser."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
NO_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found; install chromium")

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SCREENSHOTS = os.environ.get("MAKEUP_SCREENSHOTS")
"""A folder in which pictures of the page are kept to be looked at."""

REDNESS = """async (whole) => {
  const mirror = await import(new URL("mirror.js", location).href);
  const from = whole ? mirror.wholePicture() : document.getElementById("picture");
  const small = Object.assign(document.createElement("canvas"), {width: 96, height: 96});
  const pen = small.getContext("2d");
  pen.drawImage(from, 0, 0, 96, 96);
  const d = pen.getImageData(0, 0, 96, 96).data;
  const all = [];
  for (let i = 0; i < d.length; i += 4) all.push(d[i] - (d[i + 1] + d[i + 2]) / 2);
  return all.sort((a, b) => b - a)[10];
}"""
"""Red above green and blue, at the tenth of 96×96 points: of lips, if they are red."""
RED = 15
"""What a red lipstick adds to it, at least."""


def redness(page: Any, *, whole: bool = True) -> float:
    return float(page.evaluate(REDNESS, whole))


def settled(page: Any) -> float:
    """The redness once it does not change any more, as after a cross-fade."""
    page.locator("#mirror:not([aria-busy=true])").wait_for()
    last = None
    while last != (last := redness(page)):
        page.wait_for_timeout(300)
    return last


def wait_for_redness(
    page: Any, *, above: float = -999, below: float = 999, whole: bool = True
) -> None:
    """Wait until the redness lies between two values, for at most 200 looks at it."""
    seen = []
    for _ in range(200):
        seen.append(redness(page, whole=whole))
        if above < seen[-1] < below:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"redness stays at {seen[-1]}, expected {above} to {below}")


def choose(page: Any, look: str) -> None:
    page.locator(f'#tiles [data-key="{look}"]').click()


def open_tab(page: Any, name: str) -> None:
    page.locator(f"#tab-{name}").click()


def status(page: Any, text: str) -> None:
    page.wait_for_function(
        "text => document.getElementById('status-text').textContent.includes(text)", arg=text
    )


def keep_picture(page: Any, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"))


def violations(page: Any) -> list[tuple[str, list[str]]]:
    """What axe finds on the page: rules, and the elements that break them."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
