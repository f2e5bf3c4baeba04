"""Draws the picture of the explorer: `python docs/explorer.py LAKE`, with the lake of the demo.

It needs playwright and chromium.
"""

import sys
import threading
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from unidino.explorer.explore import explore
from unidino.lake.lake import Lake

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "explore.png"
WELL = "dataset=sim3&model=demo_vit&plate=sim3_b1_p1&well=E03&colour=moa"
_ARE_PAINTED = """() => {
    const all = [...document.querySelectorAll("img.pixels")];
    return all.length > 20 && all.every((image) => image.complete && image.naturalWidth > 0);
}"""


def draw(url: str) -> bytes:
    """The page as PNG: a plate, the map, a well with those beside it, and its neighbours."""
    with sync_playwright() as playwright:
        chromium = "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 1300})
        page.goto(url)
        page.locator("#legend .entry").first.wait_for(state="attached")
        page.goto(f"{url.partition('?')[0]}?{WELL}")
        page.locator("#neighbours img.pixels").first.wait_for()
        page.locator("#size label", has_text="S").click()
        page.mouse.move(5, 5)
        page.wait_for_function(_ARE_PAINTED)
        page.wait_for_timeout(3_000)  # the map moves to its place
        picture = page.screenshot()
        browser.close()
    return picture


def main(lake: str) -> None:
    server = explore(Lake.open(lake), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        picture = Image.open(BytesIO(draw(server.url))).convert("RGB")
    finally:
        server.close()
        thread.join()
    small = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
