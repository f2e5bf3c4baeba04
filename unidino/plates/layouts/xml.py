"""XML of vendors, parsed without entities."""

from pathlib import Path
from typing import Any

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from unidino.core.documents import refuse_special
from unidino.core.errors import InputError


def read_xml(path: Path, kind: str) -> Any:
    """The root element of an XML file.

    Raises InputError that names the file and what it should be.
    """
    try:
        refuse_special(path)
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    return parse_xml(text, path, kind)


def parse_xml(text: str | bytes, path: Path, kind: str) -> Any:
    """The root element of an XML text from a file.

    Raises InputError that names the file and what it should be.
    """
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InputError(f"'{path}' is not a valid {kind}: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise InputError(f"'{path}' is not a valid {kind}: it is nested too deeply") from error


def attributes(element: Any) -> dict[str, str]:
    """Attributes of an element, by their names without namespaces."""
    return {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
