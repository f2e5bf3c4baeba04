"""The page over a lake as one uses it: in a browser, by mouse and keys."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from unidino.explorer.explore import explore
from unidino.lake.lake import Lake

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not at hand")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not at hand")
_PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = explore(Lake.open(folder), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.url
    finally:
        server.close()
        thread.join(timeout=20)


@pytest.fixture(scope="module")
def url(profiled: Path) -> Iterator[str]:
    with served(profiled) as url:
        yield url


@contextmanager
def opened(browser: Any, url: str, link: str | None = None) -> Iterator[Any]:
    """A page that must neither ask another host, nor get an error, nor write one.

    link: an address to open after the first visit.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    troubles: list[str] = []
    host = urlsplit(url).netloc
    page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda r: troubles.append(r.url) if urlsplit(r.url).netloc not in (host, "") else None,
    )
    page.on(
        "response", lambda r: troubles.append(f"{r.status} {r.url}") if r.status >= 400 else None
    )
    page.goto(url)
    if link is not None:
        page.locator("#page").wait_for(state="attached")
        page.goto(link)
    page.locator("#legend .entry").first.wait_for(state="attached")
    try:
        yield page
        assert troubles == []
    finally:
        context.close()


def _click_well(page: Any, row: int, column: int) -> None:
    """Click a well of the plate, by its row and column from 1."""
    x, y = page.evaluate(
        """([row, column]) => {
            const plot = document.querySelector("#plate-map .js-plotly-plot");
            const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
            return [box.left + xaxis._offset + xaxis.l2p(column),
                    box.top + yaxis._offset + yaxis.l2p(row)];
        }""",
        [row, column],
    )
    page.mouse.move(x - 1, y)
    page.mouse.click(x, y)


def _chosen(page: Any, name: str) -> None:
    page.locator("#well-head h2", has_text=name).wait_for()


def _painted(page: Any, where: str) -> list[str]:
    """Sources of the images in a part of the page, once all of them have pixels."""
    page.wait_for_function(
        """(where) => {
            const all = [...document.querySelectorAll(where + " img.pixels")];
            return all.length && all.every((i) => i.complete && i.naturalWidth > 0);
        }""",
        arg=where,
    )
    sources: list[str] = page.evaluate(
        "(where) => [...document.querySelectorAll(where + ' img.pixels')].map((i) => i.src)", where
    )
    return sources


def _planes(sources: list[str]) -> list[str]:
    """The sources of single channels, without composites."""
    return [source for source in sources if urlsplit(source).path == "/image"]


def test_a_click_on_a_well_shows_its_images_and_the_window_changes_their_bytes(
    browser: Any, url: str
) -> None:
    with opened(browser, url) as page:
        _click_well(page, 2, 3)
        _chosen(page, "B03")
        painted = _painted(page, "#well-images")
        before = _planes(painted)
        assert (len(painted), len(before)) == (4, 3)
        assert {parse_qs(urlsplit(s).query)["channel"][0] for s in before} == {
            "DNA",
            "Actin",
            "Tubulin",
        }
        page.get_by_role("slider").nth(1).focus()
        for _ in range(5):
            page.keyboard.press("PageUp")
        page.wait_for_function(
            "(s) => document.querySelector('#well-images img[src^=\"image?\"]').src !== s",
            arg=before[0],
        )
        after = _planes(_painted(page, "#well-images"))
        assert after[1:] == before[1:], "the other channels keep their windows"
        pixels = [page.request.get(source).body() for source in (before[0], after[0])]
        assert pixels[0] != pixels[1]
        composite = page.locator("#well-images img[src^='composite']").get_attribute("src")
        page.locator(".colour-of").first.click()
        page.get_by_role("option", name="magenta", exact=True).click()
        page.wait_for_function(
            "(s) => document.querySelector('#well-images img').getAttribute('src') !== s",
            arg=composite,
        )
        page.locator("#well-images .plane").first.click()
        page.locator("dialog img").wait_for()
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")
        page.locator("#pick").click()
        page.get_by_text("Picked 1").click()
        page.locator("#picked-table td", has_text="B03").wait_for()


