"""Entries of an instrument's index: their checked values, and rows that say what is wrong.

A row with a text in `_problem` costs its field: the manifest is refused, or the field is left out
with `--allow-incomplete`.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unidino.core.wells import row_number, well_name
from unidino.plates.tables import MEASUREMENT, PROBLEM

Row = dict[str, str | None]

NUM_ROWS, NUM_COLUMNS = 32, 48
_SHOWN = 60  # letters of a wrong value
_WHERE = {
    "plate": "plate",
    "well": "well",
    "field": "field",
    "channel_index": "channel",
    "z": "slice",
    "timepoint": "time point",
}
_REQUIRED = ("path", "plate", "well", "field", "channel")
MICROMETRES = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3}
NANOMETRES = {"m": 1e9, "mm": 1e6, "um": 1e3, "µm": 1e3, "μm": 1e3, "nm": 1.0}


class Entry:
    """Text values of one entry of an index.

    source: what messages call an entry, such as "'Index.xml' has an image".
    """

    def __init__(self, source: str, values: Mapping[str, str | None]) -> None:
        self._source = source
        self._values = values
        self._complaints: list[str] = []

    def text(self, name: str) -> str | None:
        """A value without blanks around it; None if it is missing or empty."""
        return (self._values.get(name) or "").strip() or None

    def complain(self, complaint: str) -> None:
        """Note what is wrong, in words that continue the source."""
        self._complaints.append(complaint)

    def needed(self, name: str) -> str | None:
        """A value that every entry must have."""
        value = self.text(name)
        if value is None:
            self.complain(f"without {name}")
        return value

    def whole(self, name: str, *, needed: bool = False) -> str | None:
        """A whole number as text without leading zeros; None if it is not one, which is noted."""
        value = self.needed(name) if needed else self.text(name)
        if value is not None and not re.fullmatch(r"[0-9]{1,18}", value):
            self.complain(f"with {name} '{value[:_SHOWN]}' instead of a whole number")
            return None
        return value and str(int(value))

    def side(self, name: str, most: int) -> str | None:
        """How many rows or columns a plate has; None if no plate has so many, which is noted."""
        value = self.whole(name)
        if value is not None and not (len(value) <= 2 and 1 <= int(value) <= most):
            self.complain(f"with {name} {value} instead of 1 to {most}")
            return None
        return value

    def length(self, name: str, unit: str, factors: Mapping[str, float]) -> str | None:
        """A length in the unit that the factors lead to.

        unit: of the value; factors: of the units that are known. None if the value is not a number
        or its unit is not known, which is noted; also for NaN, which means that there is no value.
        """
        value = self.text(name)
        if value is None:
            return None
        if unit not in factors:
            self.complain(f"with {name} in '{unit}' instead of one of {', '.join(factors)}")
            return None
        try:
            number = float(value) * factors[unit]
        except ValueError:
            number = math.inf
        if math.isinf(number):
            self.complain(f"with {name} '{value[:_SHOWN]}' instead of a number")
        return repr(number) if math.isfinite(number) else None

    def number(self, name: str) -> str | None:
        """A number as it is written; None if it is not one, which is noted."""
        value = self.text(name)
        return value if self.length(name, "", {"": 1.0}) else None

    def well(self, row: str, column: str) -> str | None:
        """The name of the well at the values of a row and a column, both counted from 1."""
        numbers = self.whole(row, needed=True), self.whole(column, needed=True)
        for name, number, most in zip((row, column), numbers, (NUM_ROWS, NUM_COLUMNS), strict=True):
            if number is not None and not 1 <= int(number) <= most:
                self.complain(f"with {name} {number} instead of 1 to {most}")
                return None
        if numbers[0] is None or numbers[1] is None:
            return None
        return well_name(int(numbers[0]), int(numbers[1]))

    def problem(self, values: Row) -> str | None:
        """The first complaint in a sentence that says where the entry belongs; None if none.

        values: the row of the entry.
        """
        if not self._complaints:
            return None
        known = [f"{word} {values[name]}" for name, word in _WHERE.items() if values.get(name)]
        where = f" ({', '.join(known)})" if known else ""
        return f"{self._source} {self._complaints[0]}{where}"

    def row(self, values: Row) -> Row:
        """The row of the entry, with its problem."""
        return values | {PROBLEM: self.problem(values)}


def unplaced(problem: str) -> Row:
    """A row of something that is wrong and that belongs to no field, such as a damaged index."""
    return dict.fromkeys(_REQUIRED) | {PROBLEM: problem}


def well_of_name(file: Path, row: str | None, column: str | None) -> Row:
    """The well at a row and a column that a file's name gives, or the problem.

    row: letters, A to AF, or a number from 1; column: a number from 1.
    """
    row, column = row or "", column or ""
    numbers = [0, int(column) if re.fullmatch(r"[0-9]{1,9}", column) else 0]
    if re.fullmatch(r"[A-Z]|A[A-F]", row.upper()):
        numbers[0] = row_number(row.upper())
    elif re.fullmatch(r"[0-9]{1,9}", row):
        numbers[0] = int(row)
    if 1 <= numbers[0] <= NUM_ROWS and 1 <= numbers[1] <= NUM_COLUMNS:
        return {"well": well_name(*numbers)}
    return {
        "well": None,
        PROBLEM: f"'{file}' has the row '{row}' and the column '{column}' in its name; a well is in"
        f" row A to AF or 1 to {NUM_ROWS}, and in column 1 to {NUM_COLUMNS}",
    }


def from_places(parts: Iterable[tuple[Path, Sequence[Row]]]) -> list[Row]:
    """The rows of several measurements, each with the place of its measurement.

    Two measurements with a well of one plate are refused when the manifest is built.
    """
    return [row | {MEASUREMENT: str(place)} for place, rows in parts for row in rows]
