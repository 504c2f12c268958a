"""The page in a real browser: editing, styles, removed makeup, one face of several."""

import json
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
    settled,
    status,
    violations,
    wait_for_redness,
)

pytestmark = NO_CHROMIUM

SIZES = [(1440, 900), (1280, 800), (820, 1180), (390, 844), (320, 640)]
DIFFERS = """async () => {
  const mirror = await import(new URL("mirror.js", location).href);
  const small = Object.assign(document.createElement("canvas"), {width: 64, height: 64});
  const pen = small.getContext("2d", {willReadFrequently: true});
  pen.drawImage(mirror.wholePicture(), 0, 0, 64, 64);
  return [...pen.getImageData(0, 0, 64, 64).data];
}"""
"""The picture as worn, 64 by 64."""


def picture(page: Any) -> np.ndarray:
    return np.array(page.evaluate(DIFFERS), int).reshape(64, 64, 4)[..., :3]


def pair(path: Path) -> Path:
    """Two demo faces side by side."""
    faces = [read_image(str(DEMO / f"{name}.jpg")) for name in ("light", "medium")]
    cv2.imwrite(str(path), np.hstack(faces))
    return path


def stroke(page: Any, across: float, down: float) -> None:
    """Draw a short line with the pointer; the place is given as shares of the mirror."""
    box = page.locator("#mirror").bounding_box()
    x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
    page.mouse.move(x - 30, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=4)
    page.mouse.up()


def test_a_mouth_from_another_photo(page: Any) -> None:
    choose(page, "bare")
    bare = settled(page)
    open_tab(page, "edit")
    page.locator("#part-reference").set_input_files(str(DEMO / "red-classic.jpg"))
    wait_for_redness(page, above=bare + RED)
    assert (
        page.locator("#part-references [aria-checked=true]").inner_text().strip() == "red-classic"
    )
    page.locator("#compare").click()
    page.locator("#divider").press("End")
    wait_for_redness(page, below=bare + RED / 2, whole=False)
    page.locator("#compare").click()
    with page.expect_download() as saved:
        page.locator("#save").click()
    assert cv2.imread(str(saved.value.path())).shape == (512, 512, 3)
    page.locator("#undo").click()
    wait_for_redness(page, below=bare + RED / 2)
    page.get_by_role("radio", name="Red classic").click()
    wait_for_redness(page, above=bare + RED)
    page.get_by_role("radio", name="Your own").click()
    wait_for_redness(page, below=bare + RED / 2)


def test_what_cannot_be_edited_is_said(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit(expected="422")
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((300, 300, 3), 128, np.uint8))
    open_tab(page, "edit")
    page.locator("#part-reference").set_input_files(str(blank))
    status(page, "No face to borrow from")
    assert page.locator("#part-references [aria-checked=true]").inner_text().strip() == "Your own"
    page.locator("#upload").set_input_files(str(blank))
    status(page, "No face found")
    page.locator("#redraw").click()
    status(page, "This face cannot be edited")
    assert page.locator("#brush").is_hidden()


def test_the_brush_with_pointer_and_keyboard(page: Any) -> None:
    choose(page, "bare")
    settled(page)
    before = picture(page)
    open_tab(page, "edit")
    page.locator("#redraw").click()
    page.locator("#brush").wait_for()
    assert page.evaluate("document.activeElement.dataset.key") == "upper_lip"
    undo, redo, clear = (page.locator(f"#brush-{name}") for name in ("undo", "redo", "reset"))
    assert undo.is_disabled()
    assert page.locator("#brush-apply").is_disabled()
    stroke(page, 0.5, 0.6)
    undo.click()
    assert undo.is_disabled()
    page.keyboard.press("Control+Shift+z")
    assert redo.is_disabled()
    page.keyboard.press("Control+z")
    assert redo.is_enabled()
    page.locator("#brush-tools [data-key=brow]").click()
    page.locator("#brush-size").fill("20")
    easel = page.locator("#easel")
    easel.focus()
    for _ in range(12):
        easel.press("ArrowUp")
    easel.press("Space")
    assert "Arrows draw on" in easel.get_attribute("aria-label")
    for _ in range(6):
        easel.press("ArrowLeft")
    easel.press("Space")
    assert undo.is_enabled()
    assert redo.is_disabled()
    clear.click()
    assert page.locator("#brush-apply").is_disabled()
    undo.click()
    page.locator("#brush-apply").click()
    page.locator("#brush").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "redraw"
    settled(page)
    assert np.abs(picture(page) - before).max() > 20
    page.locator("#undo").click()
    page.wait_for_function("() => !document.getElementById('redraw').classList.contains('has')")
    settled(page)
    assert np.abs(picture(page) - before).max() <= 4
    page.locator("#redraw").click()
    page.locator("#brush").wait_for()
    assert page.locator("#brush-reset").is_disabled()  # undone here too
    open_tab(page, "looks")
    assert page.locator("#easel").is_hidden()


