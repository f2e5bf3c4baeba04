"""Texts in CSV that a spreadsheet would compute are guarded, and come back as they were."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unidino.core.spreadsheets import computed, guarded, unguarded


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "@SUM(A1)",
        "+1-555",
        "-x",
        "(-)-x"[3:],
        "-",
        "\t=1+1",
        "\tx",
        "\r=1",
        "'=1",
        "\uff1d1+1",
    ],
)
def test_a_text_like_a_formula_gets_an_apostrophe(text: str) -> None:
    rows = pl.DataFrame({text: [text, None]})
    assert guarded(rows).rows() == [(f"'{text}",), (None,)]
    assert guarded(rows).columns == [f"'{text}"]
    assert computed(rows) == [text]


@pytest.mark.parametrize(
    "text", ["-5", "+5", "-1.5e-3", "-.5", "a=1", "(=1)", "", " =1", "'x", "\r"]
)
def test_numbers_and_other_texts_stay(text: str) -> None:
    rows = pl.DataFrame({"a": [text]})
    assert guarded(rows).equals(rows)
    assert computed(rows) == unguarded(rows)[1] == []


def test_numbers_are_not_touched() -> None:
    rows = pl.DataFrame({"n": [-1], "f": [-1.5], "b": [True], "l": [["=1"]]})
    assert guarded(rows).equals(rows)


@given(st.lists(st.text(alphabet="'=+-@\t\r\n 15ex,\"", max_size=6), min_size=1))
def test_what_is_written_is_read_again(texts: list[str]) -> None:
    rows = pl.DataFrame({"a": texts})
    assert unguarded(guarded(rows))[0].equals(rows)
