"""Which columns of numbers are no features: they number, count or place the rows of a table.

Names are compared without case, blanks and signs: `Well Row`, `well_row` and `WellRow` are one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.wells import well_place
from unidino.plates.concentration import is_of_concentration

METADATA = re.compile(r"^(image_)?metadata_", re.IGNORECASE)
INDEX = "index"
_MIN_ROWS = 8  # fewer whole numbers may count the rows by chance
_PARTS = ("", "number", "num", "no", "nr", "index", "idx", "id")
_PLACES = (
    "row", "column", "col", "well", "wellrow", "wellcolumn", "wellcol", "platerow", "platecolumn",
    "platecol", "plate", "quadrant",
)  # fmt: skip
_NUMBERED = (
    "site", "field", "fov", "fieldofview", "image", "object", "tile", "frame", "position", "slice",
    "zslice", "group", "table", "batch", "run", "experiment", "series", "replicate", "rep",
    "biologicalreplicate", "technicalreplicate", "biorep", "techrep", "sample",
)  # fmt: skip
_POOLED = (
    "well", "site", "field", "image", "plate", "replicate", "row", "tile", "profile", "member",
    "sample", "observation",
)  # fmt: skip
_NAMES = {
    INDEX: {"", "index", "idx", "level0", "rownames", "rowname", "rowid", "rownumber"},
    "place": {place + part for place in _PLACES for part in _PARTS},
    "numbering": {
        *(name + part for name in _NUMBERED for part in _PARTS),
        *("cellid", "cellindex", "numberobjectnumber"),
    },
    "count": {
        *("count", "counts", "n", "num", "number", "total", "nobs"),
        *(
            text
            for name in _POOLED
            for text in (
                f"n{name}s",
                f"num{name}s",
                f"number{name}s",
                f"numberof{name}s",
                f"{name}count",
                f"{name}scount",
                f"count{name}s",
            )
        ),
    },
}
_INDEX_NAMES = re.compile(r"__.*index.*__|level_\d+|unnamed[:_ ]*\d+.*|\.\.\.\d+", re.IGNORECASE)
_DOSE = re.compile(
    r"(pert|perturbation|compound|cpd|drug|treatment|final|nominal|log|log10|ln)*"
    r"(conc|concentration|dose|dosage)s?(in)?"
    r"([mun\u00b5\u03bcp]?m|[mun\u00b5\u03bcp]?mol(ar|es)?(l|perl|perliter|perlitre)?"
    r"|[mun\u00b5\u03bc]g(ml|perml))?(log10|log2|log|ln|index|level|rank|group|class|bin|number)?\d*"
    r"|(log10|log2|log|ln|p)?([mun\u00b5\u03bcp]m|[mun\u00b5\u03bc]gml)"
)
_TIME = re.compile(
    r"(acquisition|imaging|measurement|seeding|treatment|incubation|exposure|plating|start|end|elapsed)*"
    r"(date|time|datetime|timestamp|day|week|hour|minute|second)s?(point|code|stamp|number|no)?"
    r"(h|hr|hrs|hour|hours|min|minutes|ms|s|sec|seconds|d|days)?"
)
_CULTURE = re.compile(
    r"(cell)?(passage|seedingdensity|platingdensity|seedingnumber|seededcells)(s|number|num|no|nr)?"
    r"|cells(seeded|perwell)|div|divs"
)
_MOLAR_MASS = re.compile(
    r"mw|mol(ecular)?(weight|wt|mass)|molarmass|(exact|monoisotopic)mass|mw?gmol|molarmassgmol"
)
_BY_PATTERN = {
    "dose": _DOSE, "time": _TIME, "culture": _CULTURE, "molar mass": _MOLAR_MASS,
}  # fmt: skip
_DOSE_WORDS = {
    "concentration", "concentrations", "conc", "dose", "doses", "idose", "dosage", "dilution",
    "moi",
}  # fmt: skip
_SOLVENT = {"dmso", "percent", "pct"}
_COMPARTMENTS = {"cells", "nuclei", "cytoplasm", "cell", "nucleus", "image"}
_IDENTIFIERS = {"id", "cid", "barcode"}


def canonical(column: str) -> str | None:
    """The column of the manifest that a name means, if any."""
    return _meanings().get(METADATA.sub("", column.strip()).lower())


@cache
def _meanings() -> dict[str, str]:
    """Columns of the manifest by name and alias."""
    properties = assets.manifest_schema()["properties"]
    return {a: name for name, rule in properties.items() for a in (name, *rule.get("aliases", ()))}


def by_name(column: str, columns: set[str]) -> str | None:
    """Why a column of numbers is no feature, by its name among the columns of its table."""
    if _INDEX_NAMES.fullmatch(column.strip()):
        return INDEX
    key = re.sub(r"[\W_]", "", column.lower())
    if not key and column.strip():
        return None
    for reason, names in _NAMES.items():
        if key in names:
            return reason
    if _is_dose(column):
        return "dose"
    return next((why for why, pattern in _BY_PATTERN.items() if pattern.fullmatch(key)), None)


def is_identifier(column: str) -> bool:
    """Whether whole numbers of a column identify something, by its name."""
    return bool(set(_tokens(column)[-1:]) & _IDENTIFIERS)


def _is_dose(column: str) -> bool:
    """Whether a name says that a column has doses: as its last word, or before a number or unit."""
    tokens = _tokens(METADATA.sub("", column))
    if not tokens or tokens[0] in _COMPARTMENTS:
        return False
    if tokens[0] == "dmso" and set(tokens) <= _SOLVENT:
        return True
    while len(tokens) > 1 and (len(tokens[-1]) <= 2 or tokens[-1].isdigit()):
        tokens.pop()
    if tokens[-1] in _DOSE_WORDS or tokens[-2:] == ["dilution", "factor"]:
        return True
    is_mass = _MOLAR_MASS.fullmatch(re.sub(r"[\W_]", "", column.lower()))
    return is_of_concentration(column) and not is_mass


def by_values(
    columns: Mapping[str, pa.ChunkedArray],
    values: NDArray[np.float64],
    plates: Sequence[str | None] | None,
    wells: Sequence[str | None] | None,
) -> dict[str, str]:
    """Why columns of whole numbers are no features, by their values (N, D) in the order of rows.

    They number the rows of the table or of each plate, or are the rows or columns of the wells, or
    identifiers. columns: the D columns as in the file, where an index is written without a point.
    plates, wells: of the rows, if the table has them.
    """
    found: dict[str, str] = {}
    names = list(columns)
    starts = _starts(plates, len(values))
    places = _places(wells)
    for i in np.flatnonzero(_are_whole(values[:_MIN_ROWS])):
        column = values[:, i]
        if not _are_whole(column):
            continue
        if is_identifier(names[i]):
            found[names[i]] = "identifier"
        elif len(values) < _MIN_ROWS or not _is_integer(columns[names[i]]):
            continue
        elif _counts(column, starts):
            found[names[i]] = "numbers the rows"
        else:
            for what, place in places.items():
                offset = column[0] - place[0]
                if offset in (-1, 0) and (column - place == offset).all():
                    found[names[i]] = f"is the {what} of the well"
    return found


def counted(names: Iterable[str]) -> list[str]:
    """The names that say that they count objects."""
    return [
        n for n in names if {"count", "counts", "num"} & set(_tokens(n)) or "number_of" in n.lower()
    ]


def _are_whole(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether all values of each column are whole numbers or missing."""
    whole: NDArray[np.bool_] = ((np.mod(values, 1) == 0) | np.isnan(values)).all(axis=0)
    return whole


