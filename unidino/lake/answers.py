"""Answers in the catalog, each with its question.

The tables score, label_score, attribution, readout_score and dose keep the question as canonical
JSON, and its hash. The view `latest` finds the newest answer to each question, so an answer to one
question never replaces the answer to another.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from unidino.core.files import text_hash
from unidino.lake.lake import Lake
from unidino.lake.runs import Run


def question_text(question: Mapping[str, Any]) -> str:
    """Canonical JSON of a question: equal questions have equal texts."""
    return json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def land_answers(
    lake: Lake,
    run: Run,
    table: str,
    answers: Sequence[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]],
) -> None:
    """Insert the rows of answers with their questions, and record the run.

    answers: pairs of a question, as plain values, and the rows of its answer.
    """
    rows = []
    for question, answer in answers:
        text = question_text(question)
        asked = {"question": text, "question_hash": text_hash(text), "run_id": run.run_id}
        rows += [dict(row) | asked for row in answer]
    with lake.landing() as landing:
        run.record(landing)
        landing.put(table, rows)
