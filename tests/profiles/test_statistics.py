"""Statistics that were learnt once are applied to other wells, as one more normalization."""

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import InputError, ProfileError
from unidino.lake.lake import Lake
from unidino.profiles.export import export_profiles
from unidino.profiles.groups import groups
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score


@pytest.fixture
def lake(profiled: Path, tmp_path: Path) -> Lake:
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture
def form(lake: Lake, tmp_path: Path) -> str:
    """A form that applies what the lake's own wells taught."""
    uri = lake.query("select uri from part where kind = 'statistic'").item()
    file = shutil.copy(lake.resolve(uri), tmp_path / "statistics.parquet")
    return f"mad_robustize,statistics={file}"


def test_every_run_reports_the_same_normalization(lake: Lake, form: str) -> None:
    first, second = (profile(lake, Selection(normalize=form))[0] for _ in range(2))
    assert (first.is_new, second.is_new) == (True, False)
    assert first.normalization == second.normalization
    assert first.normalization.startswith("mad_robustize,statistics=")
    assert first.normalization != "mad_robustize"


def test_such_profiles_are_scored_and_exported_by_file_or_by_hash(
    lake: Lake, form: str, tmp_path: Path
) -> None:
    (made,) = profile(lake, Selection(normalize=form))
    for normalize in (form, made.normalization):
        selection = Selection(["gaussian"], normalize=normalize)
        (result,) = score(lake, "nsb", selection)
        assert result.normalization == made.normalization
        assert export_profiles(lake, tmp_path / "out.parquet", selection).num_profiles == 12
    (group,) = groups(lake, Selection(normalize=made.normalization))
    (learnt,) = groups(lake, Selection())
    np.testing.assert_array_equal(group.vectors, learnt.vectors)


def test_profiles_named_by_hash_alone_need_the_file(lake: Lake, form: str) -> None:
    (made,) = profile(lake, Selection(normalize=form))
    name = Path(form.partition("statistics=")[2])
    name.unlink()
    lake.execute("delete from part where kind = 'statistic'")
    assert not profile(lake, Selection(normalize=made.normalization))[0].is_new
    with pytest.raises(ProfileError, match=r"no file of statistics .* name it by --statistics"):
        profile(lake, Selection(normalize=made.normalization, level="treatment"))
    with pytest.raises(InputError, match="no such file of statistics"):
        Selection(normalize=form)


def test_the_command_line_says_what_can_be_scored(lake: Lake, form: str, run_cli) -> None:
    file = form.partition("statistics=")[2]
    at = ("--lake", lake.path, "--json")
    for _ in range(2):
        status, out, _ = run_cli("profile", "--statistics", file, *at)
        assert status == 0
        name = json.loads(out)["normalization"]
        status, out, err = run_cli("score", "--metric", "nsb", "--normalize", name, *at)
        assert (status, json.loads(out)["normalization"]) == (0, name), err


def test_a_run_records_every_argument(lake: Lake, tmp_path: Path) -> None:
    profile(lake, Selection(normalize="standardize", level="treatment"))
    table = tmp_path / "features.csv"
    pl.DataFrame({"plate": ["p"] * 2, "well": ["A01", "A02"], "f": [1.0, 2.0]}).write_csv(table)
    import_profiles(lake, table, "mine", negcon="EtOH", features="^f$", overwrite=True)
    told = {
        command: json.loads(arguments)
        for command, arguments in lake.query(
            "select command, arguments from run where command in ('profile', 'import-profiles')"
            " order by started"
        ).iter_rows()
    }
    for command, verb in (("profile", profile), ("import-profiles", import_profiles)):
        named = set(told[command]) - {"folder"}
        assert named == set(inspect.signature(verb).parameters) - {"lake"}
    assert told["profile"]["selection"] == {"level": "treatment", "normalize": "standardize"}
    assert (
        told["import-profiles"]
        | {
            "negcon": "EtOH",
            "features": "^f$",
            "overwrite": True,
            "dataset": None,
        }
        == told["import-profiles"]
    )


def test_a_table_of_something_else_is_refused(lake: Lake, tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    embeddings = lake.query("select uri from part where kind = 'embedding' limit 1").item()
    for file in (tmp_path / "a.parquet", lake.resolve(embeddings), Path(__file__)):
        with pytest.raises(InputError, match="has no statistics"):
            profile(lake, Selection(normalize=f"mad_robustize,statistics={file}"))


def test_statistics_of_another_normalization_are_refused(lake: Lake, form: str) -> None:
    with pytest.raises(ProfileError, match=r"learnt median_mad .* asks for mean_sd"):
        profile(lake, Selection(normalize=form.replace("mad_robustize", "standardize")))
    with pytest.raises(ProfileError, match="learnt nothing in step 2"):
        profile(lake, Selection(normalize=form.replace("mad_robustize", "mad_robustize+spherize")))
