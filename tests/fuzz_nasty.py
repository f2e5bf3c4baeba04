"""Values, texts and bytes that break programs, drawn from a random generator."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUMBERS = (
    *(
        "-1",
        "0",
        "00",
        "-0",
        "1.5",
        "1e9",
        "-1e9",
        "1e308",
        "1e400",
        "1e-320",
        "nan",
        "-inf",
        "inf",
    ),
    *("9" * 30, "9" * 5000, "2147483648", "9223372036854775808", "0x10", "1_0", "٣", "²", "1,5"),
    *("1000000", "1000000000", "32", "33", "48", "49", "65536", "1e", "+5", " 5 ", "5\n"),
)
TEXTS = (
    *("", " ", "x", "é", "😀", "a\nb", "a\tb", "\x01", "\x7f", "\u202e", "a" * 300, "a" * 5000),
    *("../../x", "/", "/etc/passwd", "a/b", "a\\b", ".", "..", "~", "a~", "-", "--", "*", "?", "["),
    *("'", '"', "'; drop table plate; --", "%s", "{}", "null", "NULL", "None", "NaN", "=1+1", "#"),
    *("A00", "A49", "ZZ99", "AG1", "A1", "a01", "P25", "con", "image", "select 1", "\\", "(", "[a"),
)
NESTED = ("[" * 5000 + "]" * 5000, "[" * 100000, '{"a":' * 20000 + "1" + "}" * 20000)


_SEARCHED = 20_000  # characters of a text in which a thing is looked for


def value(rng: random.Random) -> str:
    return rng.choice(NUMBERS if rng.random() < 0.5 else TEXTS)


def json_value(rng: random.Random) -> Any:
    """A value of JSON of any kind."""
    simple = (None, True, False, 0, -1, 1, 1.5, 1e308, float("nan"), float("inf"), 10**30, 10**9)
    match rng.randrange(6):
        case 0 | 1:
            return rng.choice(simple)
        case 2:
            return value(rng)
        case 3:
            return [rng.choice(simple) for _ in range(rng.randrange(4))]
        case 4:
            return {value(rng): rng.choice(simple)}
        case _:
            return [[[]]]


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """The bytes with a few changes: some flipped, cut, doubled, left out or added."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        if not changed:
            break
        at = rng.randrange(len(changed))
        match rng.randrange(7):
            case 0 | 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                changed[at] = rng.randrange(256)
            case 3:
                del changed[at : at + rng.randrange(1, 20)]
            case 4:
                changed[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
            case 5:
                changed[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x7f"))
            case 6 if rng.random() < 0.3:
                del changed[at:]
    return bytes(changed)


def mutate_text(rng: random.Random, text: str, things: str) -> str:
    """The text with one thing that a pattern finds, or its first group, changed or repeated."""
    found = list(re.finditer(things, text[:_SEARCHED]))
    if not found:
        return text
    match = rng.choice(found)
    start, end = match.span(1 if match.re.groups else 0)
    piece = text[start:end]
    match rng.randrange(8):
        case 0:
            new = ""
        case 1:
            new = piece * rng.choice((2, 3, 300 if len(piece) < 300 else 4))
        case 2:
            new = rng.choice(("<a>" * 3000, "&amp;" * 9, "]]>", "<!--", '"', "\0", "a" * 200_000))
        case _:
            new = value(rng)
    return text[:start] + new + text[end:]


def mutate_xml(rng: random.Random, text: str) -> str:
    """XML with other values of elements or attributes, or with elements left out or repeated."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        things = rng.choice(
            (r">([^<>]+)<", r'="([^"]*)"', r'="([^"]*)"', r"<[A-Za-z:]+[^<>]*/>", r"<([\w:]+)")
        )
        text = mutate_text(rng, text, things)
    return text


def mutate_json(rng: random.Random, document: Any) -> Any:
    """The document with one value replaced, left out or added, at any depth."""
    if rng.random() < 0.25 or not isinstance(document, dict | list) or not document:
        return json_value(rng)
    if isinstance(document, dict):
        key = rng.choice(list(document))
        match rng.randrange(6):
            case 0:
                return {k: v for k, v in document.items() if k != key}
            case 1:
                return {**document, value(rng): json_value(rng)}
        return {**document, key: mutate_json(rng, document[key])}
    at = rng.randrange(len(document))
    match rng.randrange(6):
        case 0:
            return document[:at] + document[at + 1 :]
        case 1:
            return [*document, document[at]]
    return [*document[:at], mutate_json(rng, document[at]), *document[at + 1 :]]


def mutate_json_file(rng: random.Random, path: Path) -> None:
    """Change a JSON file: its values, its bytes, or the depth of its nesting."""
    draw = rng.random()
    if draw < 0.75:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):  # it was changed before
            document = {}
        for _ in range(rng.choice((1, 1, 2, 3))):
            document = mutate_json(rng, document)
        path.write_text(json.dumps(document), encoding="utf-8", errors="surrogatepass")
    elif draw < 0.9:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    else:
        path.write_text(rng.choice(NESTED))


def mutate_file(
    rng: random.Random, path: Path, change: Callable[[random.Random, str], str]
) -> None:
    """Change a text file by a function of its text, or its bytes."""
    if rng.random() < 0.8:
        text = change(rng, path.read_text(encoding="utf-8", errors="replace"))
        path.write_text(text, encoding="utf-8", errors="replace")
    else:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))


def mutate_rows(rng: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """The rows of a table, its header first, with cells, rows and columns changed."""
    rows = [list(row) for row in rows]
    for _ in range(rng.choice((1, 1, 2, 5))):
        row, column = rng.randrange(len(rows)), rng.randrange(len(rows[0]))
        match rng.randrange(10):
            case 0 if len(rows[0]) > 1:
                rows = [[c for i, c in enumerate(r) if i != column] for r in rows]
            case 1:
                rows.insert(row, list(rows[row]))
            case 2 if len(rows) > 1:
                del rows[row]
            case 3:
                new = value(rng)
                rows = [[*r, new] for r in rows]
            case 4:
                rows[0][column] = value(rng)
            case _:
                if column < len(rows[row]):
                    rows[row][column] = value(rng)
    return rows
