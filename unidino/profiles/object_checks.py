"""What is odd about a table with a row a cell: numbers that are texts, and cells that are twice."""

import re
from collections.abc import Mapping

from unidino.core.account import Account, number_of
from unidino.core.errors import InputError
from unidino.core.patterns import compiled, in_time
from unidino.core.sql import Connection, first_row, quoted
from unidino.profiles.object_features import ObjectColumns, why_no_feature

_HEAD = 2000  # rows that show how numbers are written
_IMAGE_NUMBER = re.compile(r"(^|_)ImageNumber$", re.IGNORECASE)
_WHOLE = "[-+]?[0-9]+"
# A decimal, a number in groups of thousands, or one below or above a limit: no date, no version.
_LIKE_A_NUMBER = (
    r"[<>]?\s*[-+]?([0-9]*[.,]?[0-9]+|[0-9]{1,3}([., '][0-9]{3})+([.,][0-9]+)?)"
    r"([eE][-+]?[0-9]+)?\s*%?"
)


def refuse_numbers_as_text(
    con: Connection,
    kinds: Mapping[str, str],
    columns: ObjectColumns,
    pattern: str | None,
    source: str,
) -> None:
    """Raise InputError for a column of numbers that are written so that they are texts.

    Whole numbers that are texts may be names: their column is no feature, as the account says.
    """
    wanted = compiled("--features", pattern or "")
    with in_time("--features", pattern or "", len(kinds)):
        texts = [
            column
            for column, kind in kinds.items()
            if kind == "VARCHAR" and column not in columns.of_image and wanted.search(column)
        ]
    for column in texts:
        if why_no_feature(column) is not None or column == "filename":
            continue
        name = quoted(column)
        odd, are_numbers = first_row(
            con,
            "select any_value(value) filter (where not regexp_full_match(value, $whole)),"
            " count(*) filter (where regexp_full_match(value, $number)) > count(*) / 2"
            f" from (select trim({name}) as value from _object where {name} is not null"
            f" limit {_HEAD})",
            {"whole": _WHOLE, "number": _LIKE_A_NUMBER},
        )
        if are_numbers and odd is not None:
            raise InputError(
                f"{source}: the numbers of '{column}' are texts, such as '{odd}'; write plain"
                " numbers with decimal points, or take the column out"
            )


def say_twins(con: Connection, images: str | None, number: str | None, account: Account) -> None:
    """Say how many cells have the number of another cell of their image, and count all the same."""
    if number is None:
        return
    of_images = images or "_object"
    named = [c for c, *_ in con.execute(f"describe {of_images}").fetchall()]
    numbered = [c for c in named if _IMAGE_NUMBER.search(c)][:1]
    keys = ["_line", "_field", quoted(number), *map(quoted, numbered)]
    join = ""
    if images and numbered:
        join = f" inner join (select _image, {quoted(numbered[0])} from {images}) using (_image)"
    (num,) = first_row(
        con,
        f"select coalesce(sum(n - 1), 0) from (select count(*) as n from _cell{join}"
        f" group by {', '.join(dict.fromkeys(keys))} having n > 1)",
    )
    if num:
        account.warn(
            "cells",
            f"{number_of(int(num), 'cell')} {'has' if num == 1 else 'have'} the {number} of another"
            f" cell of {'its' if num == 1 else 'their'} well and image, and all count; a table or"
            " a time point may be there twice",
        )
