"""Values of tables as short text of one line."""

import re
from decimal import Decimal
from typing import Any

_MAX_ITEMS = 6
_MAX_TEXT = 1000
# Characters that end a line, move the cursor, change the direction of text or cannot be printed.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def cell(value: Any) -> str:
    """A value as short text in one line, for people.

    Numbers have four digits, long vectors show their first items, and long texts their beginning.
    Line ends and other control characters are escaped: `\\n`.
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.1f}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list) and len(value) > _MAX_ITEMS:
        return f"[{', '.join(cell(v) for v in value[:4])}, ... {len(value)} values]"
    if isinstance(value, list):
        return f"[{', '.join(cell(v) for v in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{cell(k)}: {cell(v)}' for k, v in value.items())}}}"
    text = str(value)
    shown = one_line(text[:_MAX_TEXT])
    return shown if len(text) <= _MAX_TEXT else f"{shown}... {len(text):,} characters"


def first_line(error: BaseException) -> str:
    """The first line of what an error says; its kind if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def one_line(text: str) -> str:
    """The text in one line: line ends and other control characters are escaped."""
    if not _CONTROLS.search(text):
        return text
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
