"""The page in a real browser: headless Chromium with a camera that shows a demo face."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from makeup_sdk import read_image

from .conftest import DEMO

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found; install chromium")


@pytest.fixture(scope="module")
def camera_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still face as Motion JPEG, which Chromium plays as its camera."""
    frame = np.full((480, 640, 3), 120, np.uint8)
    frame[:, 80:560] = cv2.resize(read_image(str(DEMO / "light.jpg")), (480, 480))
    jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    path.write_bytes(jpeg * 4)
    return path


@pytest.fixture(scope="module")
def browser(camera_film: Path) -> Iterator[object]:
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera_film}",
    ]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: object, address: str) -> Iterator[object]:
    """The page, opened at desktop width; fails on any console error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})  # type: ignore[attr-defined]
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.locator("#gallery label").nth(4).wait_for()
    yield page
    assert errors == []
    context.close()


MEAN_COLOR = """([x, y]) => {
  const c = document.getElementById("picture");
  const [w, h] = [c.width / 20, c.height / 40];
  const d = c.getContext("2d").getImageData(x * c.width - w / 2, y * c.height - h / 2, w, h).data;
  const sum = [0, 0, 0];
  for (let i = 0; i < d.length; i += 4) for (let k = 0; k < 3; k++) sum[k] += d[i + k];
  return sum.map((v) => v / (d.length / 4));
}"""


def color(page: object, x: float, y: float) -> np.ndarray:
    """Mean RGB of a small window of the picture, at a share of its width and height."""
    return np.array(page.evaluate(MEAN_COLOR, [x, y]))  # type: ignore[attr-defined]


LIPS = (0.5, 0.722)
CORNER = (0.03, 0.05)


def start_camera(page: object) -> None:
    page.get_by_role("button", name="Start camera").click()  # type: ignore[attr-defined]
    page.locator("#save:enabled").wait_for()  # type: ignore[attr-defined]


def wait_for_redness(page: object, comparison: str, value: float) -> None:
    """Wait until red minus green in the lips compares to a value as asked."""
    page.wait_for_function(  # type: ignore[attr-defined]
        f"() => {{ const [r, g] = ({MEAN_COLOR})([{LIPS[0]}, {LIPS[1]}]); "
        f"return r - g {comparison} {value}; }}"
    )


def redness(rgb: np.ndarray) -> float:
    return float(rgb[0] - rgb[1])


def test_camera_look_sliders_and_divider(page: object, tmp_path: Path) -> None:
    start_camera(page)
    bare, corner = redness(color(page, *LIPS)), color(page, *CORNER)
    page.get_by_role("radio").nth(1).check(force=True)  # type: ignore[attr-defined]
    wait_for_redness(page, ">", bare + 20)
    assert np.abs(color(page, *CORNER) - corner).max() < 4
    page.screenshot(path=str(tmp_path / "desktop.png"))  # type: ignore[attr-defined]
    page.locator("#strength-lips").fill("0")  # type: ignore[attr-defined]
    wait_for_redness(page, "<", bare + 10)
    page.locator("#strength-lips").fill("100")  # type: ignore[attr-defined]
    wait_for_redness(page, ">", bare + 20)
    page.locator("#divider").fill("100")  # type: ignore[attr-defined]
    wait_for_redness(page, "<", bare + 10)
    assert "fps" in page.locator("#meter").inner_text()  # type: ignore[attr-defined]
    with page.expect_download() as download:  # type: ignore[attr-defined]
        page.get_by_role("button", name="Save picture").click()  # type: ignore[attr-defined]
    assert download.value.suggested_filename == "makeup.png"


def test_upload_shade_reference_and_mix(page: object) -> None:
    page.locator("#upload").set_input_files(str(DEMO / "medium.jpg"))  # type: ignore[attr-defined]
    page.locator("#save:enabled").wait_for()  # type: ignore[attr-defined]
    page.get_by_role("button", name="Lip shade #5b1f5e").click()  # type: ignore[attr-defined]
    page.wait_for_function("document.getElementById('use-lips').checked")  # type: ignore[attr-defined]
    page.locator("#reference").set_input_files(str(DEMO / "red-classic.jpg"))  # type: ignore[attr-defined]
    own = page.locator("#gallery label", has_text="red-classic.jpg")  # type: ignore[attr-defined]
    own.wait_for()
    assert own.locator("input").is_checked()
    page.locator("#second").select_option("teal-smoky")  # type: ignore[attr-defined]
    assert page.locator("#share").is_enabled()  # type: ignore[attr-defined]


def test_keyboard_alone(page: object) -> None:
    """Tab reaches every control, arrows choose looks, and each control has a name."""
    page.locator("#gallery input").first.focus()  # type: ignore[attr-defined]
    page.keyboard.press("ArrowRight")  # type: ignore[attr-defined]
    assert page.locator("#gallery input").nth(1).is_checked()  # type: ignore[attr-defined]
    nameless = page.evaluate(  # type: ignore[attr-defined]
        """() => [...document.querySelectorAll("button, input, select")].filter((e) =>
             !(e.labels?.length || e.ariaLabel || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_width(browser: object, address: str, scheme: str, tmp_path: Path) -> None:
    context = browser.new_context(  # type: ignore[attr-defined]
        viewport={"width": 390, "height": 844}, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(address)
    page.locator("#gallery label").nth(4).wait_for()
    page.screenshot(path=str(tmp_path / f"phone-{scheme}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()


def test_uploaded_video_plays_made_up(page: object, tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 10, (320, 320))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write WebM")
    face = cv2.resize(read_image(str(DEMO / "light.jpg")), (320, 320))
    for _ in range(20):
        writer.write(face)
    writer.release()
    page.locator("#upload").set_input_files(str(path))  # type: ignore[attr-defined]
    page.locator("#save:enabled").wait_for()  # type: ignore[attr-defined]
    bare = redness(color(page, *LIPS))
    page.get_by_role("button", name="Lip shade #b3123a").click()  # type: ignore[attr-defined]
    wait_for_redness(page, ">", bare + 20)
    assert "fps" in page.locator("#meter").inner_text()  # type: ignore[attr-defined]
