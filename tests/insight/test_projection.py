"""Points of profiles are kept until the profiles or the selection change."""

import inspect
import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unidino.core.errors import ProfileError, UnidinoError
from unidino.core.files import file_sha256
from unidino.insight import projection as module
from unidino.insight.points import points_of
from unidino.insight.projection import project
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection

GAUSSIAN = Selection(models=["gaussian"])


def _where(condition: str) -> Selection:
    return replace(GAUSSIAN, where=condition)


def test_points_are_kept_until_the_profiles_change(
    profiled_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = project(profiled_lake, GAUSSIAN, method="pca")
    assert first.dataset == "tiny"
    assert first.channels == ("DNA", "Actin", "Tubulin")
    assert first.points.height == 12
    wells = profiled_lake.query("select profile_id, plate, well, compound, moa from profile")
    joined = first.points.join(wells, on=wells.columns, nulls_equal=True)
    assert joined.height == 12
    assert first.points.select("x", "y").null_count().sum_horizontal().item() == 0

    def refuse(*_: object) -> None:
        raise AssertionError("projected again")

    with monkeypatch.context() as patch:
        patch.setattr(module, "points_and_method", refuse)
        (again,) = project(profiled_lake, GAUSSIAN, method="pca")
        assert again.points.equals(first.points)
        with pytest.raises(AssertionError, match="projected again"):
            project(profiled_lake, GAUSSIAN, method="pca", seed=1)
    assert check(profiled_lake) == []
    profiled_lake.execute("update part set sha256 = 'of other profiles' where kind = 'profile'")
    monkeypatch.setattr(module, "points_and_method", refuse)
    with pytest.raises(AssertionError, match="projected again"):
        project(profiled_lake, GAUSSIAN, method="pca")


def test_a_condition_chooses_and_has_a_file_of_its_own(profiled_lake: Lake) -> None:
    (every,) = project(profiled_lake, GAUSSIAN, method="pca")
    (some,) = project(profiled_lake, _where("control_type = 'trt'"), method="pca")
    assert (every.points.height, some.points.height) == (12, 8)
    assert set(some.points["control_type"]) == {"trt"}
    with pytest.raises(ProfileError, match="no profile is left to project where moa = 'none'"):
        project(profiled_lake, _where("moa = 'none'"), method="pca")
    with pytest.raises(UnidinoError, match="unknown dataset 'other'; choose one of tiny"):
        project(profiled_lake, Selection(datasets=["other"]))


def test_compounds_and_channels_have_files_of_their_own(profiled_lake: Lake) -> None:
    compounds = profiled_lake.query("select distinct compound from profile where moa is not null")
    name = min(compounds["compound"])
    (some,) = project(profiled_lake, replace(GAUSSIAN, compounds=[name]), method="pca")
    assert set(some.points["compound"]) == {name}
    assert set(some.points["condition"]) == {f"list_contains(['{name}'], compound)"}
    (both,) = project(profiled_lake, replace(_where("well < 'C'"), compounds=[name]), method="pca")
    want = profiled_lake.query(
        f"select profile_id from profile where {both.points['condition'][0]}"
    )
    assert set(both.points["profile_id"]) == set(want["profile_id"])
    (every,) = project(profiled_lake, GAUSSIAN, method="pca")
    (one,) = project(profiled_lake, replace(GAUSSIAN, channels=["Actin"]), method="pca")
    assert (every.channels, one.channels) == (("DNA", "Actin", "Tubulin"), ("Actin",))
    (direct,) = groups(profiled_lake, replace(GAUSSIAN, channels=["Actin"]))
    expected = points_of(direct.vectors, "pca")
    np.testing.assert_array_equal(one.points.select("x", "y").to_numpy(), expected)
    (again,) = project(profiled_lake, replace(GAUSSIAN, channels=["Actin"]), method="pca")
    assert again.points.equals(one.points)
    (mixed,) = project(
        profiled_lake, Selection(normalize="spherize", channels=["DNA"]), method="pca"
    )
    assert mixed.normalization == "spherize,channels=DNA"


def test_the_run_has_every_argument(profiled_lake: Lake) -> None:
    found = project(profiled_lake, GAUSSIAN, method="pca")
    assert found.frame.height == 12
    (arguments,) = profiled_lake.query("select arguments from run where command = 'project'")[
        "arguments"
    ]
    assert set(json.loads(arguments)) == set(inspect.signature(project).parameters) - {"lake"}


def test_the_method_that_was_used_is_said(
    profiled_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    (few,) = project(profiled_lake, _where("profile_id < 3"))
    assert few.method == "pca"
    assert "umap needs 5 profiles that differ, there are 3: pca is used instead" in caplog.text


def test_profiles_of_other_channels_are_projected_apart(profiled_lake: Lake) -> None:
    uri = profiled_lake.query("select uri from part where kind = 'profile'").item()
    path = profiled_lake.resolve(uri)
    rows = pq.read_table(path)
    table = rows.to_pylist()
    for row in table[:4]:
        row["channels"], row["embedding"] = ["DNA"], row["embedding"][:384]
    table[11]["embedding"][0] = float("nan")
    pq.write_table(pa.Table.from_pylist(table, rows.schema), path)
    profiled_lake.execute(f"update part set sha256 = '{file_sha256(path)}' where uri = '{uri}'")
    profiled_lake.execute("delete from file")  # else the profiles are made again
    both = project(profiled_lake, GAUSSIAN, method="pca")
    assert [(p.channels, p.points.height) for p in both] == [
        (("DNA",), 4),
        (("DNA", "Actin", "Tubulin"), 7),
    ]
    dropped = profiled_lake.query("select dropped from part where kind = 'projection'").item()
    assert dropped == '{"nan_feature": 1}'
    points = pl.concat([p.points for p in both])
    assert points["profile_id"].sort().to_list() == list(range(11))


def test_a_lake_elsewhere_keeps_its_points(
    profiled_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = project(profiled_lake, GAUSSIAN, method="pca")
    there = profiled_lake.path.with_name("moved")
    shutil.move(profiled_lake.path, there)
    monkeypatch.setattr(module, "points_and_method", None)
    (again,) = project(Lake.open(there), GAUSSIAN, method="pca")
    assert again.points.equals(first.points)
