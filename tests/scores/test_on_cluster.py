"""Scores by the workers of a dask cluster: those of one process, to the last bit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import unidino as ud
from unidino.core.cluster import connected
from unidino.core.errors import InputError, LakeError
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.profiles.groups import stored_groups
from unidino.profiles.stored import StoredVectors
from unidino.scores import on_cluster
from unidino.scores.accuracy import LakeScore
from unidino.scores.candidates import candidates
from unidino.scores.neighbours import nearest
from unidino.scores.on_cluster import score_on_cluster

NUM, PLATES = 900, 3
Cluster = tuple[str, Path]


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a lake with profiles that are equally similar to many others, or equal."""
    folder = tmp_path_factory.mktemp("tied")
    rng = np.random.default_rng(0)
    place = np.arange(NUM)
    vectors = rng.integers(-2, 3, (NUM, 8)).astype(np.float32)
    vectors[rng.random(NUM) < 0.3] = vectors[0]
    vectors[::50] = np.nan
    vectors[7] = 0
    row, column = np.divmod(place % (NUM // PLATES), 24)
    columns = {
        "plate": [f"p{i}" for i in place % PLATES],
        "well": [f"{chr(65 + r)}{c + 1:02d}" for r, c in zip(row, column, strict=True)],
        "batch": [f"b{i % PLATES % 2}" for i in place],
        "compound": [f"c{i}" for i in rng.integers(0, 40, NUM)],
        "moa": [f"m{i}" for i in rng.integers(0, 5, NUM)],
    }
    columns["well"] = [f"{chr(65 + i // PLATES // 24)}{i // PLATES % 24 + 1:02d}" for i in place]
    table = pl.DataFrame(columns).hstack([pl.Series(f"f{i}", vectors[:, i]) for i in range(8)])
    table.write_parquet(folder / "screen.parquet")
    lake = Lake.create(folder / "lake")
    ud.import_profiles(lake, folder / "screen.parquet", "features")
    ud.profile(lake, ud.Selection(normalize="none"))
    return folder / "lake"


def _bare(scores: Results[LakeScore]) -> list[tuple[object, object]]:
    return [(s.as_json(), s.outcome.to_dicts()) for s in scores]


@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_are_those_of_one_process(
    tied: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, k: int
) -> None:
    monkeypatch.setattr(on_cluster, "_FEWEST", 100)
    monkeypatch.setattr(on_cluster, "_MANY_PAIRS", 2_000)
    question = ud.Question("nscb", neighbours=k)
    lake, chosen = Lake.open(tied), ud.Selection(normalize="none", where="well <> 'A02'")
    (group,) = stored_groups(lake, chosen)
    vectors = group.vectors.read()
    found = candidates(group.metadata, vectors, question)
    assert 100 < len(found.positions) < NUM
    want = nearest(vectors[found.positions], found.keys, found.labels, k=k)
    with connected(cluster[0]) as client:
        workers = on_cluster._Cluster(client, cluster[0], "cpu")
        is_finite, is_zero = workers.directions(group.vectors)
        got = workers.nearest(group.vectors, found, k, "test")
    np.testing.assert_array_equal(is_finite, np.isfinite(vectors).all(axis=1))
    np.testing.assert_array_equal(is_zero, ~vectors.any(axis=1))
    for name, values in vars(want).items():
        np.testing.assert_array_equal(vars(got)[name], values)
    tied_rows = (vectors[found.positions][:, None] == vectors[found.positions]).all(axis=2)
    assert tied_rows.sum(axis=1).max() > 100


def test_a_score_is_that_of_one_process_though_a_worker_dies(
    tied: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_cluster, "_FEWEST", 100)
    asked = ["nsc", ud.Question("nscb", neighbours=3)]
    lake, chosen = Lake.open(tied), ud.Selection(normalize="none")
    want = _bare(ud.score(lake, asked, chosen))
    (cluster[1] / "compare").touch()
    assert _bare(score_on_cluster(lake, asked, chosen, scheduler=cluster[0])) == want
    assert not (cluster[1] / "compare").exists()


def test_channels_and_compounds_that_are_chosen_are_read(
    profiled: Path, cluster: Cluster, tmp_path: Path
) -> None:
    lake = Lake.open(shutil.copytree(profiled, tmp_path / "lake"))
    question = ud.Question("any", label="compound", label_filter="none")
    chosen = ud.Selection(channels=["Actin", "DNA"], compounds=["tiny-01", "tiny-02"])
    want = _bare(ud.score(lake, question, chosen))
    assert want[0][0]["n"] < 8
    assert _bare(score_on_cluster(lake, question, chosen, scheduler=cluster[0])) == want


def test_what_cannot_be_shared_out_is_one_line(
    tied: Path,
    cluster: Cluster,
    run_cli: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = ("--lake", tied, "--scheduler", cluster[0])
    for words, said in (
        (["--metric", "nsc", "--measure", "map"], "--measure map is computed by one process"),
        (["--preset", "insect"], "--preset insect is computed by one process"),
    ):
        status, _, errors = run_cli("score", *words, *where)
        assert status == 1
        assert said in errors
    refit = ud.Selection(normalize="harmony", where="batch = 'b0'")
    with pytest.raises(InputError, match="fitted to the selected profiles in one process"):
        score_on_cluster(Lake.open(tied), "nsc", refit, scheduler=cluster[0])
    monkeypatch.setattr(on_cluster, "_SHARE", 1e-9)
    with pytest.raises(InputError, match=r"need .* MB; start workers with a larger --memory-limit"):
        score_on_cluster(
            Lake.open(tied), "nsc", ud.Selection(normalize="none"), scheduler=cluster[0]
        )


def test_the_command_prints_what_one_process_prints(
    tied: Path, cluster: Cluster, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    words = ("score", "--metric", "nscb", "--normalize", "none", "--lake", tied, "--json")
    status, printed, _ = run_cli(*words)
    assert status == 0
    assert run_cli(*words, "--scheduler", cluster[0])[:2] == (0, printed)


def test_vectors_are_read_in_any_order_and_a_damaged_file_is_one_line(tied: Path) -> None:
    lake = Lake.open(tied)
    (group,) = stored_groups(lake, ud.Selection(normalize="none"))
    some = np.array([70, 3, 500, 4])  # files of earlier versions are not sorted
    np.testing.assert_array_equal(group.vectors.at(some).read(), group.vectors.read()[some])
    beyond = StoredVectors(
        lake.address, group.vectors.uri, np.array([NUM]), group.vectors.channels, ()
    )
    with pytest.raises(
        LakeError, match=r"is missing or damaged .* make it again: `unidino profile"
    ):
        beyond.read()
