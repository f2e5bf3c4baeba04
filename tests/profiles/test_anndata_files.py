"""AnnData files and stores come in with the matrix that is meant, or are refused in one line."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles

anndata = pytest.importorskip("anndata")
NUM = 12


def _observations() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Plate": ["P1"] * NUM,
            "Well": [f"A{i + 1:02d}" for i in range(NUM)],
            "Compound": pd.Categorical([f"c{i % 3}" for i in range(NUM)]),
        },
        index=[f"o{i}" for i in range(NUM)],
    )


def _data(matrix: Any = "X", names: str = "abc", **parts: Any) -> Any:
    values = np.random.default_rng(0).normal(size=(NUM, len(names)))
    variables = pd.DataFrame(index=pd.Index(list(names), dtype=object))
    observations = parts.pop("obs", _observations())
    observations.index = observations.index.astype(object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.AnnData(
            values if isinstance(matrix, str) else matrix, observations, variables, **parts
        )


def _import(data: Any, folder: Path, layer: str | None = None, ending: str = ".h5ad") -> Any:
    file = folder / f"t{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write_zarr(file) if ending == ".zarr" else data.write_h5ad(file)
    lake = Lake.create(folder / "lake")
    return import_profiles(lake, file, "m", layer=layer)


def _vectors(folder: Path) -> np.ndarray:
    rows = Lake.open(folder / "lake").query("select embedding from embedding order by well")
    return np.stack(rows["embedding"].to_list())


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.sample(3)
def test_files_and_stores_with_every_kind_of_matrix_are_read(
    tmp_path: Path, ending: str, kind: Any
) -> None:
    values = np.random.default_rng(1).normal(size=(NUM, 3))
    done = _import(_data(kind(values)), tmp_path, ending=ending)
    assert (done.num_rows, done.features, done.dataset) == (NUM, ("a", "b", "c"), "t")
    np.testing.assert_allclose(_vectors(tmp_path), values, rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "features", "factor"),
    [
        (None, "a b c", 1),
        ("X", "a b c", 1),
        ("norm", "a b c", 2),
        ("raw", "a b c", 3),
        ("obsm:X_pca", "X_pca_0 X_pca_1", 4),
        ("obsm:frame", "frame_u frame_v", 5),
    ],
)
@pytest.mark.sample(3)
def test_a_layer_is_chosen_by_name(
    tmp_path: Path,
    layer: str | None,
    features: str,
    factor: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "unidino")
    data = _data()
    first = np.array(data.X)
    data.X = first * 3
    data.raw = data.copy()
    data.X = first
    data.layers["norm"] = sparse.csr_matrix(first * 2)
    data.obsm["X_pca"] = first[:, :2] * 4
    data.obsm["frame"] = pd.DataFrame(first[:, :2] * 5, index=data.obs_names, columns=["u", "v"])
    done = _import(data, tmp_path, layer)
    assert done.features == tuple(features.split())
    want = first[:, : done.num_features] * factor
    np.testing.assert_allclose(_vectors(tmp_path), want, rtol=1e-6)
    said = "--layer chooses one of X, norm, raw, obsm:X_pca, obsm:frame"
    assert (said in caplog.text) == (layer is None)


@pytest.mark.parametrize(
    ("data", "layer", "message"),
    [
        (lambda: _data(names="aba"), None, "has several variables named 'a'; make their names"),
        (lambda: _data(None), None, "has no X and no other matrix"),
        (lambda: _data(None, obsm={"e": np.ones((NUM, 2))}), None, "no X; .*--layer: obsm:e"),
        (
            lambda: _data(np.zeros((NUM, 3)), layers={"n": np.ones((NUM, 3))}),
            None,
            "has an X without values other than 0; choose a matrix by --layer: X, n",
        ),
        (lambda: _data(), "counts", "has no layer 'counts'; choose one of X"),
        (lambda: _data(layers={"n": np.ones((NUM, 3))}), "obsm:n", "no layer 'obsm:n'.* X, n"),
        (
            lambda: _data(np.ones((NUM, 1)), names=["Plate"]),
            None,
            "has a variable named 'Plate', which the observations have too",
        ),
    ],
)
def test_what_is_not_certain_is_one_line(
    tmp_path: Path, data: Any, layer: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _import(data(), tmp_path, layer)
    assert "\n" not in str(caught.value)


def test_names_of_observations_are_wells_if_there_are_no_others(tmp_path: Path) -> None:
    wells = _observations().set_index("Well")
    assert _import(_data(obs=wells.rename_axis(None)), tmp_path).num_rows == NUM
    rows = Lake.open(tmp_path / "lake").query("select well from well order by well")
    assert rows["well"].to_list() == _observations()["Well"].to_list()


def test_names_of_observations_can_be_mapped(tmp_path: Path) -> None:
    bare = _observations()[["Compound"]].set_axis([f"P9_A{i + 1:02d}" for i in range(NUM)])
    with pytest.raises(InputError, match=r"no column for the plate \(it has compound, obs_names\)"):
        _import(_data(obs=bare), tmp_path)
    mapped = {"plate": "split_part(obs_names, '_', 1)", "well": "split_part(obs_names, '_', 2)"}
    done = import_profiles(Lake.create(tmp_path / "lake"), tmp_path / "t.h5ad", "m", mapped=mapped)
    assert (done.num_rows, done.num_plates) == (NUM, 1)


def test_observations_of_every_type_are_metadata(tmp_path: Path) -> None:
    more = {
        "flag": [True, False] * 6,
        "code": pd.Categorical([1, 2] * 6),
        "concentration_um": [1.5, np.nan] * 6,
        "n_counts": [3.5] * NUM,
    }
    done = _import(_data(obs=_observations().assign(**more)), tmp_path)
    assert done.features == ("a", "b", "c")
    wells = Lake.open(tmp_path / "lake").query(
        "select concentration_um, extra ->> 'flag' as flag, extra ->> 'code' as code,"
        " extra ->> 'n_counts' as n from well order by well"
    )
    assert wells.rows()[:2] == [(1.5, "true", "1", "3.5"), (None, "false", "2", "3.5")]


def test_files_that_are_no_anndata_are_one_line(tmp_path: Path) -> None:
    import h5py
    import zarr

    (tmp_path / "text.h5ad").write_text("nothing")
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["x"] = 1
    zarr.open_group(tmp_path / "plate.zarr", mode="w").create_group("A")
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "t.csv").write_text("plate,well,a\np,A01,1.5\n")
    lake = Lake.create(tmp_path / "lake")
    for name in ("text.h5ad", "other.h5ad", "plate.zarr", "empty.zarr", "absent.zarr"):
        with pytest.raises(InputError, match=name) as caught:
            import_profiles(lake, tmp_path / name, "m")
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="--layer names a matrix of an AnnData file"):
        import_profiles(lake, tmp_path / "t.csv", "m", layer="X")


def test_observations_of_one_meaning_are_equal_or_refused(tmp_path: Path) -> None:
    observations = _observations().assign(Metadata_Plate=["P1"] * NUM)
    _import(_data(obs=observations), tmp_path)
    observations["Metadata_Plate"] = ["P1"] * (NUM - 1) + ["Q"]
    wanted = "observations 'Plate' and 'Metadata_Plate' differ, as in 'P1' and 'Q'"
    with pytest.raises(InputError, match=wanted):
        _import(_data(obs=observations), tmp_path)
