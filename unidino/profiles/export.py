"""Profiles as a wide table for other tools: a row for each profile, a column for each feature.

Columns of metadata are named Metadata_..., as pycytominer, copairs and CytoTable expect; AnnData
has them as observations. Shapes: N profiles, D features.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError
from unidino.core.files import written_beside
from unidino.lake.lake import Lake
from unidino.profiles.groups import Group, groups

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".arrow", ".feather", ".h5ad")
_NOT_METADATA = ("key", "channels")


@dataclass(frozen=True)
class Exported:
    """What was written."""

    file: str
    num_profiles: int
    num_features: int


def export(
    lake: Lake,
    file: Path,
    model: str,
    *,
    normalize: str = "mad_robustize",
    level: str = "well",
    datasets: Sequence[str] = (),
    channels: Sequence[str] = (),
    where: str | None = None,
) -> Exported:
    """Write the profiles of a model, those that are missing made, in the format of the file's name.

    normalize, level, channels, where: see `score.score`. datasets: names; default all.
    Raises InputError for a format that is none of SUFFIXES, and ProfileError if datasets differ in
    their features or nothing fits.
    """
    if not file.name.lower().endswith(SUFFIXES):
        raise InputError(f"cannot write '{file}'; its name must end in {', '.join(SUFFIXES)}")
    found = [
        g
        for g in groups(lake, [model], normalize, level, where, channels, datasets)
        if len(g.vectors)
    ]
    if not found:
        raise ProfileError("no profile fits --where")
    names = [_feature_names(lake, group) for group in found]
    for group, own in zip(found, names, strict=True):
        if own != names[0]:
            raise ProfileError(
                f"'{found[0].made.dataset}' ({'+'.join(found[0].channels)}) and"
                f" '{group.made.dataset}' ({'+'.join(group.channels)}) differ in their features;"
                " choose one by --dataset, or channels that both have"
            )
    metadata = pl.concat([_metadata(group.metadata) for group in found])
    vectors = np.concatenate([group.vectors for group in found])
    with written_beside(file) as path:
        _write(path, file.name.lower(), metadata, vectors, names[0])
    return Exported(str(file), *vectors.shape)


def _feature_names(lake: Lake, group: Group) -> list[str]:
    """Names (D,) of the features: of the channels that were chosen, all if they were not."""
    rows = lake.look_up("select details from part where uri = $uri", {"uri": group.made.uri})
    names: list[str] = json.loads(rows["details"][0])["features"]
    if len(names) == group.vectors.shape[1]:
        return names
    kept = set(group.channels)
    return [name for name in names if name.rpartition("_")[0] in kept]


def _metadata(table: pa.Table) -> pl.DataFrame:
    """Columns that say what a profile is, without those that are empty by nature."""
    frame = pl.DataFrame(table.drop_columns(list(_NOT_METADATA)))
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
        text = wide.write_csv().encode()
        path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


def _write_anndata(
    path: Path, metadata: pl.DataFrame, vectors: NDArray[Any], names: Sequence[str]
) -> None:
    try:
        import anndata
        import pandas as pd
    except ImportError as error:
        raise InputError("writing .h5ad needs anndata: pip install 'unidino[anndata]'") from error
    # A column without any value has no type that the file format knows.
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
