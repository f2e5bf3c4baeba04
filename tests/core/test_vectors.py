"""Matrices of vectors as Arrow columns, and back."""

import numpy as np
import pyarrow as pa
import pytest

from unidino.core.vectors import matrix_of, vector_column


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("cuts", [[], [3], [2, 2, 5]])
def test_a_column_of_any_chunks_is_the_matrix_again(kind: type, cuts: list[int]) -> None:
    matrix = np.arange(42, dtype=kind).reshape(7, 6)
    chunks = [vector_column(rows) for rows in np.split(matrix, cuts)]
    again = matrix_of(pa.chunked_array(chunks))
    assert again.dtype == kind
    np.testing.assert_array_equal(again, matrix)
    assert matrix_of(pa.chunked_array(chunks).slice(1, 4)).tolist() == matrix[1:5].tolist()


def test_lists_that_differ_in_length_are_no_matrix() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        matrix_of(pa.chunked_array([pa.array([[1.0], [2.0, 3.0, 4.0]])]))
