"""Draws the demo portraits into `portraits/`: `python -m personas.demo.art.render`, by hand, with Chromium."""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from personas.demo.art import people

OUT = Path(__file__).parent.parent / "portraits"
_PAGE = "<style>body{{margin:0}}svg{{display:block;width:768px;height:1024px}}</style>{svg}"


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 768, "height": 1024})
        for name, draw in people.PORTRAITS.items():
            page.set_content(_PAGE.format(svg=draw()))
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            picture.save(OUT / f"{name}.webp", quality=86, method=6)
        browser.close()


if __name__ == "__main__":
    main()
