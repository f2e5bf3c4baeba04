"""Question: what a score asks of profiles. Every score takes one."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from unidino.core.choices import LabelFilter, Unmatched
from unidino.core.errors import InputError, choose
from unidino.core.files import text_hash
from unidino.scores.rules import LABELS, default_label, rule_sql


@dataclass(frozen=True)
class Question:
    """The question: how often does the nearest neighbour that a rule allows have the same label?

    rule: name of a file of `sql/exclude`, `not same COLUMN, ...`, or path of an SQL file.
    reading: `text` for the rule of the paper's text, `published` for that of its program.
    label: default: `moa` if the rule excludes the same compound, else `compound`.
    label_filter: `reachable` leaves out labels that no neighbour could match. `decoys` does not
    score these labels, but keeps them as possible neighbours. `rows` leaves out labels of one
    profile. `none` keeps all labels.
    unmatched: `drop` leaves out profiles without an allowed neighbour, `wrong` counts them as
    wrong. include_controls: score negative controls too. neighbours: number of neighbours that
    vote.
    Raises UnidinoError for an unknown rule, reading, label or filter.
    Source: Morelli et al. 2025, section 2.3.2.

    >>> Question("nscb").label
    'moa'
    """

    rule: str
    reading: str = "text"
    label: str = ""
    label_filter: str = "reachable"
    unmatched: str = "drop"
    include_controls: bool = False
    neighbours: int = 1

    def __post_init__(self) -> None:
        rule_sql(self.rule, self.reading)
        object.__setattr__(self, "label", self.label or default_label(self.rule))
        choose("label", self.label, LABELS)
        choose("label filter", self.label_filter, get_args(LabelFilter))
        choose("unmatched", self.unmatched, get_args(Unmatched))
        if self.neighbours < 1:
            raise InputError(f"neighbours is {self.neighbours}; it must be 1 or more")

    @property
    def sql(self) -> str:
        """The query of the rule, over `candidate`."""
        return rule_sql(self.rule, self.reading)

    def as_json(self) -> dict[str, Any]:
        """The question as plain values: rule, reading, label, and other fields if not standard.

        The hash of a rule file is included, so a changed file is another question.
        """
        standard = {f.name: f.default for f in fields(self)}
        always = ("rule", "reading", "label")
        asked = {k: v for k, v in asdict(self).items() if k in always or v != standard[k]}
        if self.rule.endswith(".sql"):
            asked["rule_hash"] = text_hash(Path(self.rule).read_text(encoding="utf-8"))
        return asked

    def __str__(self) -> str:
        """The canonical text: equal questions have equal texts."""
        return json.dumps(self.as_json(), separators=(",", ":"))

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical text."""
        return text_hash(str(self))


Asked = str | Question | Iterable[str | Question]


def questions(asked: Asked, **changes: Any) -> list[Question]:
    """The different questions, from a question, the name of a rule, or several of these.

    changes: fields that all questions get, such as a label.
    """
    several = [asked] if isinstance(asked, str | Question) else list(asked)
    unique = dict.fromkeys(
        replace(one, **changes) if isinstance(one, Question) else Question(one, **changes)
        for one in several
    )
    return list(unique)
