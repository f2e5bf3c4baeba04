"""What a kind of model says about its models."""

from typing import get_args

import pytest

from unidino.core import assets
from unidino.models.config import ModelConfig, vector_names
from unidino.models.kinds import KINDS, Kind


def test_the_catalog_knows_every_kind() -> None:
    assert list(KINDS) == list(get_args(Kind))
    (ddl,) = (text for text in assets.ddl() if "exists model (" in text)
    assert f"kind in ({', '.join(repr(kind) for kind in KINDS)})" in ddl


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("vit", None),
        ("gaussian", None),
        ("cellprofiler", ["*", "Shape", "Correlation"]),
        ("imported", ["features"]),
    ],
)
def test_vectors_are_named_by_channels_or_by_groups(kind: Kind, names: list[str] | None) -> None:
    assert vector_names(ModelConfig(kind=kind, num_dims=1)) == names


def test_vectors_of_several_channels_are_named_by_all() -> None:
    config = ModelConfig(kind="vit", num_dims=1, input_channels=("DNA", "ER"))
    assert vector_names(config) == ["DNA+ER"]
    assert config.num_inputs == 2
