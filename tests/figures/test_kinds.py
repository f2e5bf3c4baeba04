"""Every kind of figure is drawn from a lake, of the profiles and questions that are chosen."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from figure_checks import drawn_texts

from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.embeddings.embed import embed
from unidino.figures import kinds
from unidino.figures.plates import plate_values
from unidino.figures.profiles import similarity_figure
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.question import Question


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_kind_is_plotted_from_the_lake(own_full: Lake, kind: str, tmp_path: Path) -> None:
    options = {"method": "pca"} if kind == "map" else {}
    path = tmp_path / f"{kind}.svg"
    kinds.plot(own_full, kind, output=path, **options)
    assert path.read_text().count("<text") > 3


def test_vectors_whose_model_is_not_registered_are_said(profiled: Path, tmp_path: Path) -> None:
    shutil.copytree(profiled, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    lake.execute("delete from model")
    with pytest.raises(ProfileError, match=r"vectors of gaussian, but no such model; `unidino ch"):
        kinds.plot(lake, "map", method="pca")


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
    own_full: Lake, tmp_path: Path
) -> None:
    selection = Selection(["first"], where="control_type = 'trt'")
    one = kinds.plot(own_full, "map", selection, colour="batch", method="pca")
    two = kinds.plot(
        own_full, "map", selection, color="batch", method="pca", output=tmp_path / "a.svg"
    )
    assert [t for t, _, _ in drawn_texts(one)] == [t for t, _, _ in drawn_texts(two)]
    assert "batch" in (tmp_path / "a.svg").read_text()
    texts = {t for t, _, _ in drawn_texts(kinds.plot(own_full, "scores", asked="nscb"))}
    assert any(t.startswith("NSCB, moa of each well") for t in texts)
    assert not any(t.startswith("NSC,") for t in texts)
    three = Question("nscb", neighbours=3)
    with pytest.raises(ProfileError, match="the lake has no score"):
        kinds.plot(own_full, "scores", asked=[three])
    score(own_full, three, Selection(["first"]))
    assert kinds.plot(own_full, "scores", asked=three)
    assert {t for t, _, _ in drawn_texts(kinds.plot(own_full, "scores", asked="nscb"))} == texts
    published = Question("nsc", "published")
    with pytest.raises(ProfileError, match="the lake has no score"):
        kinds.plot(own_full, "scores", asked=[published])


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