def test_a_still_of_the_camera_can_be_edited(page: Any) -> None:
    open_tab(page, "edit")
    page.get_by_role("button", name="Start camera").click()
    page.get_by_text("Editing works on a still picture").wait_for()
    assert page.locator("#edit-swap").is_hidden()
    page.wait_for_function("() => document.getElementById('meter').textContent.includes('fps')")
    page.get_by_role("button", name="Take a still").click()
    page.locator("#edit-swap").wait_for()
    page.get_by_role("button", name="Start camera").wait_for()
    page.get_by_role("radio", name="Red classic").click()
    page.locator("#edit-parts .has").wait_for()


def test_styles_take_the_place_of_looks(visit: Callable[..., Any]) -> None:
    page = visit()
    choose(page, "berry")
    open_tab(page, "adjust")
    page.locator('#models [data-key="region-gan"]').click()
    page.wait_for_function(
        """() => document.querySelector('#models [data-key="region-gan"] .time').textContent"""
    )
    open_tab(page, "looks")
    names = page.locator("#tiles [role=radio]").all_inner_texts()
    shown = [name.strip() for name in names]
    assert shown == ["No makeup", "Retro", "Korean", "Japanese", "Smoky", "Colourful"]
    assert page.locator("#from-photo").count() == 0
    assert page.locator("#mix").is_hidden()
    assert page.locator("#look-file").is_hidden()
    retro = settled(page)
    choose(page, "style smoky")
    wait_for_redness(page, below=retro - RED / 3)
    link = page.evaluate("async () => (await import(new URL('outfit.js', location).href)).link()")
    open_tab(page, "adjust")
    page.locator('#models [data-key="mobile"]').click()
    open_tab(page, "looks")
    assert page.locator("#tiles [aria-checked=true]").get_attribute("data-key") == "berry"
    assert page.locator("#from-photo").count() == 1
    page.locator("#undo").click()
    assert page.locator("#tiles [aria-checked=true]").get_attribute("data-key") == "style smoky"
    other = visit(path=f"#look={link}")
    assert other.locator("#tiles [aria-checked=true]").get_attribute("data-key") == "style smoky"


@pytest.mark.parametrize("removes", [True, False])
def test_taking_makeup_off_is_offered_where_a_model_can(
    visit: Callable[..., Any], removes: bool
) -> None:
    page = visit()
    asked: list[dict[str, Any]] = []

    def models(route: Any) -> None:
        listed = route.fetch().json()
        for model in listed:
            model["removes"] = removes and model["name"] == "psgan"
        route.fulfill(json=listed)

    def apply(route: Any) -> None:
        asked.append(json.loads(route.request.post_data)["outfit"])
        body = json.loads(route.request.post_data)
        if body["outfit"]["look"] == {"bare": True}:
            body["outfit"] = {}
        route.continue_(post_data=json.dumps(body))

    page.route("**/v1/models", models)
    page.route("**/v1/apply", apply)
    page.reload()
    page.locator("#save:enabled").wait_for()
    tile = page.locator('#tiles [data-key="remove"]')
    assert tile.count() == removes
    if removes:
        tile.click()
        settled(page)
        assert (asked[-1]["model"], asked[-1]["look"]) == ("psgan", {"bare": True})
        assert page.locator("#mix").is_hidden()
        choose(page, "berry")
        settled(page)
        assert asked[-1]["model"] == "mobile"


