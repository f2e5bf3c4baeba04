"""The report is one page that needs nothing else and shows what the lake holds."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import UnidinoError
from unidino.embeddings.embed import embed
from unidino.figures import kinds
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.reports.page import Section, TablePart, as_text, render
from unidino.reports.report import report
from unidino.scores.history import latest_scores


class Page(HTMLParser):
    """What a browser would find on the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.alternatives: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in ("src", "href", "xlink:href"):
            link = given.get(name)
            if link and link.startswith("#"):
                self.links.append(link[1:])
            elif link and not link.startswith("data:"):
                self.outside.append(link)
        if tag in ("svg", "img"):
            self.alternatives.append(given.get("aria-label") or given.get("alt") or "")
        if "id" in given:
            self.ids.append(given["id"])
        self.open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_data(self, data: str) -> None:
        if self.open and re.fullmatch(r"h\d", self.open[-1]):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    @property
    def sections(self) -> list[str]:
        return [text for level, text in self.headings if level == 2]


def checked(path: Path) -> Page:
    """The page, if it opens without network, its headings are in order and figures have texts."""
    text = path.read_text()
    page = Page(text)
    assert page.outside == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#|['\"]?data:)", text)
    assert [level for level, _ in page.headings] == [1] + [2] * len(page.sections)
    assert all(len(said) > 20 for said in page.alternatives)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)
    return page


SECTIONS = [
    "Summary",
    "In this lake",
    "Images",
    "Quality of the images",
    "Assay quality",
    "Models",
    "Scores",
    "Labels",
    "Known pairs",
    "Mixing of batches",
    "Channels",
    "Dose response",
    "Readouts",
    "Maps",
    "Similarity of compounds",
    "Replicates and batches",
    "Lineage",
]


def test_a_report_shows_every_kind_of_result(own_full: Lake, tmp_path: Path) -> None:
    path = report(own_full, tmp_path / "report.html")
    page = checked(path)
    assert page.sections == SECTIONS
    assert len(page.alternatives) >= 12
    text = path.read_text()
    for said in (
        "tiny",
        "NSC",
        "Tubulin",
        "topoisomerase inhibitor",
        "second − first",
        "A549",
        "Recall of known pairs",
        "Shift of the negative controls",
        "replicates are nearer",
        "loss",
        "DMSO",
    ):
        assert said in text
    (best,) = {
        s.accuracy
        for s in latest_scores(own_full)
        if (s.model, s.metric, len(s.channels)) == ("first", "nsc", 3)
    }
    assert f">{best:.3f}<" in text
    assert path.stat().st_size < 2_000_000


def test_an_empty_lake_says_what_would_fill_it(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    path = report(lake, tmp_path / "report.html")
    assert checked(path).sections == ["Not here yet"]
    assert "<code>unidino ingest PATH</code>" in path.read_text()


def test_a_lake_without_embeddings_has_a_report(lake: Lake, tmp_path: Path) -> None:
    path = report(lake, tmp_path / "report.html")
    found = checked(path).sections
    assert found == [*SECTIONS[:4], "Lineage", "Not here yet"]
    assert "<code>unidino score --metric nsc,nscb</code>" in path.read_text()


def test_one_plate_of_one_channel_and_one_compound_has_a_report(lake: Lake, tmp_path: Path) -> None:
    lake.execute("delete from plate where plate_id <> (select min(plate_id) from plate)")
    for table in ("well", "field", "image", "channel"):
        lake.execute(f"delete from {table} where plate not in (select plate_id from plate)")
    for table in ("image", "channel"):
        lake.execute(f"delete from {table} where channel <> 'DNA'")
    lake.execute("update well set compound = 'one', moa = null, control_type = 'trt'")
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    profile(lake)
    page = checked(report(lake, tmp_path / "report.html"))
    assert "Maps" not in page.sections  # there is no label, and one batch
    assert "Similarity of compounds" not in page.sections
    assert {"Images", "Models"} <= set(page.sections)


def test_imported_profiles_without_images_have_a_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wells = [
        (f"p{p}", f"{'ABCDEFGH'[k // 12]}{k % 12 + 1:02}") for p in range(8) for k in range(96)
    ]
    table = pl.DataFrame(
        {
            "Metadata_plate": [p for p, _ in wells],
            "Metadata_well": [w for _, w in wells],
            "Metadata_compound": [f"c{k % 40}" for k in range(len(wells))],
            "Metadata_moa": [f"m{k % 40 // 4}" for k in range(len(wells))],
            "Metadata_batch": [f"b{p[1:]}" for p, _ in wells],
        }
        | {f"f{i}": rng.normal(size=len(wells)) for i in range(8)}
    )
    table.write_parquet(tmp_path / "wide.parquet")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, tmp_path / "wide.parquet", "theirs")
    profile(lake)
    kinds.plot(lake, "map", output=tmp_path / "map.png", dpi=50, method="pca")
    path = report(lake, tmp_path / "report.html")
    page = checked(path)
    assert {"Maps", "Similarity of compounds", "Replicates and batches"} <= set(page.sections)
    assert not {"Images", "Quality of the images"} & set(page.sections)
    assert ">768<" in path.read_text()
    assert path.stat().st_size < 3_000_000


def test_names_from_the_data_are_escaped(lake: Lake, tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    lake.execute(
        f"update plate set dataset = '{bad}'; update well set compound = '{bad}' || well,"
        f" moa = '\"><img src=x>' || compound"
    )
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    profile(lake)
    page = checked(report(lake, tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert page.outside == []


def test_long_tables_are_folded_and_cut() -> None:
    rows = pl.DataFrame({"a_name": [f"<{i}>" for i in range(1000)]})
    text = render("t", "s", [Section("One", parts=[TablePart(rows, "Many.")])])
    assert text.count("<td") == 300
    assert "The first 300 of 1000." in text
    assert "<details>" in text
    assert "&lt;0&gt;" in text
    assert "a name" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (0.5, "0.500"),
        (0.0, "0.000"),
        (0.00012, "0.00012"),
        (123456.7, "123,457"),
        (1234, "1,234"),
        (True, "True"),
        (["a", "b"], "a, b"),
        (501.3, "501.3"),
    ],
)
def test_values_are_shown_as_people_read_them(value: object, shown: str) -> None:
    assert as_text(value) == shown


def test_a_report_by_compound_sums_up_and_names_commands_that_run(
    lake: Lake, tmp_path: Path
) -> None:
    lake.execute("update well set moa = null")
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    profile(lake)
    path = report(lake, tmp_path / "report.html")
    page = checked(path)
    assert page.sections[0] == "Summary"
    text = path.read_text()
    assert "tiny: 2 plates, 12 wells, 72 images of DNA, Actin, Tubulin" in text
    assert "4 compounds" in text or "5 compounds" in text
    assert "<code>unidino score --not-same plate --label compound</code>" in text
    assert "<code>unidino quality</code>" in text
    checked(report(lake, tmp_path / "compound.html", label="compound"))
    with pytest.raises(UnidinoError, match="unknown normalization of profiles 'tvn'"):
        report(lake, tmp_path / "other.html", normalize="tvn")


def test_no_label_is_listed_twice_where_two_normalizations_are_scored(full: Lake) -> None:
    from unidino.core import assets
    from unidino.figures.scores import of_one_form

    rows = full.look_up(assets.sql("queries", "standard_label_score")).filter(model="first")
    twice = pl.concat([rows, rows.with_columns(normalization=pl.lit("standardize"))])
    shown = of_one_form(twice)
    assert shown["normalization"].unique().to_list() == ["mad_robustize"]
    assert not shown.select("measure", "metric", "class").is_duplicated().any()
