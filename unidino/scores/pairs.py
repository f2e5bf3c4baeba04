"""Scores of profiles by relations that are known: which pairs a map of entities finds again.

Source: Celik et al. 2024, doi 10.1371/journal.pcbi.1012463 (EFAAR).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.reasons import WhyNot
from unidino.core.results import Result, Results
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection, nothing_fits
from unidino.scores.count_baseline import stand_beside
from unidino.scores.entities import Entities, mean_entities
from unidino.scores.known_pairs import Database, matched, read_pairs
from unidino.scores.recall import entity_interval, pair_ranks, tails
from unidino.scores.rules import LABELS
from unidino.scores.tables import interval

FEWEST_ENTITIES = 20


@dataclass(frozen=True)
class Recall:
    """How many of the known pairs are among the most similar or the most opposite of all pairs.

    recall: of both tails; recall_similar, recall_opposite: of each. interval_95: of recall, by
    bootstrap over entities. chance: recall of random pairs. num_pairs: known pairs whose two
    entities have profiles; num_entities: in these pairs. num_map_entities: entities that have
    profiles; num_null: pairs of these. num_unmatched: known pairs with an entity that has none.
    """

    recall: float
    interval_95: tuple[float, float]
    recall_similar: float
    recall_opposite: float
    chance: float
    num_pairs: int
    num_entities: int
    num_map_entities: int
    num_null: int
    num_unmatched: int


@dataclass(frozen=True)
class PairScore(Result):
    """The recall of one database of known pairs by the profiles of one model and dataset.

    tail_percent: percent of all pairs in either tail. dropped: what was left out: reason and count.
    asked: the whole question, as plain values.
    """

    model: str
    normalization: str
    dataset: str
    channels: tuple[str, ...]
    database: str
    label: str
    level: str
    tail_percent: float
    found: Recall
    dropped: dict[str, int]
    asked: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The score as plain values."""
        values = asdict(self)
        found: dict[str, Any] = values.pop("found")
        del values["asked"]
        return values | found


def score_pairs(
    lake: Lake,
    pairs: Path | str | Sequence[Path | str],
    selection: Selection | None = None,
    *,
    label: str = "compound",
    tail_percent: float = 5.0,
    fewest_entities: int = FEWEST_ENTITIES,
) -> Results[PairScore]:
    """Recall of known pairs, one for every list of pairs, model and dataset.

    pairs: tables with the columns entity1 and entity2, or with two columns. label: the column of a
    profile whose values are the entities (`target` for genes); an entity is the mean of its
    profiles. A known pair is found if its cosine is among the lowest or the highest `tail_percent`
    of the cosines of all pairs of entities. fewest_entities: a list with fewer entities in either
    column is not scored, as published. Missing profiles are computed.
    Raises InputError if a table has no pairs, ProfileError if no list of pairs can be scored.
    Source: Celik et al. 2024, doi 10.1371/journal.pcbi.1012463.

    >>> import unidino as ud
    >>> known = folder / "known.csv"
    >>> _ = known.write_text("entity1,entity2\\ntiny-01,tiny-02\\ntiny-03,tiny-04\\n")
    >>> scores = ud.score_pairs(lake, known, tail_percent=25, fewest_entities=2)
    >>> scores[0].found.num_pairs, scores[0].found.num_null
    (2, 6)
    """
    run = Run.of("score", locals(), reads_files=True)
    choose("label", label, LABELS)
    if not 0 < tail_percent <= 50:
        raise InputError(f"--tail-percent is {tail_percent}; it must be over 0 and at most 50")
    selection = selection or Selection()
    files = [pairs] if isinstance(pairs, str | Path) else list(pairs)
    databases = [read_pairs(Path(file)) for file in files]
    stand_beside(lake, selection)
    scores: list[PairScore] = []
    why_not = WhyNot()
    for group in groups(lake, selection):
        profiled = group.profiled
        with why_not.collecting(f"{profiled.title} is not scored by pairs"):
            entities = mean_entities(group.metadata, group.vectors, label)
            for database in databases:
                with why_not.collecting(f"{profiled.title} is not scored by {database.name}"):
                    asked = {
                        "kind": "pairs",
                        "label": label,
                        "database": database.name,
                        "database_hash": database.content_hash,
                        **({"tail_percent": tail_percent} if tail_percent != 5 else {}),
                    }
                    found = pair_recall(entities, database, tail_percent, fewest_entities)
                    scores.append(
                        PairScore(
                            profiled.model,
                            profiled.normalization,
                            profiled.dataset,
                            group.channels,
                            database.name,
                            label,
                            selection.level,
                            tail_percent,
                            found,
                            profiled.dropped | entities.dropped,
                            asked | selection.options,
                        )
                    )
    why_not.settle(anything_done=bool(scores), nothing=nothing_fits(selection))
    land_answers(lake, run, "pair_score", [(s.asked, [_row(s)]) for s in scores])
    return Results(scores, pair_table)


def pair_recall(
    entities: Entities,
    database: Database,
    tail_percent: float = 5.0,
    fewest_entities: int = FEWEST_ENTITIES,
) -> Recall:
    """The recall of the pairs of a database whose two entities have profiles.

    Raises ProfileError if there are too few of them.
    """
    known, num_unmatched = matched(entities.names, database)
    first, second = (known[f"position{i}"].to_numpy().astype(np.int64) for i in (1, 2))
    counts = [len(np.unique(first)), len(np.unique(second))]
    if min(counts) < fewest_entities:
        raise ProfileError(
            f"{len(known)} known pairs have profiles, of {counts[0]} and {counts[1]} entities in"
            f" the two columns; {fewest_entities} are needed (--fewest-entities)"
        )
    ranks = pair_ranks(entities.vectors, first, second)
    is_similar, is_opposite = tails(ranks, tail_percent / 100)
    is_hit: NDArray[np.bool_] = is_similar | is_opposite
    return Recall(
        recall=float(is_hit.mean()),
        interval_95=entity_interval(is_hit, first, second),
        recall_similar=float(is_similar.mean()),
        recall_opposite=float(is_opposite.mean()),
        chance=min(1.0, 2 * tail_percent / 100),
        num_pairs=len(known),
        num_entities=len(np.unique(np.concatenate([first, second]))),
        num_map_entities=len(entities.names),
        num_null=ranks.num_null,
        num_unmatched=num_unmatched,
    )


def pair_table(scores: Sequence[PairScore]) -> pl.DataFrame:
    """The scores as a table for people: a row for each."""
    rows = []
    for s in scores:
        found = s.found
        rows.append(
            {
                "dataset": s.dataset,
                "model": s.model,
                "normalization": s.normalization,
                "database": s.database,
                "label": f"{s.label}/{s.level}",
                f"recall, {s.tail_percent:g} % tails": found.recall,
                "95 %": interval(found.interval_95),
                "similar": found.recall_similar,
                "opposite": found.recall_opposite,
                "chance": found.chance,
                "pairs": found.num_pairs,
                "entities": found.num_entities,
                "of": found.num_map_entities,
                "unmatched": found.num_unmatched,
            }
        )
    table = pl.DataFrame(rows)
    one_way = table.is_empty() or table["normalization"].n_unique() == 1
    return table.drop("normalization", strict=False) if one_way else table


def _row(score: PairScore) -> dict[str, Any]:
    """A row of the table `pair_score`, without the columns of the question and the run."""
    row = score.as_json()
    row["interval_low"], row["interval_high"] = row.pop("interval_95")
    return row | {"dropped": json.dumps(row["dropped"]), "channels": list(score.channels)}
