"""Figure of a value of every well, and the rows that it shows."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log
from unidino.figures.draw.plates import MOST_PLATES, PlateValues, plate_heatmaps
from unidino.figures.results import one_model
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection


def plate_figure(
    lake: Lake,
    selection: Selection | None = None,
    *,
    plates: Sequence[str] = (),
    value: str = "avg(focus)",
    width_mm: float = 180.0,
) -> Figure:
    """A value of every well at its row and column; arguments as of `plate_values`."""
    values = plate_values(lake, value, selection, plates=plates)
    return plate_heatmaps(values, value, width_mm=width_mm)


def plate_values(
    lake: Lake,
    value: str,
    selection: Selection | None = None,
    *,
    plates: Sequence[str] = (),
    most: int = MOST_PLATES,
) -> list[PlateValues]:
    """The value of each well, by plate; plates without a value are left out.

    value: SQL over the columns of well, plate and image and, if the selection names a model, of its
    profile; columns of images must be aggregated. plates: names; default the first `most`.
    Raises InputError for an unknown plate, or a value that fails or differs within a well.
    """
    selection = selection or Selection()
    model = one_model(lake, selection.models) if selection.models else None
    if model:
        _make_profiles(lake, selection)
    known = lake.look_up("select plate_id, dataset, num_rows, num_columns from plate order by all")
    for plate in plates:
        choose("plate", plate, known["plate_id"].to_list())
    for dataset in selection.datasets:
        choose("dataset", dataset, sorted(set(known["dataset"])))
    where = selection.where
    condition = f"({where})" if where else "true"
    options = f'--value "{value}"' + (f' --where "{where}"' if where else "")
    rows = lake.query(
        f"with well_image as ({assets.sql('queries', 'well_image')})"
        f" select plate, well_row, well_column, ({value}) as value from well_image"
        " where (len($plates) = 0 or list_contains($plates, plate))"
        " and (len($datasets) = 0 or list_contains($datasets, dataset))"
        f" and {condition} group by all order by all",
        {
            "plates": list(plates),
            "datasets": list(selection.datasets),
            "model": model,
            "normalization": str(selection.form),
        },
        what=options,
    )
    rows = rows.with_columns(_number_or_text(rows["value"]))
    if rows.select("plate", "well_row", "well_column").is_duplicated().any():
        raise InputError(
            f'--value "{value}" has several values in a well; aggregate it, as in avg({value})'
        )
    if rows.is_empty() and where:
        raise ProfileError(f'no well fits --where "{where}"')
    with_values = rows.drop_nulls("value")["plate"].unique().to_list()
    shown = known.filter(pl.col("plate_id").is_in(with_values)).rows(named=True)
    if len(shown) > most and not plates:
        log.warning(f"the first {most} of {len(shown)} plates; name others by --plate")
        shown = shown[:most]
    return [
        PlateValues(
            plate["plate_id"],
            plate["num_rows"],
            plate["num_columns"],
            rows.filter(pl.col("plate") == plate["plate_id"]),
        )
        for plate in shown
    ]


def _make_profiles(lake: Lake, selection: Selection) -> None:
    """Make the well profiles of the selection that are missing."""
    from unidino.profiles.profile import profile

    profile(lake, Selection(selection.models, selection.datasets, normalize=selection.normalize))


def _number_or_text(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Boolean:
        return values.cast(pl.Int8)
    if values.dtype.is_nested():
        return values.map_elements(str, return_dtype=pl.String)
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_nan(None)
    return values.cast(pl.String)
