"""The pictures of the web page in docs/serving.md: drawn faces, read by models that are served, in a real Chromium.

    python -m facevlm.serve --model runs/quickstart/grpo models='{sft: runs/quickstart/sft}' detector=whole &
    python docs/images/serve.py http://127.0.0.1:8000
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from facevlm.tiny.faces import Scene, look, render

HERE = Path(__file__).parent
AUS: dict[int, float] = {1: 4, 2: 4, 5: 4, 25: 3, 26: 4}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def face() -> bytes:
    """A PNG of a surprised face."""
    file = io.BytesIO()
    render(AUS, look(57), Scene(background=(168, 182, 196), light=-0.3, yaw=0.08), 512).image.save(file, "PNG")
    return file.getvalue()


def read(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("#model option", state="attached")
    page.set_input_files("#file", {"name": "face.png", "mimeType": "image/png", "buffer": face()})
    page.wait_for_selector(".answer", timeout=60_000)


def main(url: str) -> None:
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=next(filter(None, map(shutil.which, BROWSERS))))
        read(browser.new_page(), url)  # engines are slow to answer the first request
        page = browser.new_page(viewport={"width": 1280, "height": 1180}, color_scheme="light")
        read(page, url)
        page.locator(".units button").first.hover()
        page.screenshot(path=HERE / "serve-light.png")
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        read(page, url)
        page.select_option("#other", index=2)
        page.wait_for_selector(".agreement, .columns .problem", timeout=60_000)
        page.screenshot(path=HERE / "serve-dark.png")
        page = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
        read(page, url)
        page.locator(".units button").nth(1).tap()
        page.wait_for_timeout(500)
        page.screenshot(path=HERE / "serve-phone.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
