"""Wells have the metadata and image quality of the lake, and values of SQL expressions."""

import numpy as np
import pytest

from unidino.core.errors import InputError
from unidino.explorer.cached_lake import CachedLake
from unidino.lake.lake import Lake


def test_an_expression_has_a_value_for_each_well(cached: CachedLake) -> None:
    wells = cached.wells("tiny")
    assert len(wells.table) == 12
    assert wells.values("compound").to_list() == wells.table["compound"].to_list()
    ratio = wells.values("focus_DNA / mean_Actin").to_numpy()
    expected = wells.table["focus_DNA"].to_numpy() / wells.table["mean_Actin"].to_numpy()
    np.testing.assert_allclose(ratio, expected)
    rank = wells.values("row_number() over (order by mean_DNA desc)").to_numpy()
    assert (np.argsort(rank) == np.argsort(-wells.table["mean_DNA"].to_numpy())).all()


def test_figures_of_images_are_means_over_fields(cached: CachedLake) -> None:
    images = cached.lake.query(
        "select plate, well, channel, avg(focus) as f from image group by all"
    )
    wells = cached.wells("tiny")
    for plate, well, channel, focus in images.iter_rows():
        assert (wells.row(plate, well) or {})[f"focus_{channel}"] == pytest.approx(focus)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("nothing", "nothing"),
        ("count(*)", "."),
        ("compound) as value from well; drop table well; --", "expected one SQL statement"),
        ("(select content from read_text('/etc/hostname'))", "disabled by configuration"),
        ("1) as value from well, well as other --", "."),
    ],
)
def test_a_bad_expression_is_one_line(cached: CachedLake, expression: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        cached.wells("tiny").values(expression)
    assert "\n" not in str(error.value)


def test_a_condition_keeps_wells_and_null_does_not_fit(cached: CachedLake) -> None:
    wells = cached.wells("tiny")
    fits = wells.fits("moa = 'actin disruptor'")
    assert fits.tolist() == [m == "actin disruptor" for m in wells.table["moa"]]
    assert wells.fits("").all()
    with pytest.raises(InputError):
        wells.fits("moa =")


def test_what_a_dataset_says_besides_is_a_column(copied: Lake) -> None:
    copied.execute(
        """update well set extra = '{"passage": "' || well_column || '", "note": "x"}'"""
    )
    wells = CachedLake(copied).wells("tiny")
    assert wells.values("passage").to_list() == wells.table["well_column"].to_list()
    assert wells.table["note"].unique().to_list() == ["x"]


def test_one_channel_has_figures(copied: Lake) -> None:
    copied.execute("delete from image where channel <> 'DNA'")
    wells = CachedLake(copied).wells("tiny")
    assert wells.table["focus_DNA"].null_count() == 0
    assert "focus_Actin" not in wells.table.columns
