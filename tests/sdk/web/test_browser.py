"""The page in a real browser: headless Chromium with a camera that shows a demo face."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from makeup_sdk import read_image

from .conftest import DEMO
from .pages import (
    NO_CHROMIUM,
    PHONE,
    RED,
    choose,
    keep_picture,
    open_tab,
    redness,
    settled,
    status,
    violations,
    wait_for_redness,
)

pytestmark = NO_CHROMIUM


def test_first_visit_shows_a_face_that_wears_a_look(visit: Callable[..., Any]) -> None:
    shifts = """
      window.shifts = 0;
      const add = (list) => list.getEntries().forEach((e) => (window.shifts += e.value));
      new PerformanceObserver(add)
        .observe({type: "layout-shift", buffered: true});"""
    page = visit(script=shifts)
    assert page.locator("#tiles [aria-checked=true]").get_attribute("data-key") == "soft-glam"
    assert page.locator("#meter").is_hidden()
    choose(page, "bare")
    bare = settled(page)
    choose(page, "red-classic")
    wait_for_redness(page, above=bare + RED)
    assert page.evaluate("window.shifts") < 0.01
    loaded = """() => performance.getEntriesByType("resource")
      .filter((e) => e.name.endsWith(".jpg")).length"""
    page.wait_for_load_state("networkidle")
    before = page.evaluate(loaded)
    choose(page, "winged")
    settled(page)
    assert page.evaluate(loaded) == before  # the tiles are marked, not made anew
    outside = """() => performance.getEntriesByType("resource")
      .filter((e) => !e.name.startsWith(location.origin) && !e.name.startsWith("blob:"))"""
    assert page.evaluate(outside) == []
    own = """() => performance.getEntriesByType("resource")
      .filter((e) => /[.](js|css)$/.test(e.name)).reduce((sum, e) => sum + e.decodedBodySize, 0)"""
    assert 0 < page.evaluate(own) < 150_000


def test_camera_strength_compare_save_record_and_stop(page: Any, tmp_path: Path) -> None:
    choose(page, "bare")
    page.get_by_role("button", name="Start camera").click()
    page.locator("#meter:visible").wait_for()
    page.wait_for_function("() => document.getElementById('meter').textContent.includes('fps')")
    bare = settled(page)
    choose(page, "red-classic")
    wait_for_redness(page, above=bare + RED)
    keep_picture(page, "live")
    open_tab(page, "adjust")
    lips = page.locator("#strengths input").first
    lips.fill("0")
    wait_for_redness(page, below=bare + RED / 2)
    lips.fill("100")
    wait_for_redness(page, above=bare + RED)
    page.locator("#compare").click()
    page.locator("#divider").press("End")
    wait_for_redness(page, below=bare + RED / 2, whole=False)
    assert redness(page) > bare + RED  # what is saved has no divider
    with page.expect_download() as saved:
        page.locator("#save").click()
    picture = cv2.imread(str(saved.value.path()))
    assert picture.shape == (480, 640, 3)
    page.locator("#record").click()
    page.locator("#record-time:visible").wait_for()
    page.wait_for_function("() => document.getElementById('record-time').textContent === '0:01'")
    with page.expect_download() as clip:
        page.locator("#record").click()
    film = tmp_path / clip.value.suggested_filename
    clip.value.save_as(film)
    assert film.suffix in (".webm", ".mp4")
    read, frame = cv2.VideoCapture(str(film)).read()
    assert read
    assert frame.shape == (480, 640, 3)
    page.get_by_role("button", name="Stop camera").click()
    page.locator("#meter").wait_for(state="hidden")
    page.get_by_role("button", name="Start camera").wait_for()
    assert page.locator("#record").is_hidden()


def test_photo_with_products_is_saved_in_its_own_size(page: Any, tmp_path: Path) -> None:
    photo = tmp_path / "large.png"
    cv2.imwrite(str(photo), cv2.resize(read_image(str(DEMO / "light.jpg")), (1600, 1600)))
    choose(page, "bare")
    page.locator("#upload").set_input_files(str(photo))
    page.locator("#people").wait_for(state="hidden")
    bare = settled(page)
    open_tab(page, "products")
    page.get_by_role("radio", name="Classic red").click()
    wait_for_redness(page, above=bare + RED)
    page.get_by_role("radio", name="Gloss").click()
    assert page.locator(".shade.gloss").count() > 5
    keep_picture(page, "products")
    with page.expect_download() as saved:
        page.locator("#save").click()
    assert cv2.imread(str(saved.value.path())).shape == (1600, 1600, 3)
    page.get_by_role("button", name="Take off Lipstick").click()
    wait_for_redness(page, below=bare + RED / 2)
    page.locator("#undo").click()
    wait_for_redness(page, above=bare + RED)
    page.keyboard.press("Control+z")  # the finish
    assert page.locator(".shade.satin").count() > 5


def test_own_reference_worn_mixed_and_passed_on(page: Any) -> None:
    page.locator("#reference").set_input_files(str(DEMO / "red-classic.jpg"))
    own = page.locator("#tiles [aria-checked=true]", has_text="red-classic")
    own.wait_for()
    page.locator("#second").select_option("smoky")
    assert page.locator("#share-of-second").is_visible()
    page.locator("#link").click()
    status(page, "has no link")
    with page.expect_download() as saved:
        page.locator("#look-file").click()
    assert saved.value.suggested_filename == "red-classic.look"
    choose(page, "bare")
    page.locator("#upload").set_input_files(
        {
            "name": "mine.look",
            "mimeType": "application/octet-stream",
            "buffer": Path(saved.value.path()).read_bytes(),
        }
    )
    page.locator("#tiles [aria-checked=true]", has_text="mine").wait_for()


def test_a_link_brings_the_look_back(visit: Callable[..., Any]) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    open_tab(page, "products")
    page.get_by_role("button", name="Take off Foundation").click()
    page.get_by_role("radio", name="Fuchsia").click()
    open_tab(page, "looks")
    page.locator("#link").click()
    status(page, "Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    other = visit(path="#" + link.partition("#")[2])
    open_tab(other, "products")
    assert other.get_by_role("radio", name="Fuchsia").get_attribute("aria-checked") == "true"
    assert other.get_by_role("button", name="Take off Foundation").count() == 0
    assert other.get_by_role("button", name="Take off Contour").count() == 1
    visit(path="#look=bm9uc2Vuc2U")  # no look: the page opens as if it were not there


def test_kept_looks_stay_until_they_are_forgotten(page: Any) -> None:
    choose(page, "winged")
    page.locator("#keep").click()
    page.locator("#tiles [aria-checked=true]", has_text="My look 1").wait_for()
    page.reload()
    page.locator("#save:enabled").wait_for()
    page.get_by_role("button", name="Forget My look 1").click()
    assert page.locator("#tiles", has_text="My look 1").count() == 0


def test_keyboard_alone(page: Any) -> None:
    """Arrows choose looks and tabs and move the divider; the mirror's letters; all have names."""
    page.locator("#tiles [aria-checked=true]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tiles [aria-checked=true]").get_attribute("data-key") == "berry"
    assert page.evaluate("document.activeElement.dataset.key") == "berry"
    page.locator("#tab-looks").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#products").is_visible()
    page.locator("#mirror").focus()
    page.keyboard.press("c")
    divider = page.locator("#divider")
    assert divider.is_visible()
    divider.press("ArrowLeft")
    assert divider.get_attribute("aria-valuenow") == "48"
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select")].filter((e) =>
             e.checkVisibility() && !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
             .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_dragging_the_divider_and_holding_the_picture(page: Any) -> None:
    choose(page, "bare")
    bare = settled(page)
    choose(page, "red-classic")
    wait_for_redness(page, above=bare + RED, whole=False)
    box = page.locator("#mirror").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.3
    page.mouse.move(*middle)
    page.mouse.down()
    wait_for_redness(page, below=bare + RED / 2, whole=False)
    page.mouse.up()
    wait_for_redness(page, above=bare + RED, whole=False)
    page.locator("#compare").click()
    page.mouse.move(middle[0] + 10, middle[1])
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, middle[1], steps=4)
    page.mouse.up()
    assert int(page.locator("#divider").get_attribute("aria-valuenow")) > 97
    wait_for_redness(page, below=bare + RED / 2, whole=False)


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("NotAllowedError", "Your camera is blocked"),
        ("NotFoundError", "No camera found"),
        ("NotReadableError", "Your camera is busy"),
        ("", "Cameras need a safe address"),
    ],
)
def test_camera_troubles_are_said_in_plain_words(
    visit: Callable[..., Any], error: str, title: str
) -> None:
    refuse = f"() => Promise.reject(new DOMException('', '{error}'))" if error else "undefined"
    page = visit(script=f"navigator.mediaDevices.getUserMedia = {refuse};")
    page.locator("#camera").click()
    page.get_by_role("alertdialog", name=title).wait_for()
    keep_picture(page, f"advice-{error or 'insecure'}")
    page.keyboard.press("Escape")
    assert page.locator("#advice").is_hidden()


