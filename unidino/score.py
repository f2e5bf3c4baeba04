"""Nearest-neighbour scores under the exclusion rules of `sql/exclude`.

Source: Morelli et al. 2025, section 2.3.2; `published` rules are the authors' program's reading.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from unidino import assets, profiles
from unidino.catalog import Connection, Lake, Run, insert, quoted, scratch
from unidino.errors import InputError, ProfileError, choose
from unidino.neighbors import encode_keys, nearest
from unidino.progress import say

LABELS = ("compound", "moa", "target", "perturbation", "cell_line")
_METADATA = ("source", "batch", "plate", "well", "compound", "concentration_um", "perturbation",
             "moa", "target", "cell_line")  # fmt: skip
_NUM_BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Score:
    """Accuracy of the nearest eligible neighbour's label, and what bounds it.

    interval_95: bootstrap over compounds. n: profiles scored. num_without_neighbour: profiles that
    the rule leaves without any neighbour; they are not in n. ceiling: share of the n with an
    eligible neighbour of their label. chance: expected accuracy of a random eligible neighbour.
    dropped: profiles left out beforehand: reason and count.
    """

    accuracy: float | None
    interval_95: tuple[float, float] | None
    n: int
    num_classes: int
    num_without_neighbour: int
    ceiling: float | None
    chance: float | None
    dropped: dict[str, int]


@dataclass(frozen=True)
class LakeScore(Score):
    """A score with what was scored."""

    model: str
    normalization: str
    dataset: str
    channels: tuple[str, ...]
    metric: str
    rules: str
    label: str
    level: str

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, what was scored first."""
        fields = asdict(self)
        own = list(asdict(self))[len(Score.__dataclass_fields__) :]
        return {key: fields[key] for key in [*own, *Score.__dataclass_fields__]}


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


def score(
    lake: Lake,
    metric: Sequence[str],
    *,
    models: Sequence[str] = (),
    label: str | None = None,
    level: str = "well",
    normalize: str = "mad_robustize",
    rules: str = "text",
    channels: Sequence[str] = (),
    where: str | None = None,
    unmatched: str = "drop",
    include_controls: bool = False,
) -> list[LakeScore]:
    """A score for every metric, model and dataset that has the label; missing profiles are made.

    label: default `moa` where the rule excludes the same compound, else `compound`.
    where: SQL condition over the columns of `profile`. unmatched: `drop` leaves profiles without
    an eligible neighbour out, `wrong` counts them. include_controls: score negative controls too.
    Raises UnidinoError for an unknown name, ProfileError if no dataset can be scored.
    """
    queries = {name: rule_sql(name, rules) for name in metric}
    if label:
        choose("label", label, LABELS)
    choose("unmatched", unmatched, ("drop", "wrong"))
    run = Run("score", {"metric": metric, "models": models, "label": label, "level": level,
                        "normalize": normalize, "rules": rules, "channels": channels,
                        "where": where, "unmatched": unmatched})  # fmt: skip
    results: list[LakeScore] = []
    why_not: list[str] = []
    for made in profiles.profile(lake, models, normalize=normalize, level=level):
        table = profiles.load(lake, made.model, made.normalization, level, made.dataset, where)
        for group_channels, group in by_channels(table, channels):
            vectors = vectors_of(group, group_channels, channels)
            for name, query in queries.items():
                own_label = label or default_label(name)
                try:
                    figures = score_profiles(
                        group.drop_columns(["embedding"]), vectors, own_label, query,
                        unmatched=unmatched, include_controls=include_controls,
                    )  # fmt: skip
                except ProfileError as error:
                    why_not.append(f"{made.dataset} is not scored by {name}: {error}")
                    continue
                results.append(
                    LakeScore(
                        **vars(figures),
                        model=made.model,
                        normalization=made.normalization,
                        dataset=made.dataset,
                        channels=tuple(channels or group_channels),
                        metric=name,
                        rules=rules,
                        label=own_label,
                        level=level,
                    )
                )
    if not results:
        raise ProfileError(why_not[0] if why_not else "no profile fits --where")
    for line in dict.fromkeys(why_not):
        say(line)
    _land(lake, run, results)
    return results


def by_channels(table: pa.Table, wanted: Sequence[str]) -> list[tuple[list[str], pa.Table]]:
    """Profiles that have the same channels in the same order, and those channels."""
    lists = table["channels"].to_pylist()
    groups = []
    for group in sorted({tuple(c) for c in lists}):
        for channel in wanted:
            choose("channel", channel, list(group))
        groups.append((list(group), table.filter(pa.array([tuple(c) == group for c in lists]))))
    return groups