def _tokens(name: str) -> list[str]:
    return [t.lower() for t in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def _is_integer(column: pa.ChunkedArray) -> bool:
    """Whether the values are written as whole numbers: 3, not 3.0."""
    if pa.types.is_integer(column.type):
        return True
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    return bool(pc.all(pc.match_substring_regex(column, r"^\s*[-+]?\d+\s*$")).as_py())


def _starts(plates: Sequence[str | None] | None, num: int) -> NDArray[np.bool_]:
    """Whether each row (N,) is the first of its plate."""
    starts = np.zeros(num, dtype=bool)
    starts[:1] = True
    if plates is not None:
        named = np.asarray(plates, dtype=object)
        starts[1:] = named[1:] != named[:-1]
    return starts


def _counts(column: NDArray[np.float64], starts: NDArray[np.bool_]) -> bool:
    """Whether whole numbers (N,) rise by 1 from row to row, or anew on each plate."""
    rises = np.diff(column) == 1
    if rises.all():
        return True
    long_enough = len(column) >= _MIN_ROWS * starts.sum()
    return bool(long_enough and rises[~starts[1:]].all() and (column[starts] == column[0]).all())


def _places(wells: Sequence[str | None] | None) -> dict[str, NDArray[np.float64]]:
    """Rows and columns (N,) of the wells; empty if a well has no such name, or all are one."""
    if wells is None or not len(wells):
        return {}
    texts = [str(well).strip().upper() for well in wells]
    if not all(re.fullmatch(r"[A-Z]|A[A-F]", t.rstrip("0123456789")) for t in texts):
        return {}
    if not all(re.fullmatch(r"\d{1,3}", t.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) for t in texts):
        return {}
    places = np.array([well_place(text) for text in texts], dtype=np.float64)
    named = {"row": places[:, 0], "column": places[:, 1]}
    return {what: place for what, place in named.items() if len(np.unique(place)) > 1}
