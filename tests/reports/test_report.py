"""The report is one page that needs nothing else and shows what the lake holds."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from figure_checks import drawn_texts

from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.core.sql import insert
from unidino.embeddings.embed import embed
from unidino.figures import kinds
from unidino.figures.plates import plate_values
from unidino.figures.profiles import similarity_figure
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import baselines
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.reports.page import Section, TablePart, as_text, render
from unidino.reports.report import report
from unidino.scores.accuracy import score
from unidino.scores.history import latest_scores
from unidino.scores.labels import score_labels
from unidino.scores.question import Question


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


@pytest.fixture(scope="module")
def full(ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with every kind of result."""
    folder = tmp_path_factory.mktemp("full") / "lake"
    shutil.copytree(ingested, folder)
    lake = Lake.open(folder)
    for seed, name in enumerate(("first", "second")):
        baselines.create_model(lake, "gaussian", name=name, seed=seed)
        embed(lake, name)
    channels = ("DNA", "Actin", "Tubulin")
    score(lake, ["nsc", "nscb"])
    for channel in channels:
        score(lake, ["nsc"], channels=[channel])
        score(lake, ["nsc"], channels=[c for c in channels if c != channel])
    score_labels(lake, "map", ["nsc"])
    run = Run("test", {})
    own = {"normalization": "mad_robustize", "dataset": "tiny", "run_id": run.run_id}
    shares = [
        own
        | {
            "model": m,
            "level": "well",
            "label": "moa",
            "class": moa,
            "channel": c,
            "num_profiles": 4,
            "share": s,
            "share_low": s - 0.05,
            "share_high": s + 0.05,
            "expected": 1 / 3,
            "num_seeds": 5,
            "top": 50,
        }
        for m in ("first", "second")
        for moa in ("actin disruptor", "topoisomerase inhibitor")
        for c, s in zip(channels, (0.5, 0.3, 0.2), strict=True)
    ]
    readouts = [
        own
        | {
            "model": "first",
            "level": "compound",
            "stratum": s,
            "readout": f"r{i}",
            "regressor": "random_forest",
            "num_profiles": 9,
            "num_folds": 5,
            "r2": i / 20,
            "r2_unclipped": i / 20,
            "seed": 0,
        }
        for s in ("A549", "ES2")
        for i in range(10)
    ]
    with lake.write() as con:
        run.record(con)
        insert(con, "attribution", shares)
        insert(con, "readout_score", readouts)
    log = lake.path / "models" / "first" / "train.jsonl"
    rows = [{"epoch": e, "loss": 3.0 / (e + 1), "learning_rate": 0.1} for e in range(3)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return lake


SECTIONS = [
    "In this lake",
    "Images",
    "Quality of the images",
    "Models",
    "Scores",
    "Labels",
    "Channels",
    "Readouts",
    "Maps",
    "Similarity of compounds",
    "Replicates and batches",
    "Lineage",
]


def test_a_report_shows_every_kind_of_result(full: Lake, tmp_path: Path) -> None:
    path = report(full, tmp_path / "report.html")
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
        "replicates are nearer",
        "loss",
        "DMSO",
    ):
        assert said in text
    (best,) = {
        s.accuracy
        for s in latest_scores(full)
        if (s.model, s.metric, len(s.channels)) == ("first", "nsc", 3)
    }
    assert f">{best:.3f}<" in text
    assert path.stat().st_size < 2_000_000


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_kind_is_plotted_from_the_lake(full: Lake, kind: str, tmp_path: Path) -> None:
    options = {"method": "pca"} if kind == "map" else {}
    path = tmp_path / f"{kind}.svg"
    kinds.plot(full, kind, output=path, **options)
    assert path.read_text().count("<text") > 3


