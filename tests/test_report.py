"""The report is one page that needs nothing else and shows what the lake holds."""

import re
from html.parser import HTMLParser
from pathlib import Path

from unidino import systems
from unidino.catalog import Lake
from unidino.embed import embed
from unidino.report import report
from unidino.score import score


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [
            value or "" for name, value in attrs
            if name in ("src", "href", "xlink:href")
            and not (value or "").startswith(("#", "data:"))
        ]  # fmt: skip


def test_a_report_shows_scores_images_and_channels(lake: Lake, tmp_path: Path) -> None:
    systems.create(lake, "gaussian")
    embed(lake, "gaussian")
    score(lake, ["nsc"])
    page = report(lake, tmp_path / "report.html").read_text()
    parser = _Links()
    parser.feed(page)
    assert parser.outside == []
    assert parser.tags.count("svg") == 3
    for text in ("In this lake", "tiny", "NSC", "Tubulin", "topoisomerase inhibitor"):
        assert text in page


def test_a_lake_without_embeddings_has_a_report(lake: Lake, tmp_path: Path) -> None:
    page = report(lake, tmp_path / "report.html").read_text()
    assert "Scores" not in re.findall(r"<h2>(.*?)</h2>", page)
    assert "In this lake" in page


def test_names_from_the_data_are_escaped(lake: Lake, tmp_path: Path) -> None:
    lake.execute("update plate set dataset = '<script>alert(1)</script>'")
    page = report(lake, tmp_path / "report.html").read_text()
    assert "<script>" not in page