def test_neighbours_obey_the_rule_and_can_be_chosen(browser: Any, url: str, profiled: Path) -> None:
    wells = Lake.open(profiled).query("select plate, well, compound from well").rows()
    compound = {(plate, well): name for plate, well, name in wells}
    with opened(browser, url) as page:
        _click_well(page, 2, 2)
        _chosen(page, "B02")
        rows = page.locator("#neighbours .row")
        rows.first.wait_for()
        plate = page.locator("#well-head .quiet").first.inner_text()
        shown = [
            (row.locator(".what .quiet").inner_text(), row.locator(".go b").inner_text())
            for row in rows.all()
        ]
        assert shown
        assert all(p != plate for p, _ in shown)
        assert all(compound[key] != compound[plate, "B02"] for key in shown)
        similar = [float(text) for text in page.locator("#neighbours .number").all_inner_texts()]
        assert similar == sorted(similar, reverse=True)
        # Wells of other plates have windows of their own, unless one wants the same on all.
        assert not any("low=" in source for source in _painted(page, "#neighbours"))
        page.get_by_text("Same on all plates").click()
        page.locator("#neighbours img[src*='low=']").first.wait_for(state="attached")
        windows = [
            parse_qs(urlsplit(s).query)["low"] for s in _planes(_painted(page, "#neighbours"))
        ]
        assert windows[:3] == [
            parse_qs(urlsplit(s).query)["low"] for s in _planes(_painted(page, "#well-images"))
        ]
        rows.first.locator(".go").click()
        _chosen(page, shown[0][1])
        page.wait_for_function("(p) => location.search.includes('plate=' + p)", arg=shown[0][0])


