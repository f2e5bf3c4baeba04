"""Profiles as matrices: the same whether they were just made, are read, or are many."""

import numpy as np
import pytest

from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles import raw
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection

_CHOSEN = (
    Selection(),
    Selection(channels=("Tubulin", "DNA")),
    Selection(where="well <> 'B02'", compounds=["tiny-01", "DMSO"]),
    Selection(normalize="standardize+whiten,controls=all"),
)


@pytest.mark.parametrize("selection", _CHOSEN, ids=["all", "channels", "some", "mixed"])
def test_vectors_are_equal_however_they_come(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, selection: Selection
) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    (new,) = groups(lake, selection)
    (read,) = groups(lake, selection)
    assert (new.profiled.is_new, read.profiled.is_new) == (True, False)
    monkeypatch.setattr(raw, "_IN_MEMORY_BYTES", 0)
    lake.execute("delete from part where kind = 'profile'")
    (of_many,) = groups(lake, selection)
    assert of_many.profiled.is_new
    assert len(new.vectors) > 1
    for other in (read, of_many):
        assert other.vectors.dtype == new.vectors.dtype == np.float32
        np.testing.assert_array_equal(other.vectors, new.vectors)
        assert other.metadata.equals(new.metadata)
        assert other.channels == new.channels
