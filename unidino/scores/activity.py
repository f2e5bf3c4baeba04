"""Activity: whether replicates are more similar to each other than to the negative controls.

Source: Kalinin et al. 2025, doi 10.1038/s41467-025-60306-2 (phenotypic activity).
"""

from typing import Any, get_args

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core.choices import ControlsOf
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.vectors import metadata_table
from unidino.profiles.treatments import TREATMENT, with_treatment
from unidino.scores.candidates import Candidates, candidates
from unidino.scores.keys import encode_keys
from unidino.scores.precision import mean_average_precision
from unidino.scores.question import Question
from unidino.scores.ranking import rank_against

CONTROLS_OF: tuple[str, ...] = get_args(ControlsOf)


def active_labels(
    metadata: Any,
    vectors: NDArray[Any],
    question: Question,
    *,
    controls_of: str = "dataset",
    seed: int = 0,
) -> tuple[Candidates, pl.DataFrame]:
    """The profiles that are scored, and a table with a row for each treatment or compound.

    Each profile is a query: its replicates, which have the same label and which the rule allows,
    are ranked among the negative controls by similarity to it. The columns are those of
    `mean_average_precision`. controls_of: the controls of the dataset, or only those of the query's
    batch or plate. metadata, vectors: see `candidates`.
    Raises ProfileError without negative controls, without replicates, or if no replicate meets a
    control of its plate or batch.
    """
    choose("controls", controls_of, CONTROLS_OF)
    table = metadata_table(metadata, vectors)
    if question.label == TREATMENT:
        table = with_treatment(table)
    if question.label not in table.column_names:
        raise InputError(f"the profiles have no column '{question.label}' to score by")
    if "control_type" not in table.column_names:
        raise InputError("the profiles have no column 'control_type', which tells the controls")
    is_control = pc.fill_null(pc.equal(table["control_type"].cast(pa.string()), "negcon"), False)
    if not pc.any(is_control).as_py():
        raise ProfileError(
            "it has no negative controls, which activity compares with; name their compound by"
            " --negcon at ingest or import, or give them the control_type negcon"
        )
    # A control has no label: it is ranked, and is no replicate.
    labels = pc.if_else(is_control, None, table[question.label].cast(pa.string()))
    asked = table.set_column(table.column_names.index(question.label), question.label, labels)
    with_controls = Question(
        question.rule,
        question.reading,
        question.label,
        question.label_filter,
        question.unmatched,
        include_controls=True,
    )
    found = candidates(asked, vectors, with_controls, keep_unlabelled=True)
    are_controls = is_control.to_numpy(zero_copy_only=False)[found.positions]
    if not are_controls.any():
        raise ProfileError("none of its negative controls has a direction: all are missing or zero")
    if not (found.labels > 0).any():
        raise ProfileError(
            f"no {question.label} has two profiles that the rule allows as replicates"
        )
    same = None
    if controls_of != "dataset":
        same = _codes(table, controls_of, found)
    ranking = rank_against(vectors[found.positions], found, are_controls, same)
    if not np.isfinite(ranking.precision).any():
        raise ProfileError(f"no profile with replicates has a control of its {controls_of}")
    return found, mean_average_precision(ranking, found, seed=seed)


def _codes(table: pa.Table, column: str, found: Candidates) -> NDArray[np.int32]:
    """The plate or batch of each candidate as integers (1, N), -1 where it is not known.

    Raises ProfileError if none is known.
    """
    values = table[column] if column in table.column_names else pa.nulls(table.num_rows)
    keys = pl.DataFrame(
        {
            "profile_id": found.ids,
            "reason": [column] * len(found.ids),
            "key": values.take(pa.array(found.positions)).cast(pa.string()).to_pylist(),
        },
        schema_overrides={"key": pl.String},
    )
    encoded = encode_keys(keys, found.ids)
    if not encoded:
        raise ProfileError(f"no profile has a {column}, whose controls are asked for")
    return encoded[0]
