"""Exclusion rules: queries that give each profile the keys that its neighbour may not share.

A rule reads the table `candidate` and returns profile_id, reason and key. Two profiles that share a
(reason, key) may not be neighbours; a NULL key is never shared.
Source: Morelli et al. 2025, section 2.3.2; `published` rules are those of the authors' program.
"""

from functools import cache
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from unidino.core import assets
from unidino.core.choices import Label, Reading
from unidino.core.errors import InputError, choose
from unidino.core.sql import Connection, quoted
from unidino.core.user_sql import ask, confined

LABELS: tuple[str, ...] = get_args(Label)
# Columns of a profile that a rule may read, with the types of the view `profile`.
COLUMNS: dict[str, pa.DataType] = {
    "source": pa.string(),
    "batch": pa.string(),
    "plate": pa.string(),
    "well": pa.string(),
    "compound": pa.string(),
    "concentration_um": pa.float64(),
    "perturbation": pa.string(),
    "moa": pa.string(),
    "target": pa.string(),
    "cell_line": pa.string(),
}
KEY_COLUMNS = ("profile_id", "reason", "key")
_ON_THE_SPOT = "not same "


def metrics() -> list[str]:
    """Names of the metrics: the rules in `sql/exclude`."""
    return assets.names("exclude")


def rule_sql(rule: str, reading: str = "text") -> str:
    """The query of a rule.

    rule: a name, a path of an SQL file, or columns after `not same `, such as
    `not same compound, plate`. reading: `text` (the paper's) or `published` (its program's).
    Raises UnidinoError for an unknown rule, column or reading; it lists the choices.
    """
    choose("reading", reading, get_args(Reading))
    if rule.startswith(_ON_THE_SPOT):
        columns = [name.strip() for name in rule.removeprefix(_ON_THE_SPOT).split(",")]
        return " union all by name ".join(
            f"select profile_id, '{choose('column', column, list(COLUMNS))}' as reason,"
            f" {quoted(column)}::varchar as key from candidate"
            for column in columns
        )
    if rule.endswith(".sql"):
        if not Path(rule).is_file():
            raise InputError(f"no such rule file: '{rule}'")
        try:
            return Path(rule).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"the rule file '{rule}' is not UTF-8 text") from error
    choose("metric", rule, metrics())
    if reading == "published" and rule in assets.names("exclude/published"):
        return assets.sql("exclude/published", rule)
    return assets.sql("exclude", rule)


def default_label(rule: str) -> str:
    """The default label of a rule: `moa` if it excludes the same compound, else `compound`."""
    return "moa" if "compound" in _reasons(rule_sql(rule)) else "compound"


@cache
def _reasons(query: str) -> frozenset[str]:
    """Reasons in the result of a rule; the rule is executed on one empty profile.

    Raises InputError if the query fails.
    """
    profile = pa.table(
        {
            "profile_id": pa.array([0]),
            "label": pa.array([""]),
            **{name: pa.array([None], kind) for name, kind in COLUMNS.items()},
        }
    )
    with confined({"candidate": profile}, query) as con:
        return frozenset(keys_of(con, query)["reason"].to_pylist())


def keys_of(con: Connection, query: str) -> pa.Table:
    """Columns profile_id, reason and key that the query of a rule gives.

    con: confined, with the table `candidate`.
    Raises InputError if the query fails, lacks a column, or gives rows of no candidate.
    """
    rows = ask(con, query, what="the rule fails")
    if missing := [name for name in KEY_COLUMNS if name not in rows.column_names]:
        raise InputError(
            f"the rule fails: its result has no column '{missing[0]}'; it must give"
            f" {', '.join(KEY_COLUMNS)}"
        )
    rows = rows.select(KEY_COLUMNS)
    for at, (name, kind) in enumerate({"profile_id": pa.int64(), "reason": pa.string()}.items()):
        try:
            column = rows[name].cast(kind)
        except pa.ArrowException as error:
            raise InputError(
                f"the rule fails: its {name} is {rows[name].type}, not {kind}"
            ) from error
        if column.null_count:
            raise InputError(f"the rule fails: it gives a row without {name}; each needs one")
        rows = rows.set_column(at, name, column)
    known = con.sql("select profile_id from candidate").to_arrow_table()["profile_id"]
    unknown = rows.filter(pc.invert(pc.is_in(rows["profile_id"], known.combine_chunks())))
    if unknown.num_rows:
        raise InputError(
            f"the rule fails: it gives the profile_id {unknown['profile_id'][0]}, which the table"
            " candidate has not"
        )
    return rows
