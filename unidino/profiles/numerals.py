"""Columns of text as numbers, as programs and spreadsheets of all countries write them.

What may be read in two ways, such as 1,500, is decided by other columns of the table, or refused.
Shapes: N rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core.account import listed
from unidino.core.errors import InputError
from unidino.core.sql import first_row, scratch

# In lower case, beside the words of all texts (the macros missing_words, dashes and
# spreadsheet_errors). Words that may mean a small value, such as n.d. or <LOD, are not among them.
_MISSING = (
    "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "1.#inf", "-1.#inf", "missing", ".", "..", "?",
    "\u221e", "-\u221e",
)  # fmt: skip
_SPACES = " \u00a0\u2009\u202f'\u2019"  # that separate thousands
_EXPONENT = r"([eE][-+]?\d+)?"
_PLAIN = rf"^[-+]?((\d+\.?\d*|\.\d+){_EXPONENT}|(?i:inf|infinity|nan))$"
_INTEGER = r"^[-+]?\d+$"
_COMMA = rf"^[-+]?\d*,\d+{_EXPONENT}$"
_COMMA_THOUSANDS = r"^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$"
_POINT_THOUSANDS = r"^[-+]?[1-9]\d{0,2}(\.\d{3})+$"
_BOTH_POINTS = r"^[-+]?[1-9]\d{0,2}((\.\d{3})+,\d+|(\.\d{3}){2,})$"
_SPACE_THOUSANDS = rf"^[-+]?\d{{1,3}}([{_SPACES}]\d{{3}})+([.,]\d+)?$"
# A comma that is neither between thousands nor between the items of a list.
_SURELY_DECIMAL = r"^-\d*,|,\d+[eE]|,\d{4,}|,0\d|\.\d{3},"
_LOOKS = (
    "^[<>\u2264\u2265~=]*"
    rf"\s*[-+]?[\d.,{_SPACES}]*\d[\d.,{_SPACES}]*{_EXPONENT}\s*%?$"
)
_DATE = r"^\d{1,4}\.\d{1,2}\.\d{2,4}$"
_SHOWN = 3


@dataclass
class Numerals:
    """Columns that are numbers, and columns that only look like numbers.

    values: of each column, as float64, null or NaN where missing. odd: of each column that is no
    number, although most of its values look like numbers, the row (from 1) and text of the first
    other value. notes: lines that say how numbers were understood.
    """

    values: dict[str, pa.ChunkedArray] = field(default_factory=dict)
    odd: dict[str, tuple[int, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_numbers(
    columns: Mapping[str, pa.ChunkedArray], what: str, *, has_floats: bool = False
) -> Numerals:
    """The columns of text that are numbers; a column without values is none.

    what: the table, for messages. has_floats: whether the table has other columns of numbers, so
    that a comma in text says little.
    Raises InputError if commas may be decimal or separate thousands.
    """
    found, spelled = Numerals(), []
    for name, column in columns.items():
        numbers = as_numbers(column)
        if numbers is not None:
            found.values[name] = numbers
        elif column.null_count < len(column):
            spelled.append(_Spelled(name, column))
    commas = [s for s in spelled if s.fits_comma and not s.fits_plain]
    surely = any(s.surely_decimal for s in commas)
    pointed = _with_points(columns, found) if commas else []
    if surely or not all(s.fits_thousands for s in commas):
        _refuse_point_thousands(columns, pointed, commas, what)
    has_points = has_floats or bool(pointed) or any(s.has_points for s in spelled)
    if commas and not has_points and not surely:
        clear = [s for s in commas if not s.fits_thousands]
        if len(clear) < 2:
            raise InputError(
                f"{what}: the {'comma' if ',' in commas[0].example else 'points'} in"
                f" {_named([s.name for s in commas])}, as in '{commas[0].example}', may be decimal,"
                " separate thousands or make a list;"
                " write a decimal point, or choose other columns by --features"
            )
    read_as: dict[str, list[str]] = {}
    for s in spelled:
        kind = s.kind(comma=not has_points)
        if kind is None:
            if s.odd is not None:
                found.odd[s.name] = s.odd
            continue
        found.values[s.name] = s.numbers(kind)
        for text in s.notes(kind):
            read_as.setdefault(text, []).append(s.name)
    found.notes = [f"{text} in {_named(names)}" for text, names in read_as.items()]
    return found


def as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The values as float64; None if one is not a number, or all are null."""
    if column.null_count == len(column) and len(column):
        return None
    try:
        return column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def as_array(numbers: pa.ChunkedArray) -> NDArray[np.float64]:
    """The values (N,) of a column of float64, NaN where missing."""
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy())


