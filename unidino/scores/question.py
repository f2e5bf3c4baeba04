"""What is asked of profiles: the one object that every score takes."""

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
    """How often has the nearest neighbour that a rule allows the same label?

    rule: name of a file of `sql/exclude`, `not same COLUMN, ...`, or a path to an SQL file.
    reading: `text`, the paper's, or `published`, its program's.
    label: default `moa` where the rule excludes the same compound, else `compound`.
    label_filter: labels that are left out: `reachable` those that no neighbour could match,
    `decoys` the same but they stay as neighbours of others, `rows` those of one profile, `none`.
    unmatched: `drop` leaves profiles without an allowed neighbour out, `wrong` counts them.
    include_controls: score negative controls too. neighbours: how many vote.
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
            raise InputError(f"neighbours is {self.neighbours}; at least one must vote")

    @property
    def sql(self) -> str:
        """The query of the rule, over `candidate`."""
        return rule_sql(self.rule, self.reading)

    def as_json(self) -> dict[str, Any]:
        """What is asked, as plain values: rule, reading and label, the rest where not standard.

        A rule file has the hash of its text, so that a changed file asks another question.
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
    """The questions meant: a question, the name of a rule, or several of either.

    changes: fields that all of them get, such as a label.
    """
    several = [asked] if isinstance(asked, str | Question) else list(asked)
    return [
        replace(one, **changes) if isinstance(one, Question) else Question(one, **changes)
        for one in several
    ]
