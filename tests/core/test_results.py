"""Results print as tables, and stay what they are."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from unidino.core.errors import ProfileError
from unidino.core.reasons import WhyNot, reason_text
from unidino.core.results import Result, Results, as_html, as_text
from unidino.core.text import cell
from unidino.core.vectors import matrix_of, vector_column


@dataclass(frozen=True)
class _Count(Result):
    name: str
    num: int
    parts: tuple[str, ...] = ()


def test_one_result_is_a_row() -> None:
    result = _Count("a", 2, ("x", "y"))
    assert result.frame.rows() == [("a", 2, "x, y")]
    assert str(result).splitlines()[0].split() == ["name", "num", "parts"]
    assert result._repr_html_().count("<td>") == 3


def test_several_results_are_a_sequence_and_a_table() -> None:
    counts = [_Count("a", 1), _Count("b", 22)]
    results = Results(counts, lambda items: pl.concat([i.frame for i in items]))
    assert list(results) == counts
    assert results[1] == counts[1]
    assert len(results[:1]) == 1
    assert results.frame["num"].to_list() == [1, 22]
    assert repr(results).splitlines()[-1].startswith("b")


def test_long_tables_are_cut_and_text_is_escaped() -> None:
    frame = pl.DataFrame({"name": ["<b>"] * 70})
    assert as_text(frame).endswith("... and 10 more rows")
    page = as_html(frame)
    assert "<b>" not in page
    assert page.count("<tr>") == 61


def test_reasons_are_raised_only_if_nothing_was_done(caplog: pytest.LogCaptureFixture) -> None:
    def collected() -> WhyNot:
        why_not = WhyNot()
        for name in ("first", "second", "first"):
            with why_not.collecting(name):
                raise ProfileError("no wells")
        return why_not

    collected().settle(anything_done=True, nothing="nothing fits")
    assert caplog.messages == ["first: no wells", "second: no wells"]
    with pytest.raises(ProfileError, match=r"^first: no wells$"):
        collected().settle(anything_done=False, nothing="nothing fits")
    with pytest.raises(ProfileError, match=r"^nothing fits$"):
        WhyNot().settle(anything_done=False, nothing="nothing fits")
    with pytest.raises(ValueError, match="a bug"), WhyNot().collecting("first"):
        raise ValueError("a bug")


def test_every_reason_has_words() -> None:
    text = "3 profiles have a label that only one compound has"
    assert reason_text("label_in_one_compound", 3) == text
    assert reason_text("label_in_one_batch", 1) == "1 profile has a label that only one batch has"
    assert reason_text("empty", 1) == "1 empty well is not scored"
    assert reason_text("some_new_reason", 2) == "2 some new reason"


@given(st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_matrices_come_back_from_columns(num: int, num_dims: int, fixed: bool) -> None:
    matrix = np.random.default_rng(num).normal(size=(num, num_dims)).astype(np.float32)
    column = vector_column(matrix, fixed=fixed)
    np.testing.assert_array_equal(matrix_of(pa.chunked_array([column])), matrix)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\nlines\tand \x1b[31m", "two\\nlines\\tand \\x1b[31m"),
        ("evil\u202etxt\u2028", "evil\\u202etxt\\u2028"),
        ("naïve 日本 😀", "naïve 日本 😀"),
        (["a\nb"], "[a\\nb]"),
        ({"k\n": [1, None]}, "{k\\n: [1, ]}"),
        (Decimal("1E+5"), "100000"),
        ("x" * 1500, "x" * 1000 + "... 1,500 characters"),
    ],
)
def test_a_cell_is_one_line(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_wide_characters_keep_the_columns_aligned() -> None:
    frame = pl.DataFrame({"name": ["日本語", "ab"], "n": [1, 2]})
    lines = as_text(frame).splitlines()
    assert [cell_len(line) for line in lines] == [10] * 4
    assert len(as_text(pl.DataFrame({"a\nb": ["x\ny"]})).splitlines()) == 3
