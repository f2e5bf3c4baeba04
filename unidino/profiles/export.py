"""Profiles as a wide table for other programs: a row per profile, a column per feature.

Metadata columns are named Metadata_..., as pycytominer, copairs and CytoTable expect; in AnnData
they are the observations. Shapes: N profiles, D features.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.feather
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError
from unidino.core.files import written_beside
from unidino.core.log import log
from unidino.core.results import Result
from unidino.core.spreadsheets import computed, guarded
from unidino.lake.lake import Lake
from unidino.lake.overlay import to_compute_in
from unidino.profiles.groups import Group, groups
from unidino.profiles.selection import Selection, nothing_fits

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".arrow", ".feather", ".h5ad")
_LISTS = ("key", "channels")


@dataclass(frozen=True)
class Exported(Result):
    """The file that an export wrote, and its numbers of profiles and features."""

    file: str
    num_profiles: int
    num_features: int


def export_profiles(lake: Lake, file: Path | str, selection: Selection | None = None) -> Exported:
    """The exported file, with the selected profiles of one model.

    file: its suffix sets the format: see SUFFIXES. Metadata columns are named `Metadata_...`.
    Missing profiles are computed.
    Raises InputError for another suffix or several models, ProfileError if no profile is selected
    or datasets differ in their features.

    >>> import unidino as ud
    >>> ud.export_profiles(lake, folder / "profiles.parquet", ud.Selection(models=["gaussian"]))
    Exported(file='...profiles.parquet', num_profiles=12, num_features=1152)
    """
    file = Path(file)
    if not file.name.lower().endswith(SUFFIXES):
        raise InputError(f"cannot write '{file}'; its name must end in {', '.join(SUFFIXES)}")
    lake = to_compute_in(lake)
    found = [group for group in groups(lake, selection or Selection()) if len(group.vectors)]
    if not found:
        raise ProfileError(nothing_fits(selection))
    models = sorted({group.profiled.model for group in found})
    if len(models) > 1:
        raise InputError(f"a file holds profiles of one model; choose one of {', '.join(models)}")
    names = [feature_names(lake, group) for group in found]
    first = found[0]
    for group, features in zip(found, names, strict=True):
        if features != names[0]:
            raise ProfileError(
                f"'{first.profiled.dataset}' ({'+'.join(first.channels)}) and"
                f" '{group.profiled.dataset}' ({'+'.join(group.channels)}) differ in their"
                " features; choose one by --dataset, or channels that both have"
            )
    metadata = pl.concat([_metadata(group.metadata) for group in found])
    vectors = np.concatenate([group.vectors for group in found])
    with written_beside(file) as path:
        _write(path, file.name.lower(), metadata, vectors, names[0])
    return Exported(str(file), *vectors.shape)


def feature_names(lake: Lake, group: Group) -> list[str]:
    """Names (D,) of the features of a group, in the order of its channels."""
    rows = lake.look_up("select details from part where uri = $uri", {"uri": group.profiled.uri})
    names: list[str] = json.loads(rows["details"][0])["features"]
    if group.channels == group.stored_channels:
        return names
    per_channel = len(names) // len(group.stored_channels)
    starts = [group.stored_channels.index(channel) * per_channel for channel in group.channels]
    return [name for start in starts for name in names[start : start + per_channel]]


def _metadata(table: pa.Table) -> pl.DataFrame:
    """The metadata of profiles without their lists, which a wide table cannot hold."""
    frame = pl.DataFrame(table.drop_columns(list(_LISTS)))
    return frame.with_columns(pl.col("normalization").cast(pl.String))


def _write(
    path: Path, name: str, metadata: pl.DataFrame, vectors: NDArray[Any], names: Sequence[str]
) -> None:
    if name.endswith(".h5ad"):
        _write_anndata(path, metadata, vectors, names)
        return
    wide = metadata.rename(lambda column: f"Metadata_{column}").hstack(
        [pl.Series(feature, vectors[:, i]) for i, feature in enumerate(names)]
    )
    if name.endswith(".parquet"):
        wide.write_parquet(path)
    elif name.endswith((".arrow", ".feather")):
        pyarrow.feather.write_feather(wide.to_arrow(), path)
    else:
        if names_of_texts := computed(wide):
            log.warning(
                f"texts of {', '.join(names_of_texts)} that begin with = + - or @ get an apostrophe"
                " before them, so that no spreadsheet computes them; `unidino import-profiles`"
                " takes it away, and .parquet keeps texts as they are"
            )
        text = guarded(wide.with_columns(cs.float().fill_nan(None))).write_csv().encode()
        path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


def _write_anndata(
    path: Path, metadata: pl.DataFrame, vectors: NDArray[Any], names: Sequence[str]
) -> None:
    try:
        import anndata
        import pandas as pd
    except ImportError as error:
        raise InputError("writing .h5ad needs anndata: pip install 'unidino[anndata]'") from error
    # The file format has no type for a column without values.
    there = [column.name for column in metadata if column.null_count() < len(column)]
    index = [str(i) for i in range(len(metadata))]
    observations = pd.DataFrame(
        {name: metadata[name].to_list() for name in there}, index=pd.Index(index, dtype=object)
    )
    features = pd.DataFrame(
        {"channel": [name.rpartition("_")[0] for name in names]},
        index=pd.Index(list(names), dtype=object),
    )
    anndata.AnnData(np.ascontiguousarray(vectors), obs=observations, var=features).write_h5ad(path)