def vectors_of(table: pa.Table, channels: list[str], wanted: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings (N, D) of the profiles, cut to the wanted channels."""
    flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    by_channel = flat.reshape(table.num_rows, len(channels), -1)
    keep = [channels.index(c) for c in wanted] if wanted else list(range(len(channels)))
    vectors: NDArray[np.float32] = by_channel[:, keep].reshape(table.num_rows, -1)
    return vectors


def score_profiles(
    metadata: pa.Table,
    vectors: NDArray[np.float32],
    label: str,
    rule: str,
    *,
    unmatched: str = "drop",
    include_controls: bool = False,
) -> Score:
    """The score of profiles under a rule.

    metadata: a row per profile with profile_id, the label and what the rule reads.
    vectors: (N, D), in the same order. rule: SQL over `candidate`.
    Raises ProfileError if no profile is left to score, InputError if the rule fails.
    """
    con = scratch()
    try:
        order = pa.array(np.arange(len(vectors)))
        con.register("profiles", metadata.append_column("position", order))
        con.execute(f"create table candidate as select *, {quoted(label)} as label from profiles")
        dropped = _drop(con, vectors, include_controls=include_controls)
        keys = _run_rule(con, rule)
        dropped |= _drop_unreachable(con)
        kept = con.sql("select position, profile_id, label, compound from candidate"
                       " order by profile_id").pl()  # fmt: skip
        if kept.is_empty():
            reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
            raise ProfileError(
                f"no profile is left to score by {label} (dropped: {reasons or 'none'})"
            )
        if kept["label"].n_unique() == 1:
            raise ProfileError(
                f"all {len(kept)} profiles left have the {label} '{kept['label'][0]}'"
            )
        ids = kept["profile_id"].to_numpy().astype(np.int64)
        labels = kept["label"].rank("dense").to_numpy().astype(np.int64)
        encoded = encode_keys(keys.filter(pl.col("profile_id").is_in(ids.tolist())), ids)
        found = nearest(vectors[kept["position"].to_numpy()], encoded, labels)
        correct = (found.index >= 0) & (labels[found.index] == labels)
        has_neighbor = found.index >= 0
        counted = has_neighbor if unmatched == "drop" else np.ones_like(has_neighbor)
        compounds = kept["compound"].fill_null("").to_numpy()
        with np.errstate(invalid="ignore"):
            chances = np.nan_to_num(found.num_same_label / found.num_eligible)
        return Score(
            accuracy=_mean(correct[counted]),
            interval_95=_interval(correct[counted], compounds[counted]),
            n=int(counted.sum()),
            num_classes=len(np.unique(labels[counted])),
            num_without_neighbour=int((~has_neighbor).sum()),
            ceiling=_mean(found.num_same_label[counted] > 0),
            chance=_mean(chances[counted]),
            dropped=dropped,
        )
    finally:
        con.close()


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None


def _drop(
    con: Connection, vectors: NDArray[np.float32], *, include_controls: bool
) -> dict[str, int]:
    """Delete profiles that cannot be scored, and count them by reason."""
    directionless = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1))
    columns = {row[0] for row in con.execute("describe candidate").fetchall()}
    conditions = {
        "empty": "control_type = 'empty'",
        "control": "control_type = 'negcon'",
        "no_label": "label is null",
        "no_direction": "position in (select unnest($positions::bigint[]))",
    }
    if include_controls or "control_type" not in columns:
        del conditions["control"]
    if "control_type" not in columns:
        del conditions["empty"]
    dropped = {}
    for reason, condition in conditions.items():
        parameters = {"positions": directionless.tolist()} if "$" in condition else {}
        rows = con.execute(f"delete from candidate where {condition} returning 1", parameters)
        if count := len(rows.fetchall()):
            dropped[reason] = count
    return dropped


def _run_rule(con: Connection, rule: str) -> pl.DataFrame:
    """The keys of the candidates, also as the table `key`."""
    try:
        con.execute(f"create table raw_key as {rule.strip().rstrip(';')}")
        con.execute(
            "create table key as select profile_id, reason, key::varchar as key from raw_key"
        )
    except duckdb.Error as error:
        raise InputError(f"the rule fails: {str(error).strip().splitlines()[0]}") from error
    rows: pl.DataFrame = con.sql("from key").pl()
    for reason, of_reason in rows.group_by("reason"):
        if of_reason["key"].null_count() == len(of_reason):
            raise ProfileError(f"no profile has a {reason[0]}, which the rule needs")
    return rows


def _drop_unreachable(con: Connection) -> dict[str, int]:
    """Delete profiles of labels that no neighbour could match, and count them by reason."""
    dropped: dict[str, int] = {}
    rows = con.execute(assets.sql("queries", "unreachable_label")).fetchall()
    for label, reason in rows:
        gone = con.execute(
            "delete from candidate where label = $label returning 1", {"label": label}
        ).fetchall()
        if gone:
            name = f"label_in_one_{reason}"
            dropped[name] = dropped.get(name, 0) + len(gone)
    return dropped


def _interval(correct: NDArray[np.bool_], compounds: NDArray[Any]) -> tuple[float, float] | None:
    """95 % interval of the mean: bootstrap over compounds, since their wells are no replicates."""
    if len(correct) == 0:
        return None
    _, group = np.unique(compounds, return_inverse=True)
    totals = np.bincount(group)
    hits = np.bincount(group, weights=correct)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(totals), np.full(len(totals), 1 / len(totals)), _NUM_BOOTSTRAPS)
    accuracies = (draws @ hits) / (draws @ totals)
    low, high = np.quantile(accuracies, [0.025, 0.975])
    return float(low), float(high)


def _land(lake: Lake, run: Run, results: list[LakeScore]) -> None:
    rows = []
    for result in results:
        row = result.as_json()
        low, high = row.pop("interval_95") or (None, None)
        row |= {"interval_low": low, "interval_high": high, "run_id": run.run_id}
        row |= {"dropped": json.dumps(row["dropped"]), "channels": list(result.channels)}
        rows.append(row)
    with lake.write() as con:
        run.record(con)
        insert(con, "score", rows)
