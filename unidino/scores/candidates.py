"""The profiles that a question compares and scores.

`sql/candidates` decides which profiles cannot be scored, and `sql/labels` which labels are left
out. The rule gives the keys that neighbours may not share.

Shapes: N compared profiles, D features.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError
from unidino.core.reasons import reason_text
from unidino.core.sql import Connection, scratch
from unidino.core.user_sql import confined
from unidino.core.vectors import metadata_table
from unidino.profiles.treatments import TREATMENT, with_treatment
from unidino.scores.keys import Codes, encode_keys
from unidino.scores.question import Question
from unidino.scores.rules import COLUMNS, KEY_COLUMNS, keys_of

_BLOCK = 4096


@dataclass(frozen=True)
class Candidates:
    """The profiles that are compared, in the order of profile_id.

    positions: (N,), rows of the profiles in the given metadata. ids: (N,), their profile_id. names:
    (N,), their labels. labels: (N,), the labels as integers, 0 for none. compounds: (N,), names,
    empty for none. keys: of the rule; see `encode_keys`. is_scored: (N,), false for profiles that
    are only possible neighbours of others. dropped: profiles that are not scored: reason and count.
    """

    positions: NDArray[np.int64]
    ids: NDArray[np.int64]
    names: NDArray[Any]
    labels: NDArray[np.int64]
    compounds: NDArray[Any]
    keys: list[Codes]
    is_scored: NDArray[np.bool_]
    dropped: dict[str, int]


def candidates(
    metadata: pa.Table | pl.DataFrame | Any,
    vectors: NDArray[Any],
    question: Question,
    *,
    keep_unlabelled: bool = False,
) -> Candidates:
    """The profiles that a question compares.

    metadata: Arrow table, Polars or pandas frame, a row per profile with the label and the columns
    that the rule reads; profile_id is by default the number of the row. vectors: one for each
    profile, in the same order.
    keep_unlabelled: keeps profiles without a label (coded 0) as possible neighbours; a single label
    is then allowed.
    Raises ProfileError if no profile is left to score, InputError if the rule fails.
    """
    return candidates_of(metadata, *directions(vectors), question, keep_unlabelled=keep_unlabelled)


def candidates_of(
    metadata: pa.Table | pl.DataFrame | Any,
    is_finite: NDArray[np.bool_],
    is_zero: NDArray[np.bool_],
    question: Question,
    *,
    keep_unlabelled: bool = False,
) -> Candidates:
    """The profiles that a question compares, without their vectors; see `candidates`.

    is_finite, is_zero: whether the vector of each profile is; see `directions`.
    """
    con = scratch(assets.texts("candidates", "labels"))
    try:
        con.register("given", _described(metadata, is_finite, is_zero, question.label))
        con.execute("create table profile as from given")
        con.execute("create table candidate as from profile")
        con.execute(
            f"create table excluded as {assets.sql('candidates', 'excluded')}",
            {
                "include_controls": question.include_controls,
                "keep_unlabelled": keep_unlabelled,
            },
        )
        con.execute("delete from candidate where profile_id in (select profile_id from excluded)")
        keys = _keys(con, question)
        con.register("key", keys)
        as_decoys = question.label_filter == "decoys"
        con.execute(f"create table unmatched_label as {_label_sql(question.label_filter)}")
        judged: pl.DataFrame = con.sql(
            assets.sql("candidates", "scored"), params={"as_decoys": as_decoys}
        ).pl()
    finally:
        con.close()
    kept = judged.filter("is_compared")
    dropped = _counted(judged)
    if not kept["is_scored"].any():
        reasons = ", ".join(reason_text(reason, count) for reason, count in dropped.items())
        raise ProfileError(
            f"no profile is left to score by {question.label} (of all: {reasons or 'none'})"
        )
    if kept["label"].n_unique() == 1 and not keep_unlabelled:
        raise ProfileError(
            f"all {len(kept)} profiles left have the {question.label} '{kept['label'][0]}'"
        )
    ids = kept["profile_id"].to_numpy().astype(np.int64)
    return Candidates(
        kept["position"].to_numpy(),
        ids,
        kept["label"].to_numpy(),
        kept["label"].rank("dense").fill_null(0).to_numpy().astype(np.int64),
        kept["compound"].fill_null("").to_numpy(),
        encode_keys(keys.filter(pl.col("profile_id").is_in(ids.tolist())), ids),
        kept["is_scored"].to_numpy(),
        dropped,
    )


def _described(
    metadata: Any, is_finite: NDArray[np.bool_], is_zero: NDArray[np.bool_], label: str
) -> pa.Table:
    """The table of profiles that the queries read: the metadata, the label, flags of the vector."""
    table = metadata_table(metadata, is_finite)
    if label == TREATMENT:
        table = with_treatment(table)
    place = pa.array(np.arange(len(is_finite)))
    if "profile_id" not in table.column_names:
        table = table.append_column("profile_id", place)
    if label not in table.column_names:
        raise InputError(f"the profiles have no column '{label}' to score by")
    columns = {"position": place, "profile_id": table["profile_id"], "label": table[label]}
    columns |= {"is_finite": pa.array(is_finite), "is_zero": pa.array(is_zero)}
    for name, kind in (COLUMNS | {"control_type": pa.string()}).items():
        missing = pa.nulls(len(is_finite), kind)
        columns[name] = table[name] if name in table.column_names else missing
    others = [n for n in table.column_names if n not in columns and n not in KEY_COLUMNS]
    return pa.table(columns | {name: table[name] for name in others})


def directions(vectors: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each vector (N, D) is finite, and whether it is zero: (N,)."""
    is_finite, is_zero = np.ones(len(vectors), bool), np.zeros(len(vectors), bool)
    for start in range(0, len(vectors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        is_finite[rows] = np.isfinite(vectors[rows]).all(axis=1)
        is_zero[rows] = ~vectors[rows].any(axis=1)
    return is_finite, is_zero


def _keys(con: Connection, question: Question) -> pl.DataFrame:
    """The keys of the candidates: columns profile_id, reason and key (text)."""
    table = con.sql("from candidate").to_arrow_table()
    with confined({"candidate": table}, question.sql) as apart:
        rows = keys_of(apart, question.sql)
    keys = pl.DataFrame(rows).with_columns(pl.col("key").cast(pl.String))
    for (reason,), of_reason in keys.group_by("reason", maintain_order=True):
        if of_reason["key"].null_count() == len(of_reason):
            raise ProfileError(f"no profile has a {reason}, which the rule needs")
    return keys


def _label_sql(label_filter: str) -> str:
    """The query of the labels that are left out."""
    if label_filter == "none":
        return "select '' as label, '' as reason where false"
    return assets.sql("labels", "reachable" if label_filter == "decoys" else label_filter)


def _counted(judged: pl.DataFrame) -> dict[str, int]:
    """Numbers of profiles that are not scored, by reason: first excluded ones, then by label."""
    counts = judged.filter(~pl.col("is_scored")).group_by("reason", maintain_order=True).len()
    order = ("empty", "control", "no_label", "nan_feature", "zero_vector")
    rows = dict(counts.iter_rows())
    excluded = {reason: rows.pop(reason) for reason in order if reason in rows}
    return excluded | dict(sorted(rows.items()))
