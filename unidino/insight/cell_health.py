"""The published consensus files of Cell Health, by their names: the paper's Table 5.

`cell_health_median.tsv.gz` has 70 readouts of 119 CRISPR guides in each of three cell lines, and
`cell_painting_median.tsv.gz` the CellProfiler features of the same; the two of `modz` are
consensuses of another kind. All have Metadata_profile_id, Metadata_pert_name (the guide) and
Metadata_cell_line. Shapes: P consensus profiles, D features.

Source: Way et al. 2021, doi 10.1091/mbc.E20-12-0784, and its repository broadinstitute/cell-health
(1.generate-profiles/data/consensus); Morelli et al. 2025, section 2.3.3 and Table 5.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.insight import readout_tables
from unidino.profiles.groups import Group
from unidino.profiles.profile import Profiled

DATASET = "cell-health"
# Columns of the files whose name says nothing of their meaning, as `wide.parse_map` gives them.
MAPPED = {"perturbation": "Metadata_pert_name"}
_KEYS = ("perturbation", "cell_line")
_NAME = re.compile(r"cell_(health|painting)_(median|modz)\.tsv(\.gz)?", re.IGNORECASE)


def is_published(table: Path) -> bool:
    """Whether a file has the name of the published readouts.

    Raises InputError for the name of the published features, which are no readouts.
    """
    found = _NAME.fullmatch(table.name)
    if found and found[1].lower() == "painting":
        raise InputError(
            f"'{table}' has the features of Cell Health; give the readouts beside it,"
            f" --table {_named(table, found, 'health').name}"
        )
    return found is not None


def features_beside(table: Path) -> Path | None:
    """The file of published features beside published readouts; None if there is none."""
    found = _NAME.fullmatch(table.name)
    beside = _named(table, found, "painting") if found else table
    return beside if found and beside.is_file() else None


def _named(table: Path, found: re.Match[str], kind: str) -> Path:
    return table.with_name(f"cell_{kind}_{found[2]}.tsv{found[3] or ''}")


def published_groups(features: Path, seed: int = 0) -> list[Group]:
    """The published consensus profiles, and Gaussian numbers in their place, as groups of profiles.

    Models are named `cellprofiler_median` and `gaussian_median`, or with `modz`.
    features: see `features_beside`. seed: of the Gaussian numbers.
    """
    read = readout_tables.read(features, MAPPED, None)
    for column in _KEYS:
        if column not in read.keys.columns:
            raise InputError(
                f"'{features}' has no column for the {column}; the published file has"
                " Metadata_pert_name and Metadata_cell_line"
            )
    missing = pa.nulls(len(read.keys), pa.string())
    metadata = pa.table(
        {
            name: pa.array(read.keys[name].to_list(), pa.string()) if name in _KEYS else missing
            for name in readout_tables.KEYS
        }
    )
    found = _NAME.fullmatch(features.name)
    kind = found[2].lower() if found else ""
    profiled = Profiled(
        f"cellprofiler_{kind}", "none", "treatment", DATASET, len(read.values), {}, True, ""
    )
    log.info(
        f"'{features.name}' lies beside the readouts: its {len(read.values)} profiles of"
        f" {len(read.names)} features are the model {profiled.model}, random numbers in their place"
        f" gaussian_{kind}"
    )
    of_files = Group(profiled, ("features",), ("features",), metadata, read.values)
    random = np.random.default_rng(seed).normal(size=read.values.shape)
    named = replace(profiled, model=f"gaussian_{kind}")
    return [of_files, replace(of_files, profiled=named, vectors=random)]
