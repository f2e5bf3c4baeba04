"""AnnData files as tables: observations are metadata, variables are columns of numbers."""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from unidino.core.account import listed
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.text import first_line
from unidino.profiles.feature_columns import METADATA, canonical

if TYPE_CHECKING:
    from anndata import AnnData

_WELL = re.compile(r"[A-Za-z]{1,2}\d{1,3}")
_EMBEDDING = "obsm:"
_SHOWN = 3


def read_anndata(path: Path, layer: str | None) -> pa.Table:
    """The observations, as columns Metadata_..., and one matrix of an AnnData file or Zarr store.

    layer: X, the name of a layer, raw, or obsm:NAME; default: X.
    Raises InputError if the file is none, if the matrix is missing or all zero while there are
    others, or if two columns have one name.
    """
    try:
        data = _opened(path)
        names, values = _matrix(data, path, layer)
        observations = _observations(data)
        _check_names(names, observations, path)
        columns = {name: pa.array(values[:, i]) for i, name in enumerate(names)}
        return pa.table(observations | columns)
    except InputError:
        raise
    except Exception as error:  # h5py, pandas, scipy and zarr raise errors of many kinds
        raise InputError(f"'{path}' is no AnnData file: {first_line(error)}") from error


def _opened(path: Path) -> "AnnData":
    try:
        import anndata
        from anndata.io import read_zarr
    except ImportError as error:
        raise InputError("reading AnnData needs anndata: pip install 'unidino[anndata]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are not unique, which are checked here
        return read_zarr(path) if path.is_dir() else anndata.read_h5ad(path)


def _matrix(data: "AnnData", path: Path, layer: str | None) -> tuple[list[str], Any]:
    """Names (D,) of the columns of a matrix, and the matrix (N, D)."""
    variables = [str(n) for n in data.var_names]
    x = None if data.X is None else _dense(data.X)
    others = [*data.layers, *(["raw"] if data.raw is not None else [])]
    others += [f"{_EMBEDDING}{key}" for key in data.obsm]
    have = ", ".join([*(["X"] if x is not None else []), *others]) or "none"
    if layer is None:
        if others and (x is None or not _has_values(x)):
            what = "no X" if x is None else "an X without values other than 0"
            raise InputError(f"'{path}' has {what}; choose a matrix by --layer: {have}")
        if x is None:
            raise InputError(f"'{path}' has no X and no other matrix of features")
        if others:
            log.info(f"{path.name}: the features are those of X; --layer chooses one of {have}")
    if layer in (None, "X") and x is not None:
        return variables, x
    if layer in data.layers:
        return variables, _dense(data.layers[layer])
    if layer == "raw" and data.raw is not None:
        return [str(n) for n in data.raw.var_names], _dense(data.raw.X)
    key = (layer or "").removeprefix(_EMBEDDING)
    if layer == f"{_EMBEDDING}{key}" and key in data.obsm:
        found = data.obsm[key]
        if hasattr(found, "columns"):
            return [f"{key}_{c}" for c in found.columns], found.to_numpy(dtype=np.float64)
        values = _dense(found)
        return [f"{key}_{i}" for i in range(values.shape[1])], values
    raise InputError(f"'{path}' has no layer '{layer}'; choose one of {have}")


def _dense(matrix: Any) -> Any:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def _has_values(values: Any) -> bool:
    """Whether a value is neither 0 nor missing."""
    return bool((np.isfinite(values) & (values != 0)).any())


def _observations(data: "AnnData") -> dict[str, pa.ChunkedArray]:
    """Columns of the observations; those of numbers are metadata too.

    The names of the observations are the wells if there is no column of wells and all are names of
    wells; they are a column if the wells or plates have none.
    """
    table = pa.Table.from_pandas(data.obs, preserve_index=False)
    columns = {str(c): _values(table[i]) for i, c in enumerate(table.column_names)}
    meant = {canonical(c) for c in columns}
    names = [str(name) for name in data.obs_names]
    title = str(data.obs_names.name or "")
    if not {"plate", "well"} <= meant and names != [str(i) for i in range(len(names))]:
        is_well = "well" not in meant and all(map(_WELL.fullmatch, names))
        fallback = title if title and title not in columns else "obs_names"
        is_well &= canonical(title) is None
        if is_well:
            log.warning(f"the names of the observations, such as {names[0]}, are read as wells")
        columns["Well" if is_well else fallback] = pa.chunked_array([pa.array(names, pa.string())])
    return _with_prefix(columns)


def _with_prefix(columns: dict[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
    """The columns with the prefix Metadata_; of two that get one name, and are equal, one is kept.

    Raises InputError if they differ.
    """
    named: dict[str, pa.ChunkedArray] = {}
    for column, values in columns.items():
        name = column if METADATA.match(column) else f"Metadata_{column}"
        other = named.setdefault(name, values)
        texts = [[None if v is None else str(v) for v in c.to_pylist()] for c in (other, values)]
        if values is not other and texts[0] != texts[1]:
            first = METADATA.sub("", name)
            before, now = next(pair for pair in zip(*texts, strict=True) if pair[0] != pair[1])
            raise InputError(
                f"the observations '{first}' and '{name}' differ, as in '{before}' and '{now}';"
                " drop or rename one of them"
            )
    return named


def _values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _check_names(names: list[str], observations: dict[str, pa.ChunkedArray], path: Path) -> None:
    """Raise InputError for two variables of one name, or a variable named like an observation."""
    twice = [name for name, num in Counter(names).items() if num > 1]
    if twice:
        raise InputError(
            f"'{path}' has several variables named {listed(map(repr, twice), _SHOWN)}; make their"
            " names unique, as var_names_make_unique() does"
        )
    meant = {canonical(c) for c in observations} - {None}
    both = [n for n in names if canonical(n) in meant]
    if both:
        raise InputError(
            f"'{path}' has a variable named {listed(map(repr, both), _SHOWN)}, which the"
            " observations have too; rename one of the two"
        )
