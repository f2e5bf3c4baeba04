"""HTD files of MetaXpress: the settings of a plate, a line each, such as `"WaveName1", "DAPI"`."""

import codecs
import re
from pathlib import Path

from unidino.core.documents import refuse_special
from unidino.core.errors import InputError

Settings = dict[str, str]

_LINE = re.compile(r'\s*"?(\w+)"?\s*,\s*(.*?)\s*')
_SIDES = {"XWells": 48, "YWells": 32}  # of a plate of 1536 wells
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_settings(htd: Path) -> Settings:
    """First value of each setting of an HTD file.

    Raises InputError if it is not an HTD file, or if the size of the plate is not a number.
    """
    try:
        refuse_special(htd)
        text = _decoded(htd.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{htd}': {error}") from error
    settings: Settings = {}
    for line in re.split(r"\r\n|\r|\n", text):
        if match := _LINE.fullmatch(line):
            settings[match[1]] = _first(match[2])
    if "HTSInfoFile" not in settings:
        raise InputError(f"'{htd}' is not an HTD file of MetaXpress")
    for name, most in _SIDES.items():
        text = settings.get(name, "1")
        if not (re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= most):
            raise InputError(f"'{htd}' has {name} '{text[:60]}' instead of 1 to {most} wells")
    return settings


def _decoded(data: bytes) -> str:
    """The text of a file: by its byte order mark, else UTF-16 or UTF-8 if it is, else Latin-1."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding)
    if data[1::2].count(0) > len(data) // 4:
        return data.decode("utf-16-le")
    if data[::2].count(0) > len(data) // 4:
        return data.decode("utf-16-be")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _first(values: str) -> str:
    """The first of the values behind a setting's name; a text may have quotes and commas within."""
    if quoted := re.fullmatch(r'"((?:[^"]|"")*)"\s*(?:,.*)?', values):
        return quoted[1].replace('""', '"').strip()
    if re.fullmatch(r'".+"', values):
        return values[1:-1].strip()
    return values.partition(",")[0].strip()