def test_no_face_and_no_picture(page: Any, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((300, 300, 3), 128, np.uint8))
    page.locator("#upload").set_input_files(str(blank))
    status(page, "No face found")
    page.locator("#upload").set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    status(page, "cannot read that picture")


def test_server_gone_and_back(visit: Callable[..., Any]) -> None:
    page = visit(expected="ERR_FAILED")
    page.route("**/v1/apply", lambda route: route.abort())
    choose(page, "berry")
    status(page, "connection was lost")
    page.unroute("**/v1/apply")
    page.wait_for_function("() => !document.getElementById('status-text').textContent")


def test_other_model(page: Any) -> None:
    open_tab(page, "adjust")
    psgan = page.locator('#models [data-key="psgan"]')
    psgan.click()
    page.wait_for_function(
        """() => document.querySelector('#models [data-key="psgan"] .time').textContent"""
    )
    assert page.locator('#models [aria-checked="true"]').get_attribute("data-key") == "psgan"


def test_complexion_of_a_photo(page: Any) -> None:
    open_tab(page, "adjust")
    assert page.get_by_role("slider", name="Complexion").count() == 0
    open_tab(page, "looks")
    choose(page, "photo coral-natural")
    open_tab(page, "adjust")
    before = settled(page)
    page.get_by_role("slider", name="Complexion").fill("100")
    wait_for_redness(page, above=before + 1)


