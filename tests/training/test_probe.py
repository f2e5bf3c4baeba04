"""A probe judges the teacher, or says why it cannot."""

import pytest
from toy_training import TOY

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.training.train import train


def test_a_probe_judges_the_teacher(lake: Lake) -> None:
    log = train(lake, "toy", config=TOY, probe="labelled_sample")
    assert all(0 <= row["probe_tiny"] <= 1 for row in log)
    by_plate = "select *, compound as label, plate as exclude from training_sample"
    assert 0 <= train(lake, "plates", config=TOY, probe=by_plate)[-1]["probe_tiny"] <= 1
    with pytest.raises(InputError, match="lacks the column label"):
        train(lake, "other", config=TOY, probe="training_sample")
    with pytest.raises(InputError, match="no label that an allowed neighbour has too"):
        train(lake, "other", config=TOY, probe="select *, compound as label from training_sample")
