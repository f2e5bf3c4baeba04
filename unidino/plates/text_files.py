"""Tables in text files, as spreadsheets and programs of all countries write them."""

import codecs
import csv
import gzip
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import duckdb

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, literal_path, quoted, sql_error

_HEAD = 65536  # bytes that tell encoding and separator
_SEPARATORS = ",;\t|"
_CHUNK = 1 << 22


class _Form(NamedTuple):
    """How a file is written. skip: lines before the header."""

    encoding: str
    separator: str
    skip: int
    header: list[str]


def create_from_text(con: Connection, name: str, path: Path, *, number_twins: bool = False) -> None:
    """Create a table of text from a CSV or TSV file, with the columns of its first line.

    A first line `sep=;` names the separator; else it is the one that makes most columns. A file in
    UTF-16 is told by its byte order mark; another file that is not UTF-8 is read as Windows-1252,
    which is said. Rows without any value, and columns without name and values, are left out.
    `_line` is the line in the file, counted from 1, if no value has a line break.
    number_twins: of columns with one name, all but the first are numbered, which is said; else they
    are refused.
    Raises InputError that names the line that is wrong.
    """
    form = _form(path, number_twins=number_twins)
    try:
        with TemporaryDirectory(prefix="unidino-") as folder:
            file = path
            if form.encoding != "utf-8":
                file = _transcoded(path, Path(folder), form.encoding)
            try:
                _create(con, name, file, form)
            except duckdb.InvalidInputException as error:
                if "not utf-8" not in str(error):
                    raise
                file = _transcoded(path, Path(folder), "cp1252")
                _create(
                    con,
                    name,
                    file,
                    form._replace(header=_form(file, number_twins=number_twins).header),
                )
                log.warning(
                    f"'{path}' is not UTF-8; it is read as Windows-1252, with texts such as"
                    f" {_example(file)}"
                )
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read the table '{path}': it is neither UTF-8 nor {error.encoding}; save it as"
            " UTF-8"
        ) from error
    except duckdb.Error as error:
        raise InputError(f"cannot read the table '{path}': {_reason(error)}") from error


def _form(path: Path, *, number_twins: bool) -> _Form:
    """How a text file is written, by its first lines.

    Raises InputError if it has no header.
    """
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(f"cannot read the table '{path}': {error}") from error
    encoding = "utf-8"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in head:
        raise InputError(f"'{path}' is no text of UTF-8 or UTF-16; save it as CSV in UTF-8")
    text = head.decode(encoding, errors="replace").lstrip("\ufeff")
    lines = text.splitlines()[:20]
    skip, separator = 0, None
    if lines and (told := re.fullmatch(r'"?sep=(.|\\t)"?', lines[0].strip("\r\n"), re.IGNORECASE)):
        skip, separator = 1, told[1].replace("\\t", "\t")
    rows = lines[skip:]
    if not rows or not rows[0].strip():
        raise InputError(f"'{path}' has no header: its first line is empty")
    separator = separator or max(_SEPARATORS, key=lambda s: _fit(rows, s))
    header = [cell.strip() for cell in _cells(rows[0], separator)]
    named = [cell for cell in header if cell]
    if len(header) > 1 and len(named) == 1 and header[0]:
        raise InputError(
            f"the first line of '{path}' is '{header[0]}', which is a title, not the names of"
            " columns; delete the lines above these"
        )
    if twice := [cell for cell, num in Counter(c.lower() for c in named).items() if num > 1]:
        if not number_twins:
            raise InputError(f"'{path}' has two columns named '{twice[0]}'; rename one of them")
        header = _numbered(header)
        log.warning(
            f"'{path}' has two columns named '{twice[0]}'; all but the first are numbered, as in"
            f" '{twice[0]}_1'"
        )
    return _Form(encoding, separator, skip, header)


def _numbered(header: list[str]) -> list[str]:
    """The names, with numbers behind those that are there already."""
    taken: Counter[str] = Counter()
    names = []
    for cell in header:
        number = taken[cell.lower()]
        names.append(f"{cell}_{number}" if cell and number else cell)
        taken[cell.lower()] += 1
    return names


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _fit(rows: list[str], separator: str) -> tuple[int, int]:
    """How well a separator fits: columns of the header, then rows with as many."""
    width = len(_cells(rows[0], separator))
    return width, sum(len(_cells(row, separator)) == width for row in rows)


def _create(con: Connection, name: str, file: Path, form: _Form) -> None:
    titles = [title or f"column{number}" for number, title in enumerate(form.header)]
    con.execute(
        f"create or replace table {quoted(name)} as"
        " select *, row_number() over () + 1 + $skip as _line from read_csv($path,"
        " auto_detect = false, columns = $columns, header = true, delim = $separator,"
        " skip = $skip, nullstr = $missing, quote = '\"', escape = '\"')"
        f" qualify coalesce({', '.join(map(quoted, titles))}) is not null",
        {
            "path": literal_path(file),
            "separator": form.separator,
            "skip": form.skip,
            "missing": first_row(con, "select missing_words()")[0],
            "columns": dict.fromkeys(titles, "varchar"),
        },
    )
    for title, column in zip(form.header, map(quoted, titles), strict=True):
        if not title and first_row(con, f"select count({column}) from {quoted(name)}") == (0,):
            con.execute(f"alter table {quoted(name)} drop column {column}")


def _transcoded(path: Path, folder: Path, encoding: str) -> Path:
    """The file in UTF-8, in another folder."""
    target = folder / "table.csv"
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    decoder = codecs.getincrementaldecoder(encoding)()
    with opened(path, "rb") as source, target.open("w", encoding="utf-8", newline="") as file:
        while chunk := source.read(_CHUNK):
            file.write(decoder.decode(chunk))
        file.write(decoder.decode(b"", final=True))
    return target


def _example(file: Path) -> str:
    """Some words of a text that are not ASCII."""
    with file.open(encoding="utf-8") as text:
        words = (
            w for line in text for w in re.findall(r"[^\s,;\t|]*[^\x00-\x7f][^\s,;\t|]*", line)
        )
        return ", ".join(
            f"'{word}'" for word, _ in zip(dict.fromkeys(words), range(3), strict=False)
        )


def _reason(error: duckdb.Error) -> str:
    """What is wrong with a text file, in one line, from the message of DuckDB."""
    parts = re.search(r"CSV Error on Line: (\d+)\n(.*?)\n\s*Possible", str(error), re.DOTALL)
    if not parts:
        return sql_error(error)
    last = [line.strip() for line in parts[2].splitlines() if line.strip()][-1]
    return f"line {parts[1]}: {last}"
