"""Categories and numbers get colours and legends."""

import numpy as np
import polars as pl

from unidino.explorer.colours import CATEGORIES, NONE, OTHER, colours_of


def test_categories_have_colours_of_their_own_and_the_rest_is_grey() -> None:
    names = [f"c{i:02d}" for i in range(30) for _ in range(30 - i)]
    found = colours_of(pl.Series([*names, None, None]))
    assert [e.name for e in found.entries] == [
        *(f"c{i:02d}" for i in range(9)),
        "21 others",
        "none",
    ]
    assert sum(e.num for e in found.entries) == len(names) + 2
    assert [e.colour for e in found.entries[-2:]] == [OTHER, NONE]
    assert len({e.colour for e in found.entries}) == 11
    assert found.codes[0] == 0
    assert found.codes[-1] == 10
    assert found.codes[names.index("c20")] == 9


def test_numbers_are_a_scale_and_missing_ones_are_apart() -> None:
    found = colours_of(pl.Series([0.0, 5.0, 10.0, None, float("nan")]))
    assert found.codes.tolist() == [0, 0.5, 1, -0.25, -0.25]
    assert found.ends == ("0", "10")
    assert found.entries[0].num == 2
    assert found.colorscale[0][0] == 0
    assert found.colorscale[-1][0] == 1
    doses = colours_of(pl.Series([0.0, 0.1, 1.0, 100.0]))
    assert doses.is_log
    assert doses.ends == ("≤ 0.1", "100")
    np.testing.assert_allclose(doses.codes, [0, 0, 1 / 3, 1], atol=1e-6)
    assert colours_of(pl.Series([3, 3, 3])).codes.tolist() == [0.5] * 3
    assert colours_of(pl.Series([None, None])).entries[0].name == "none"
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 10
