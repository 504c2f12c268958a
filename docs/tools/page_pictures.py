"""Make the pictures of the try-on page and of the documentation, in a headless Chromium.

    python docs/tools/page_pictures.py

Needs the extras `serve` and `dev`, and Chromium. Look at the pictures, and commit them.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "images"
_PORT = 8765
_QUALITY = 82
_LOADED = """() => [...document.images].every((image) => {
  const { top, bottom, width } = image.getBoundingClientRect();
  return !width || bottom < 0 || top > innerHeight || image.naturalWidth > 0;
})"""


def main() -> None:
    """Write `page-desktop.jpg`, `page-phone.jpg` and `docs-site.jpg` to `docs/images/`."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    command = [sys.executable, "-m", "makeup_sdk", "serve", "--port", str(_PORT)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            desktop = _opened(browser, address, 1280, 800)
            desktop.locator('#tiles [data-key="editorial"]').click()
            desktop.locator("#compare").click()
            _save("page-desktop", _picture(desktop))
            phones = []
            for tab, scheme in (("looks", "light"), ("products", "dark"), ("edit", "light")):
                phone = _opened(browser, address, 390, 844, scheme)
                phone.locator('#tiles [data-key="red-classic"]').click()
                phone.locator(f"#tab-{tab}").click()
                if tab == "edit":
                    phone.locator("#redraw").click()
                    phone.locator("#brush").wait_for()
                    phone.mouse.move(165, 337)
                    phone.mouse.down()
                    phone.mouse.move(228, 337, steps=6)
                    phone.mouse.up()
                phones.append(cv2.copyMakeBorder(
                    _picture(phone), 0, 0, 0, 24, cv2.BORDER_CONSTANT, value=(255, 255, 255)
                ))  # fmt: skip
            _save("page-phone", np.hstack(phones)[:, :-24])
            _save("docs-site", _site(browser))
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


def _site(browser: Any) -> np.ndarray:
    """The gallery of the documentation, built anew."""
    with TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder]
        subprocess.run(build, cwd=IMAGES.parents[1], check=True)
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.goto((Path(folder) / "gallery" / "index.html").as_uri())
        page.wait_for_function(_LOADED)
        return _screenshot(page)


def _opened(browser: Any, address: str, width: int, height: int, scheme: str = "light") -> Any:
    page = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
    ).new_page()
    for _ in range(100):
        try:
            page.goto(address)
            break
        except Exception:  # the server is still loading its networks
            page.wait_for_timeout(200)
    page.locator("#save:enabled").wait_for()
    return page


def _picture(page: Any) -> np.ndarray:
    """The page after its pictures have loaded and faded in."""
    page.locator("#mirror:not([aria-busy=true])").wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_function(_LOADED)
    page.wait_for_timeout(600)
    return _screenshot(page)


def _screenshot(page: Any) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)


def _save(name: str, picture: np.ndarray) -> None:
    path = IMAGES / f"{name}.jpg"
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    print(f"{path.name}: {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