def test_one_face_of_a_photo_wears_the_look(page: Any, tmp_path: Path) -> None:
    choose(page, "red-classic")
    page.locator("#upload").set_input_files(str(pair(tmp_path / "pair.png")))
    rings = page.locator("#faces .ring")
    rings.first.wait_for()
    status(page, "Tap a face")
    settled(page)
    both = picture(page)
    left = rings.nth(0)
    box = left.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#faces .ring[aria-pressed=true]").wait_for()
    assert left.get_attribute("aria-pressed") == "true"
    assert left.get_attribute("aria-label") == "Face 1 of 2: wears the look alone"
    settled(page)
    one = np.abs(picture(page) - both).max(axis=(0, 2))
    assert one[32:].max() > 20
    assert one[:32].max() <= 4
    left.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    settled(page)
    other = np.abs(picture(page) - both).max(axis=(0, 2))
    assert other[:32].max() > 20
    assert other[32:].max() <= 4
    page.keyboard.press("Enter")
    settled(page)
    np.testing.assert_allclose(picture(page), both, atol=4)


def test_each_face_has_edits_of_its_own(page: Any, tmp_path: Path) -> None:
    choose(page, "bare")
    page.locator("#upload").set_input_files(str(pair(tmp_path / "pair.png")))
    page.locator("#people").wait_for(state="hidden")
    settled(page)
    bare = picture(page)
    choose(page, "winged")  # faces are looked for when something is worn
    rings = page.locator("#faces .ring")
    rings.nth(1).press("Enter")
    open_tab(page, "edit")
    page.get_by_role("radio", name="Red classic").click()
    page.locator("#edit-parts .has").wait_for()
    rings.nth(0).press("Enter")
    page.locator("#edit-parts:not(:has(.has))").wait_for()
    page.get_by_role("radio", name="Berry evening").click()
    page.locator("#edit-parts .has").wait_for()
    rings.nth(1).press("Enter")
    page.locator("#part-references [aria-checked=true]", has_text="Red classic").wait_for()
    open_tab(page, "looks")
    choose(page, "bare")
    settled(page)
    changed = np.abs(picture(page) - bare).max(axis=(0, 2))
    assert changed[:32].max() > 20
    assert changed[32:].max() > 20


def test_one_face_of_a_video_wears_the_look(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 10, (640, 320))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write WebM")
    frame = cv2.resize(read_image(str(pair(tmp_path / "pair.png"))), (640, 320))
    for _ in range(20):
        writer.write(frame)
    writer.release()
    page.locator("#upload").set_input_files(str(path))
    page.locator("#faces .ring").nth(1).wait_for()
    choose(page, "bare")
    bare = settled(page)
    page.locator("#faces .ring").first.press("Enter")
    page.locator("#faces.one").wait_for()
    choose(page, "red-classic")
    wait_for_redness(page, above=bare + RED / 2)
    open_tab(page, "adjust")
    page.locator('#models [data-key="psgan"]').click()  # counts faces anew
    page.locator("#faces:not(.one)").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_sizes(
    visit: Callable[..., Any], tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    """Nothing runs over, what changes the face is seen with it, and axe finds nothing."""
    page = visit(viewport={"width": width, "height": height}, color_scheme=scheme)
    for name in ("edit", "brush", "faces"):
        if name == "edit":
            open_tab(page, name)
        elif name == "brush":
            page.locator("#redraw").click()
            page.locator("#brush").wait_for()
        else:
            page.locator("#upload").set_input_files(str(pair(tmp_path / "pair.png")))
            page.locator("#faces .ring").first.wait_for()
            page.locator("#faces .ring").first.press("Enter")
        settled(page)
        keep_picture(page, f"{width}-{scheme}-{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert violations(page) == []
        parts = {"edit": ("#redraw", "#part-references"), "brush": ("#brush-size", "#brush-apply")}
        for part in ("#bar", *parts.get(name, ("#faces .ring",))):
            box = page.locator(part).first.bounding_box()
            assert box["x"] >= 0
            assert box["y"] + min(box["height"], 100) <= height


def test_chinese(visit: Callable[..., Any]) -> None:
    page = visit(locale="zh-CN", viewport=PHONE)
    open_tab(page, "edit")
    assert page.locator("#redraw").inner_text() == "画"
    page.locator("#redraw").click()
    page.locator("#brush").wait_for()
    assert page.locator("#brush-tools").inner_text().split()[0] == "上唇"
    keep_picture(page, "chinese-brush")
