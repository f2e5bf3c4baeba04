"""Exclusion rules and label filters: which profiles are scored, and what they may not share.

A rule is a query over `candidate` that gives each profile the keys that it must not share with its
neighbour. Source: Morelli et al. 2025, section 2.3.2; `published` rules are the authors' program's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.reasons import reason_text
from unidino.core.sql import Connection, quoted, scratch, sql_error
from unidino.scores.neighbours import Codes, encode_keys

LABELS = ("compound", "moa", "target", "perturbation", "cell_line")
LABEL_FILTERS = ("reachable", "decoys", "rows", "none")
_METADATA = (
    "source",
    "batch",
    "plate",
    "well",
    "compound",
    "concentration_um",
    "perturbation",
    "moa",
    "target",
    "cell_line",
)


def metrics() -> list[str]:
    """Names of the metrics: the rules in `sql/exclude`."""
    return assets.names("exclude")


def rule_sql(metric: str, rules: str = "text") -> str:
    """The query of a rule.

    metric: a name, a path to an SQL file, or columns after `not same `, such as
    `not same compound, plate`. rules: `text` (the paper's) or `published` (its program's).
    Raises UnidinoError that lists the metrics for an unknown one.
    """
    if metric.startswith("not same "):
        return " union all by name ".join(
            f"select profile_id, '{column}' as reason, {quoted(column)}::varchar as key"
            " from candidate"
            for column in (choose("column", c.strip(), _METADATA) for c in metric[9:].split(","))
        )
    if metric.endswith(".sql"):
        if not Path(metric).is_file():
            raise InputError(f"no such rule file: '{metric}'")
        return Path(metric).read_text(encoding="utf-8")
    choose("metric", metric, metrics())
    choose("rules", rules, ("text", "published"))
    if rules == "published" and metric in assets.names("exclude/published"):
        return assets.sql("exclude/published", metric)
    return assets.sql("exclude", metric)


def default_label(metric: str) -> str:
    """`moa` where neighbours of the same compound are excluded, else `compound`."""
    return "moa" if re.search(r"'compound' as reason", rule_sql(metric)) else "compound"


@dataclass(frozen=True)
class Candidates:
    """The profiles that are scored, in order of profile_id.

    positions: (N,), rows of the profiles in what was given. names: (N,), labels; labels: (N,), the
    same as integers. compounds: (N,), names, empty where there is none. keys: of the rule.
    is_scored: (N,), false for those that are only neighbours of others.
    dropped: profiles that are not scored: reason and count.
    """

    positions: NDArray[np.int64]
    names: NDArray[Any]
    labels: NDArray[np.int64]
    compounds: NDArray[Any]
    keys: list[Codes]
    is_scored: NDArray[np.bool_]
    dropped: dict[str, int]


def candidates(
    metadata: pa.Table,
    vectors: NDArray[Any],
    label: str,
    rule: str,
    *,
    include_controls: bool = False,
    label_filter: str = "reachable",
    unlabelled: str = "drop",
) -> Candidates:
    """What is scored of profiles by a label under a rule.

    metadata: a row per profile with profile_id, the label and what the rule reads. vectors: (N, D),
    in the same order. rule: SQL over `candidate`. label_filter: which labels are left out:
    `reachable` those that no neighbour could match, `decoys` the same but as neighbours of others
    they stay, `rows` those of one profile, `none`.
    unlabelled: `keep` leaves profiles without a label in, for neighbours to look at: their integer
    is 0, and one label is enough.
    Raises ProfileError if no profile is left to score, InputError if the rule fails.
    """
    choose("label filter", label_filter, LABEL_FILTERS)
    con = scratch()
    try:
        con.register(
            "profiles", metadata.append_column("position", pa.array(np.arange(len(vectors))))
        )
        con.execute(
            f"create table candidate as select *, {quoted(label)} as label,"
            " true as is_scored from profiles"
        )
        dropped = _drop(con, vectors, include_controls=include_controls, unlabelled=unlabelled)
        keys = _run_rule(con, rule)
        if label_filter != "none":
            dropped |= _drop_labels(con, label_filter)
        kept = con.sql(
            "select position, profile_id, label, compound, is_scored from candidate"
            " order by profile_id"
        ).pl()
    finally:
        con.close()
    reasons = ", ".join(reason_text(reason, count) for reason, count in dropped.items())
    if not kept["is_scored"].any():
        raise ProfileError(f"no profile is left to score by {label} (of all: {reasons or 'none'})")
    if kept["label"].n_unique() == 1 and unlabelled == "drop":
        raise ProfileError(f"all {len(kept)} profiles left have the {label} '{kept['label'][0]}'")
    ids = kept["profile_id"].to_numpy().astype(np.int64)
    keys = keys.filter(pl.col("profile_id").is_in(ids.tolist()))
    return Candidates(
        kept["position"].to_numpy(),
        kept["label"].to_numpy(),
        kept["label"].rank("dense").fill_null(0).to_numpy().astype(np.int64),
        kept["compound"].fill_null("").to_numpy(),
        encode_keys(keys, ids),
        kept["is_scored"].to_numpy(),
        dropped,
    )


def _drop(
    con: Connection, vectors: NDArray[Any], *, include_controls: bool, unlabelled: str
) -> dict[str, int]:
    """Delete profiles that cannot be scored, and count them by reason."""
    positions = _without_direction(vectors)
    columns = {row[0] for row in con.execute("describe candidate").fetchall()}
    conditions = {
        "empty": "control_type = 'empty'",
        "control": "control_type = 'negcon'",
        "no_label": "label is null",
        "nan_feature": "position in (select unnest($positions::bigint[]))",
        "zero_vector": "position in (select unnest($positions::bigint[]))",
    }
    if choose("unlabelled", unlabelled, ("drop", "keep")) == "keep":
        del conditions["no_label"]
    if include_controls or "control_type" not in columns:
        del conditions["control"]
    if "control_type" not in columns:
        del conditions["empty"]
    dropped = {}
    for reason, condition in conditions.items():
        parameters = {"positions": positions[reason]} if "$" in condition else {}
        rows = con.execute(f"delete from candidate where {condition} returning 1", parameters)
        if count := len(rows.fetchall()):
            dropped[reason] = count
    return dropped


def _without_direction(vectors: NDArray[Any], block: int = 4096) -> dict[str, list[int]]:
    """Rows that have no cosine with others."""
    missing: list[int] = []
    zero: list[int] = []
    for start in range(0, len(vectors), block):
        rows = vectors[start : start + block]
        missing += (start + np.flatnonzero(~np.isfinite(rows).all(axis=1))).tolist()
        zero += (start + np.flatnonzero(~rows.any(axis=1))).tolist()
    return {"nan_feature": missing, "zero_vector": zero}


def _run_rule(con: Connection, rule: str) -> pl.DataFrame:
    """The keys of the candidates, also as the table `key`."""
    try:
        con.execute(f"create table raw_key as {rule.strip().rstrip(';')}")
        con.execute(
            "create table key as select profile_id, reason, key::varchar as key from raw_key"
        )
    except duckdb.Error as error:
        raise InputError(f"the rule fails: {sql_error(error)}") from error
    rows: pl.DataFrame = con.sql("from key").pl()
    for reason, of_reason in rows.group_by("reason"):
        if of_reason["key"].null_count() == len(of_reason):
            raise ProfileError(f"no profile has a {reason[0]}, which the rule needs")
    return rows


def _drop_labels(con: Connection, label_filter: str) -> dict[str, int]:
    """Delete profiles of labels that are not scored, or keep them as decoys; counted by reason."""
    dropped: dict[str, int] = {}
    as_decoys = label_filter == "decoys"
    query = assets.sql("labels", "reachable" if as_decoys else label_filter)
    rows: Sequence[tuple[str, str]] = con.execute(query).fetchall()
    change = (
        "update candidate set is_scored = false where is_scored and label = $label returning 1"
        if as_decoys
        else "delete from candidate where label = $label returning 1"
    )
    for label, reason in rows:
        gone = con.execute(change, {"label": label}).fetchall()
        if gone:
            name = f"label_in_one_{reason}"
            dropped[name] = dropped.get(name, 0) + len(gone)
    return dropped
