"""SQL that a user wrote comes in by one door, which lets it read the lake and nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from unidino.core.errors import InputError
from unidino.embeddings.embed import embed
from unidino.figures.plates import plate_values
from unidino.lake.lake import Lake
from unidino.lake.samples import query_samples
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.question import Question


@pytest.fixture
def lake(profiled: Path, tmp_path: Path) -> Lake:
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def _rule(lake: Lake, folder: Path, inner: str) -> object:
    (folder / "rule.sql").write_text(
        f"select profile_id, 'batch' as reason, batch as key from candidate where {inner}"
    )
    return score(lake, Question(str(folder / "rule.sql"), label="compound"))


def _wells(lake: Lake, folder: Path, inner: str) -> object:
    (folder / "wells.sql").write_text(f"select * from raw_profile where {inner}")
    return profile(lake, Selection(normalize=f"mad_robustize,wells={folder}/wells.sql"))


def _map(lake: Lake, folder: Path, inner: str) -> object:
    table = folder / "features.csv"
    table.write_text("plate,well,area\np1,A01,1.5\np1,A02,2.5\n")
    return import_profiles(lake, table, "mine", mapped={"batch": f"({inner})::varchar"})


DOORS: dict[str, Callable[[Lake, Path, str], object]] = {
    "rule": _rule,
    "wells": _wells,
    "map": _map,
    "where": lambda lake, _, inner: score(lake, "nsb", Selection(where=inner)),
    "plates": lambda lake, _, inner: embed(lake, "gaussian", where=inner),
    "value": lambda lake, _, inner: plate_values(lake, f"any_value({inner})"),
    "samples": lambda lake, _, inner: query_samples(
        lake, f"select * from training_sample where {inner}", "--samples"
    ),
    "query": lambda lake, _, inner: lake.query(f"select * from well where {inner}"),
}


@pytest.mark.parametrize("door", DOORS)
def test_what_reads_the_lake_passes(lake: Lake, door: str, tmp_path: Path) -> None:
    DOORS[door](lake, tmp_path, "plate is not null")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "inner",
    [
        "(select count(*) from read_text('{secret}')) > 0",
        "(select count(*) from read_csv('{secret}')) > 0",
        "(select count(*) from '{secret}') > 0",
        "true; copy (select 1) to '{stolen}'",
        "true; attach '{stolen}' as x",
        "getenv('HOME') = ''",
    ],
)
def test_what_leaves_the_lake_is_one_line_and_does_nothing(
    lake: Lake, door: str, inner: str, tmp_path: Path
) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    stolen = tmp_path / "stolen.csv"
    text = inner.format(secret=tmp_path / "secret.csv", stolen=stolen)
    with pytest.raises(InputError) as caught:
        DOORS[door](lake, tmp_path, text)
    assert "\n" not in str(caught.value)
    assert not stolen.exists()
