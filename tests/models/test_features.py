"""Features of measured models have the names that cp_measure gives them."""

import numpy as np
import pytest

from unidino.models.cellprofiler import _groups, measure
from unidino.models.config import ModelConfig
from unidino.models.features import NUM_DIMS, feature_names, group_names

MEASURED = ModelConfig(kind="cellprofiler", num_dims=NUM_DIMS)
CHANNELS = ["Tubulin", "DNA", "Actin"]


def _planes(num: int) -> np.ndarray:
    disk = np.hypot(*np.ogrid[-32:32, -32:32]) < 12
    planes = [disk * (1000 + 10 * i) + np.eye(64) for i in range(num)]
    return np.stack(planes).astype(np.uint16)


@pytest.mark.parametrize("channels", [["DNA"], CHANNELS])
def test_names_are_those_that_are_measured(channels: list[str]) -> None:
    pytest.importorskip("cp_measure")
    measured = _groups(_planes(len(channels)), channels, "DNA")
    assert measured is not None
    names = group_names(channels)
    assert {group: tuple(features) for group, features in measured.items()} == names
    vectors = measure(_planes(len(channels)), channels, "DNA")
    assert vectors is not None
    assert list(vectors) == list(names)


def test_every_entry_of_a_profile_has_a_name_of_its_own() -> None:
    groups = [*CHANNELS, "Shape", "Correlation"]
    names = [feature_names(MEASURED, group, groups) for group in groups]
    assert [len(n or ()) for n in names] == [NUM_DIMS] * 5
    assert len({name for group in names for name in group or ()}) == 5 * NUM_DIMS
    tubulin, shape, correlation = (names[i] or () for i in (0, 3, 4))
    assert tubulin[2] == "Nuclei_Intensity_MeanIntensity_Tubulin"
    assert tubulin[95:98] == ("Cells_Granularity_16_Tubulin", "Tubulin_96", "Tubulin_97")
    assert shape[0] == "Nuclei_Count"
    assert correlation[:2] == (
        "Nuclei_Correlation_Pearson_Actin_DNA",
        "Nuclei_Correlation_Overlap_Actin_DNA",
    )
    assert correlation[12] == "Correlation_12"


def test_a_channel_is_named_without_the_others() -> None:
    alone = feature_names(MEASURED, "DNA")
    assert alone == feature_names(MEASURED, "DNA", CHANNELS)
    assert (feature_names(MEASURED, "Correlation") or ())[0] == "Correlation_0"


def test_only_measured_features_have_names() -> None:
    assert feature_names(ModelConfig(kind="gaussian", num_dims=4), "DNA") is None
    imported = ModelConfig(kind="imported", num_dims=2, features=("Area", "Perimeter"))
    assert feature_names(imported, "features") == ("Area", "Perimeter")
