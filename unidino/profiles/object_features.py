"""Which columns of a table with a row a cell are features, which tell of its image or its place.

Names decide: of cells nothing is learnt from values, so that a table is read once.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from unidino.core.account import Account, ends_of, listed
from unidino.core.errors import InputError
from unidino.core.patterns import compiled, in_time
from unidino.plates.concentration import is_of_concentration
from unidino.profiles import feature_columns
from unidino.profiles.feature_columns import METADATA, canonical
from unidino.profiles.mapping import columns_of

_NUMBER = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|REAL|DECIMAL\(.*\))", re.I)
_NUMBERING = re.compile(
    r"(^|[_ ])(\w*ObjectNumber(_\w+)?|ImageNumber|TableNumber|Number_Object_Number|Parent_\w+"
    r"|object[_ ]?id|cell[_ ]?id|object[_ ]?number)$",
    re.IGNORECASE,
)
_OBJECT = re.compile(r"(^|[_ ])(ObjectNumber|object[_ ]?id|cell[_ ]?id|object[_ ]?number)$", re.I)
_PLACED = re.compile(
    r"(^|[_ ])(Location_(Center|CenterMass|Max)\w*_[XYZ]|AreaShape_Center_[XYZ]"
    r"|AreaShape_BoundingBox(Minimum|Maximum)_[XYZ]|cg [XYZ]|Max (left|top) border"
    r"|(centroid|center|centre|position)[_ -]?[xyz01])(\b|_| |$)",
    re.IGNORECASE,
)
_OF_FILES = re.compile(r"(^|_)(FileName|PathName|URL|Series|Frame|MD5Digest)_", re.IGNORECASE)
_SLICES = ("T", "Z")  # of IN Carta
_OF_WELLS = ("place", "dose", "time", "culture", "molar mass")
_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?", re.IGNORECASE)
_SHOWN = 12


@dataclass(frozen=True)
class ObjectColumns:
    """The columns of a table with a row a cell.

    features: numbers that are measured of the cell. of_image: columns that say where it is from.
    number: the column that numbers the cells of an image, if there is one. places: numbers that
    place the cell in its image, which are kept with single cells. left_out: other columns of
    numbers, and why they are no features.
    """

    features: list[str]
    of_image: list[str]
    number: str | None
    places: list[str]
    left_out: dict[str, str]


def choose_columns(
    columns: Mapping[str, str],
    mapped: Mapping[str, str],
    pattern: str | None,
    source: str,
    account: Account,
) -> ObjectColumns:
    """What each column is; the account says what is and is not a feature.

    columns: types of DuckDB by name. mapped: see `parse_map`. pattern: regular expression that the
    names of features match; with it, columns that number, count or place cells may be features.
    source: the table, for messages. Raises InputError if there is no feature.
    """
    named = set(columns_of(mapped, list(columns)).values())
    told = " ".join(mapped.values()).lower()
    of_image = [c for c in columns if c in named or tells_of_image(c, told)]
    wanted = compiled("--features", pattern or "")
    features, places, left_out, texts = [], [], {}, []
    names = set(columns)
    with in_time("--features", pattern or "", len(columns)):
        for column, kind in columns.items():
            if column.startswith("_") or (column in of_image and canonical(column) is not None):
                continue
            if column in named or METADATA.match(column):
                continue
            if not _NUMBER.fullmatch(kind):
                if column not in of_image:
                    texts.append(column)
                continue
            why = why_no_feature(column, names)
            if why is None and _WHOLE.fullmatch(kind) and feature_columns.is_identifier(column):
                why = "identifier"
            if why == "place of the cell":
                places.append(column)
            if (not wanted.search(column)) if pattern else why is not None:
                if why:
                    left_out[column] = why
                continue
            features.append(column)
    if not features:
        why_none = f" matches '{pattern}'" if pattern else ""
        raise InputError(f"{source} has no features: no column of numbers{why_none}")
    number = next((c for c in columns if _OBJECT.search(c)), None)
    _say(features, left_out, texts, account)
    return ObjectColumns(features, of_image, number, places, left_out)


def is_of_files(column: str) -> bool:
    """Whether a column names files of an image or numbers it; it tells nothing of its well."""
    return bool(_OF_FILES.search(column) or _NUMBERING.search(column)) or column == "filename"


def tells_of_image(column: str, told: str) -> bool:
    """Whether a column says which image a cell is of. told: expressions of --map."""
    if _NUMBERING.search(column):
        return bool(re.search(r"(^|_)ImageNumber$", column, re.IGNORECASE))
    if column == "filename" or (len(column) > 1 and column.lower() in told):
        return True
    if METADATA.match(column) or _OF_FILES.search(column):
        return True
    if canonical(column) is not None or is_of_concentration(column):
        return True
    return feature_columns.by_name(column, set()) in _OF_WELLS


def why_no_feature(column: str, columns: Collection[str] = ()) -> str | None:
    """Why a column of numbers is no feature of a cell, by its name among those of its table."""
    if _NUMBERING.search(column):
        return "numbering"
    if column in _SLICES:
        return "of images"
    if _PLACED.search(column):
        return "place of the cell"
    if _OF_FILES.search(column):
        return "of files"
    return feature_columns.by_name(column, set(columns))


def _say(
    features: Sequence[str],
    left_out: Mapping[str, str],
    texts: Sequence[str],
    account: Account,
) -> None:
    by_reason: dict[str, list[str]] = {}
    for column, why in left_out.items():
        by_reason.setdefault(why, []).append(column)
    if by_reason:
        told = ", ".join(f"{listed(names, 4)} ({why})" for why, names in by_reason.items())
        account.say("not features", f"{told}; --features takes columns that it matches")
    if texts:
        account.say("not features", f"texts: {listed(texts, _SHOWN)}")
    account.say("features", f"{len(features)}: {ends_of(features)}")