class _Spelled:
    """A column of text that is not plainly numbers, and the ways in which it may be read."""

    def __init__(self, name: str, column: pa.ChunkedArray) -> None:
        self.name, self._given = name, column
        text = pc.replace_substring(pc.utf8_trim_whitespace(column), "\u2212", "-")
        words, errors = _missing()
        is_word = pc.or_(
            pc.is_in(pc.utf8_lower(text), value_set=pa.array(words, text.type)),
            _matches(text, errors),
        )
        self._words = pc.filter(text, is_word)
        text = pc.if_else(is_word, pa.scalar(None, text.type), text)
        self.spaced = _matches(text, _SPACE_THOUSANDS)
        joined = pc.replace_substring_regex(text, f"[{_SPACES}]", "")
        self._text = pc.if_else(self.spaced, joined, text)
        comma, thousands = _matches(self._text, _COMMA), _matches(self._text, _COMMA_THOUSANDS)
        plain, both = _matches(self._text, _PLAIN), _matches(self._text, _BOTH_POINTS)
        num = len(text) - text.null_count
        self._enough = num and num >= len(self._words)
        self.fits_plain = bool(self._enough and _count(plain) == num)
        with_comma = pc.or_(comma, both)
        integer = _matches(self._text, _INTEGER)
        self.fits_comma = bool(
            self._enough and _any(with_comma) and _count(pc.or_(with_comma, integer)) == num
        )
        self.fits_thousands = bool(
            self._enough and _any(thousands) and _count(pc.or_(plain, thousands)) == num
        )
        self.has_points = _any(pc.and_(pc.or_(plain, thousands), _matches(self._text, r"\.")))
        certain = pc.and_(_matches(self._text, _SURELY_DECIMAL), pc.invert(thousands))
        self.surely_decimal = self.fits_comma and _any(certain)
        self.example = _first(self._text, with_comma)[1] if self.fits_comma else ""
        self.odd = self._odd(plain)

    def kind(self, *, comma: bool) -> str | None:
        """How the column is read: plain, comma or thousands; None if that is not certain.

        comma: whether commas of the table are decimal.
        """
        if self.fits_plain:
            return "plain"
        if self.fits_comma and (comma or self.surely_decimal):
            return "comma"
        if self.fits_thousands and (not comma or not self.fits_comma):
            return "thousands"
        return None

    def numbers(self, kind: str) -> pa.ChunkedArray:
        """The values as float64."""
        text = self._text
        if kind == "comma":
            text = pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
        elif kind == "thousands":
            text = pc.replace_substring(text, ",", "")
        return text.cast(pa.float64())

    def notes(self, kind: str) -> list[str]:
        """What was understood, besides plain numbers."""
        notes = {"comma": ["decimal commas"], "thousands": ["commas between thousands"]}.get(
            kind, []
        )
        if _any(self.spaced):
            notes = [*notes, "blanks between thousands"]
        words = sorted({w for w in self._words.to_pylist() if w})
        return [*notes, *(f"'{word}' is a missing value" for word in words)]

    def _odd(self, plain: pa.ChunkedArray) -> tuple[int, str] | None:
        """Row (from 1) and text of the first value that is not a plain number.

        None if most values do not look like numbers.
        """
        looks = pc.and_(_matches(self._text, _LOOKS), pc.invert(_matches(self._text, _DATE)))
        num = len(self._given) - self._given.null_count
        if 2 * _count(pc.fill_null(looks, False)) <= num:
            return None
        row, _ = _first(self._text, pc.invert(plain))
        return row, str(self._given[row - 1].as_py())


@cache
def _missing() -> tuple[list[str], str]:
    """Words for a missing value, in lower case, and a regular expression of others."""
    query = "select missing_words(), dashes(), spreadsheet_errors()"
    con = scratch([query])
    words, dashes, errors = first_row(con, query)
    con.close()
    return sorted({*_MISSING, *(word.lower() for word in (*words, *dashes))}), errors


def _with_points(columns: Mapping[str, pa.ChunkedArray], found: Numerals) -> list[str]:
    """Names of the columns of plain numbers that have a decimal point in a value."""
    return [n for n in found.values if _any(pc.match_substring(columns[n], "."))]


def _refuse_point_thousands(
    columns: Mapping[str, pa.ChunkedArray],
    pointed: list[str],
    commas: list[_Spelled],
    what: str,
) -> None:
    """Raise InputError if points may separate thousands, because other columns have commas."""
    for name in pointed:
        points = pc.match_substring(columns[name], ".")
        if _count(points) == _count(_matches(columns[name], _POINT_THOUSANDS)):
            raise InputError(
                f"{what}: the point in column '{name}', as in '{_first(columns[name], points)[1]}',"
                " may be decimal or separate thousands, because commas are decimal in"
                f" {_named([s.name for s in commas])}; write a decimal point in both"
            )


def _matches(text: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.match_substring_regex(text, pattern)


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)


def _any(flags: pa.ChunkedArray) -> bool:
    return bool(pc.any(flags).as_py())


def _first(text: pa.ChunkedArray, flags: pa.ChunkedArray) -> tuple[int, str]:
    """Row (from 1) and text of the first value with a flag."""
    at = int(pc.index(flags, pa.scalar(True)).as_py())
    return at + 1, str(text[at].as_py())


def _named(names: list[str]) -> str:
    """The names of columns in words; of many, the first three and the number."""
    if len(names) == 1:
        return f"column '{names[0]}'"
    return f"{len(names)} columns ({listed(names, _SHOWN)})"