def test_a_point_of_the_map_is_its_well(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.locator("#map-count", has_text="12 wells").wait_for()
        page.wait_for_function(
            "() => document.querySelector('#map .js-plotly-plot')?._fullData?.[0]?.x?.length > 1"
        )
        x, y, position = page.evaluate(
            """() => {
                const plot = document.querySelector("#map .js-plotly-plot");
                const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
                const trace = plot._fullData[0];
                return [box.left + xaxis._offset + xaxis.l2p(trace.x[5]),
                        box.top + yaxis._offset + yaxis.l2p(trace.y[5]), trace.customdata[5]];
            }"""
        )
        page.mouse.move(x - 2, y)
        page.mouse.move(x, y)
        page.locator("#map-hover b").wait_for()
        name = page.locator("#map-hover b").inner_text()
        page.mouse.click(x, y)
        _chosen(page, name)
        page.locator("#ring:not([hidden])").wait_for()
        assert 0 <= position < 12


def test_a_condition_filters_and_a_wrong_one_is_said(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.locator("#map-count", has_text="12 wells").wait_for()
        box = page.get_by_label("Only wells where")
        box.fill("control_type = 'trt'")
        box.press("Enter")
        page.locator("#map-count", has_text="8 wells").wait_for()
        page.locator("#legend", has_text="8 of 12 wells fit").wait_for()
        box.fill("control_typo = 1")
        box.press("Enter")
        page.locator("#plate-note", has_text="control_typo").wait_for()
        box.fill("")
        box.press("Enter")
        page.locator("#map-count", has_text="12 wells").wait_for()
        expression = page.get_by_label("or an SQL expression")
        expression.fill("focus_DNA / mean_DNA")
        expression.press("Enter")
        page.locator("#legend .ramp").wait_for()


@pytest.mark.slow
def test_keys_walk_the_plate_and_the_fields_and_open_the_query(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.keyboard.press("ArrowRight")
        _chosen(page, "B02")
        for key, well in (
            ("ArrowRight", "B03"),
            ("ArrowDown", "C03"),
            ("ArrowLeft", "C02"),
            ("ArrowUp", "B02"),
            ("ArrowUp", "B02"),
        ):
            page.keyboard.press(key)
            _chosen(page, well)
        first = _painted(page, "#well-images")
        page.keyboard.press("]")
        page.wait_for_function(
            "(s) => document.querySelector('#well-images img').src !== s", arg=first[0]
        )
        page.keyboard.press("[")
        page.wait_for_function(
            "(s) => document.querySelector('#well-images img').src === s", arg=first[0]
        )
        page.keyboard.press("/")
        page.wait_for_function("() => document.activeElement.id === 'query'")
        page.keyboard.press("Control+A")
        page.keyboard.type("select well, well_row, well_column from well order by all")
        page.keyboard.press("Control+Enter")
        page.locator("#query-note", has_text="12 rows.").wait_for()


def test_queries_are_run_refused_plotted_and_taken_home(
    browser: Any, url: str, tmp_path: Path
) -> None:
    with opened(browser, f"{url}&view=sql") as page:
        box = page.get_by_label("Query")
        box.fill("select range as n, range * range as square from range(12345)")
        page.get_by_role("button", name="Run").click()
        note = page.locator("#query-note")
        page.locator("#query-note", has_text="First 10,000 of 12,345 rows.").wait_for()
        assert page.locator(".ag-row").count() > 5
        page.wait_for_function(
            "() => document.querySelector('#plot .js-plotly-plot')._fullLayout.yaxis.title.text"
            " === 'square'"
        )
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        download.value.save_as(tmp_path / "rows.csv")
        lines = (tmp_path / "rows.csv").read_text().splitlines()
        assert (len(lines), lines[0], lines[-1]) == (12_346, "n,square", "12344,152374336")
        box.fill("drop table well")
        box.press("Control+Enter")
        page.locator("#query-note.error", has_text="drop statements are refused").wait_for()
        assert note.inner_text().count("\n") == 0
        page.wait_for_function("() => !document.querySelector('.ag-center-cols-container .ag-row')")
        assert page.get_by_role("link", name="CSV").count() == 0
        page.locator("#example").click()
        page.get_by_text("Which compounds are in the lake").click()
        page.wait_for_function("() => document.querySelector('#query').value.includes('compound')")
        page.get_by_role("button", name="Run").click()
        page.locator("#query-note:not(.error)", has_text="rows.").wait_for()
        page.locator("#recent-list").click()
        page.get_by_text("range * range").click()
        page.wait_for_function("() => document.querySelector('#query').value.includes('range')")


@pytest.mark.slow
def test_a_link_leads_to_the_same_view(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        _click_well(page, 3, 4)
        _chosen(page, "C04")
        page.locator("#colour").click()
        page.get_by_role("option", name="compound", exact=True).click()
        page.locator("#legend", has_text="DMSO").wait_for()
        page.wait_for_function("() => location.search.includes('colour=compound')")
        page.keyboard.press("Escape")
        link = page.url
        legend = page.locator("#legend").inner_text()
        assert "token" not in link
    with opened(browser, url, link) as page:
        _chosen(page, "C04")
        page.locator("#legend", has_text="DMSO").wait_for()
        assert page.locator("#legend").inner_text() == legend
        assert parse_qs(urlsplit(page.url).query)["well"] == ["C04"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("delete from part; delete from model", "the lake has no model"),
        ("update plate set uri = null", "has no images in the lake"),
        (
            "delete from image where channel <> 'DNA'; delete from channel where channel <> 'DNA'",
            "B02",
        ),
    ],
)
def test_lakes_that_lack_something_say_so(
    browser: Any, profiled: Path, tmp_path: Path, change: str, said: str
) -> None:
    shutil.copytree(profiled, tmp_path / "lake")
    Lake.open(tmp_path / "lake").execute(change)
    with served(tmp_path / "lake") as url, opened(browser, url) as page:
        page.keyboard.press("ArrowRight")
        _chosen(page, "B02")
        page.locator("main", has_text=said).wait_for()
        page.wait_for_load_state("networkidle")
        page.keyboard.press("ArrowRight")
        _chosen(page, "B03")
        assert page.locator("#toast").inner_text() == ""


@pytest.mark.slow
def test_nothing_scrolls_sideways(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.keyboard.press("ArrowRight")
        _chosen(page, "B02")
        for width, height in ((1280, 800), (1440, 900), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            wide = page.evaluate(
                "() => [document.documentElement, document.querySelector('.well')]"
                ".map((e) => e.scrollWidth - e.clientWidth)"
            )
            assert wide == [0, 0]
        labels = page.evaluate(
            "() => [...document.querySelectorAll('input[type=text], textarea, .dash-dropdown')]"
            ".filter((e) => e.id && !document.querySelector(`label[for='${e.id}']`))"
            ".map((e) => e.id)"
        )
        assert labels == []