def test_chinese(visit: Callable[..., Any]) -> None:
    page = visit(locale="zh-CN", viewport=PHONE)
    assert page.evaluate("document.documentElement.lang") == "zh"
    assert page.locator("#tab-products").inner_text() == "产品"
    untranslated = """async () => {
      const { languages } = await import(new URL("strings.js", location).href);
      return Object.keys(languages.en).filter((key) => !(key in languages.zh));
    }"""
    assert page.evaluate(untranslated) == []
    open_tab(page, "products")
    keep_picture(page, "chinese")
    open_tab(page, "adjust")
    page.locator("#language").select_option("en")
    assert page.locator("#tab-products").inner_text() == "Products"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("width", "height"), [(1440, 900), (1280, 800), (820, 1180), (390, 844), (320, 640)]
)
def test_sizes(visit: Callable[..., Any], width: int, height: int, scheme: str) -> None:
    """Nothing runs over, face and looks are seen together, and axe finds nothing."""
    size = {"width": width, "height": height}
    page = visit(viewport=size, color_scheme=scheme)
    for name in ("looks", "products", "adjust"):
        open_tab(page, name)
        if name == "adjust":
            page.locator("#compare").click()
        keep_picture(page, f"{width}-{scheme}-{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert violations(page) == []
    open_tab(page, "looks")
    for part in ("#mirror", "#bar", "#tiles", "#tiles [aria-checked=true]"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + min(box["height"], 100) <= height
        assert box["x"] >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reference_of_the_api(browser: Any, address: str, scheme: str) -> None:
    page = browser.new_context(viewport=PHONE, color_scheme=scheme).new_page()
    page.goto(address + "docs/")
    page.locator("#Outfit").wait_for()
    keep_picture(page, f"docs-{scheme}")
    assert "/v1/apply" in page.locator("#calls").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert violations(page) == []
    page.context.close()


def test_sheet_of_a_phone(visit: Callable[..., Any]) -> None:
    """Its handle makes it higher, by a press or by dragging, and then it says what is worn."""
    page = visit(viewport=PHONE)
    open_tab(page, "products")
    low = page.locator("#panel").bounding_box()["height"]
    assert page.locator("#worn").is_hidden()
    page.locator("#handle").click()
    high = page.locator("#panel").bounding_box()["height"]
    assert high > low + 100
    assert page.locator("#worn").is_visible()
    assert page.locator("#mirror").bounding_box()["height"] > 200
    page.locator("#handle").click()
    assert page.locator("#panel").bounding_box()["height"] == low
    box = page.locator("#handle").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 30, box["y"] - 90, steps=4)
    page.mouse.up()
    dragged = page.locator("#panel").bounding_box()["height"]
    assert abs(dragged - low - 100) < 3


def test_uploaded_video_plays_made_up(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 10, (320, 320))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write WebM")
    face = cv2.resize(read_image(str(DEMO / "light.jpg")), (320, 320))
    for _ in range(20):
        writer.write(face)
    writer.release()
    choose(page, "bare")
    page.locator("#upload").set_input_files(str(path))
    page.locator("#meter:visible").wait_for()
    page.wait_for_function("() => document.getElementById('meter').textContent.includes('fps')")
    bare = settled(page)
    choose(page, "red-classic")
    wait_for_redness(page, above=bare + RED)
