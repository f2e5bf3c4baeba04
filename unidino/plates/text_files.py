"""Tables in text files, as spreadsheets and programs of all countries write them."""

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

import duckdb

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, literal_path, quoted, sql_error
from unidino.core.stopping import temporary_folder
from unidino.plates.reserved import free_names

_HEAD = 65536  # bytes that tell encoding and separator, if they have some lines
_LINES = 20
_WINDOWS = "cp1252"
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

    A first line `sep=;` names the separator; else it is the one by which most rows have as many
    cells as the header. A file in UTF-16 is told by its byte order mark; another file that is not
    UTF-8 is read as Windows-1252, which is said. Rows without any value, and columns without name
    and values, are left out. `_line` counts the lines from 1, without blank ones and line breaks in
    values.
    number_twins: of columns with one name, all but the first are numbered, which is said; else they
    are refused.
    Raises InputError that names the line that is wrong.
    """
    try:
        form = _form(path, number_twins=number_twins)
        with temporary_folder() as folder:
            file = path
            if form.encoding != "utf-8":
                file = _transcoded(path, folder, form.encoding)
            try:
                _create(con, name, file, form)
            except duckdb.InvalidInputException as error:
                if "not utf-8" in str(error):
                    form = form._replace(encoding=_WINDOWS)
                elif "state machine" not in str(error):  # as for line ends of several systems
                    raise
                file = _transcoded(path, folder, form.encoding)
                _create(con, name, file, form)
            if form.encoding == _WINDOWS:
                log.warning(
                    f"'{path}' is not UTF-8; it is read as Windows-1252, with texts such as"
                    f" {_example(file)}"
                )
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read the table '{path}': it is neither UTF-8 nor Windows-1252; save it as"
            " UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read the table '{path}': {error}") from error
    except duckdb.Error as error:
        raise InputError(f"cannot read the table '{path}': {_reason(error)}") from error


def _form(path: Path, *, number_twins: bool) -> _Form:
    """How a text file is written, by its first lines.

    Raises InputError if it has no header.
    """
    encoding, text = _head(path)
    skip, separator = 0, None
    first = text.partition("\n")[0].strip("\r\n")
    if told := re.fullmatch(r'"?sep=(.|\\t)"?', first, re.IGNORECASE):
        skip, separator = 1, told[1].replace("\\t", "\t")
        text = text.partition("\n")[2]
    if not text.partition("\n")[0].strip():
        raise InputError(f"'{path}' has no header: its first line is empty")
    separator = separator or _separator(text)
    header = [" ".join(cell.split()) for cell in _rows(text, separator, 1)[0]]
    header = free_names(header, path)
    named = [cell for cell in header if cell]
    if len(header) > 1 and len(named) == 1 and header[0]:
        raise InputError(
            f"the first line of '{path}' is '{header[0]}', which is a title, not the names of"
            " columns; delete the lines above these"
        )
    if twice := [cell for cell, num in Counter(c.lower() for c in named).items() if num > 1]:
        if not number_twins:
            raise InputError(f"'{path}' has two columns named '{twice[0]}'; rename one of them")
        log.warning(
            f"'{path}' has two columns named '{twice[0]}'; all but the first are numbered, as in"
            f" '{twice[0]}_1'"
        )
    return _Form(encoding, separator, skip, header)


def _head(path: Path) -> tuple[str, str]:
    """The encoding of a file, and its text up to some lines after the header.

    Raises InputError for bytes that are no text.
    """
    with _opened(path) as file:
        data = file.read(_HEAD)
        while data.count(b"\n") < _LINES and (more := file.read(len(data))):
            data += more
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", codecs.getincrementaldecoder("utf-16")().decode(data)
    if b"\0" in data:
        raise InputError(f"'{path}' is no text of UTF-8 or UTF-16; save it as CSV in UTF-8")
    try:
        return "utf-8", codecs.getincrementaldecoder("utf-8-sig")().decode(data)
    except UnicodeDecodeError:
        return _WINDOWS, data.decode(_WINDOWS)


def _opened(path: Path) -> IO[bytes]:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    return cast("IO[bytes]", opener(path, "rb"))


def _rows(text: str, separator: str, num: int) -> list[list[str]]:
    """The cells of the first rows; a value may have line breaks in quotes."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    with _long_values():
        return list(itertools.islice(reader, num))


@contextmanager
def _long_values() -> Iterator[None]:
    limit = csv.field_size_limit(1 << 30)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _separator(text: str) -> str:
    """The separator by which most rows have as many cells as the header, and more than one."""
    fits = {}
    for separator in _SEPARATORS:
        header, *rows = _rows(text, separator, _LINES)
        if len(header) > 1:
            fits[separator] = (sum(len(row) == len(header) for row in rows), len(header))
    return max(fits, key=lambda s: fits[s]) if fits else ","


def _titles(header: list[str]) -> list[str]:
    """Names of columns, all different: those without a name, and later ones, are numbered."""
    taken = {cell.lower() for cell in header}
    seen: set[str] = set()
    titles = []
    for place, cell in enumerate(header):
        title, number = cell or f"Unnamed: {place}", 0
        while (title.lower() in seen) or (title != cell and title.lower() in taken):
            number += 1
            title = f"{cell or 'Unnamed'}_{number}"
        seen.add(title.lower())
        titles.append(title)
    return titles


def _create(con: Connection, name: str, file: Path, form: _Form) -> None:
    titles = _titles(form.header)
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
    """The file in UTF-8 with one kind of line ends, in another folder."""
    target = folder / "table.csv"
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    with (
        _opened(path) as source,
        io.TextIOWrapper(source, encoding=encoding) as text,
        target.open("w", encoding="utf-8", newline="") as file,
    ):
        while chunk := text.read(_CHUNK):
            file.write(chunk)
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