def test_an_empty_lake_says_what_would_fill_it(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    path = report(lake, tmp_path / "report.html")
    assert checked(path).sections == ["Not here yet"]
    assert "<code>unidino ingest PATH</code>" in path.read_text()


def test_a_lake_without_embeddings_has_a_report(lake: Lake, tmp_path: Path) -> None:
    path = report(lake, tmp_path / "report.html")
    found = checked(path).sections
    assert found == ["In this lake", "Images", "Quality of the images", "Lineage", "Not here yet"]
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


def test_options_that_a_kind_has_not_are_refused(full: Lake) -> None:
    with pytest.raises(InputError, match=r"`plot training` has no --where; it takes --model$"):
        kinds.plot(full, "training", Selection(where="true"))
    with pytest.raises(InputError, match=r"`plot training` has no --colour; it takes --model$"):
        kinds.plot(full, "training", colour="moa")
    with pytest.raises(UnidinoError, match="unknown kind of figure 'pie'; choose one of map"):
        kinds.plot(full, "pie")
    with pytest.raises(UnidinoError, match="unknown column 'colour'; choose one of"):
        kinds.plot(full, "map", colour="colour", method="pca")
    with pytest.raises(UnidinoError, match="unknown model 'third'; choose one of first, second"):
        kinds.plot(full, "scores", Selection(["third"]))
    with pytest.raises(UnidinoError, match="unknown level 'treatment'; choose one of well"):
        kinds.plot(full, "scores", Selection(level="treatment"))
    with pytest.raises(InputError, match="name one --model"):
        kinds.plot(full, "map", Selection(["first", "second"]))


def test_the_figure_itself_comes_back_and_a_file_where_one_is_named(
    full: Lake, tmp_path: Path
) -> None:
    selection = Selection(["first"], where="control_type = 'trt'")
    one = kinds.plot(full, "map", selection, colour="batch", method="pca")
    two = kinds.plot(full, "map", selection, color="batch", method="pca", output=tmp_path / "a.svg")
    assert [t for t, _, _ in drawn_texts(one)] == [t for t, _, _ in drawn_texts(two)]
    assert "batch" in (tmp_path / "a.svg").read_text()
    texts = {t for t, _, _ in drawn_texts(kinds.plot(full, "scores", asked="nscb"))}
    assert any(t.startswith("NSCB, moa of each well") for t in texts)
    assert not any(t.startswith("NSC,") for t in texts)
    published = Question("nsc", "published")
    with pytest.raises(ProfileError, match="the lake has no score"):
        kinds.plot(full, "scores", asked=[published])


def test_a_kind_imports_only_what_it_needs(full: Lake) -> None:
    program = (
        "import sys; from unidino.figures.kinds import plot; from unidino.lake.lake import Lake;"
        f" plot(Lake.open({str(full.path)!r}), 'plate', width_mm=100);"
        " print(*{'torch', 'sklearn', 'scipy', 'umap', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_plates_show_any_sql_of_wells_images_and_profiles(full: Lake) -> None:
    name = full.query("select min(plate_id) from plate").item()
    for value, query in (
        (
            "avg(focus) filter (where channel = 'DNA')",
            "select well_row, well_column, avg(focus) from image join well using (plate, well)"
            " where plate = $p and channel = 'DNA' group by all order by all",
        ),
        (
            "embedding[3]",
            "select well_row, well_column, embedding[3] from profile join well using (plate, well)"
            " where plate = $p and model = 'first' and level = 'well' order by all",
        ),
        ("moa", "select well_row, well_column, moa from well where plate = $p order by all"),
    ):
        selection = Selection(["first"] if "embedding" in value else [])
        (found,) = plate_values(full, value, selection, plates=[name])
        expected = full.query(query, {"p": name}).rows()
        got = found.wells.select("well_row", "well_column", "value").rows()
        assert [r[:2] for r in got] == [r[:2] for r in expected]
        for (_, _, a), (_, _, b) in zip(got, expected, strict=True):
            assert a == (b if isinstance(b, str) or b is None else pytest.approx(b))
    with pytest.raises(InputError, match=r"several values in a well; aggregate it, as in avg"):
        plate_values(full, "focus")
    with pytest.raises(InputError, match='--value "fokus"'):
        plate_values(full, "fokus")
    with pytest.raises(ProfileError, match='no well fits --where "1 = 2"'):
        plate_values(full, "moa", Selection(where="1 = 2"))
    with pytest.raises(UnidinoError, match="unknown plate 'p0'"):
        plate_values(full, "moa", plates=["p0"])


def test_the_command_plots_and_says_what_it_wrote(
    full: Lake, run_cli: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = tmp_path / "scores.pdf"
    status, out, err = run_cli(
        "plot",
        "scores",
        "-o",
        path,
        "--metric",
        "nsc",
        "--model",
        "first",
        "--width-mm",
        "85",
        "--lake",
        full.path,
        "--json",
    )
    assert (status, err) == (0, "")
    assert json.loads(out) == {"plot": str(path), "bytes": path.stat().st_size}
    status, out, err = run_cli("plot", "scores", "-o", tmp_path / "a.gif", "--lake", full.path)
    assert (status, out) == (1, "")
    assert err == "error: unknown format of a figure 'gif'; choose one of png, svg, pdf\n"


def test_similarity_of_several_datasets_asks_which(lake: Lake) -> None:
    lake.execute("update plate set dataset = 'other' where batch = '2'")
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    with pytest.raises(InputError, match="has profiles of other, tiny; choose one by --dataset"):
        similarity_figure(lake)
    figure = similarity_figure(lake, Selection(datasets=["other"], level="compound"))
    assert {t for t, _, _ in drawn_texts(figure)} >= {"other: gaussian, mad_robustize", "DMSO"}
