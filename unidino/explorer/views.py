"""What the page shows of a plate, a map, a well and its neighbours; no browser is needed."""

from typing import Any

import polars as pl

from unidino.core.errors import choose
from unidino.explorer import figures, panels, pictures
from unidino.explorer.address import Chosen
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.images import field_at, with_pixels
from unidino.explorer.wells import Wells
from unidino.scores.question import Question
from unidino.scores.rules import metrics

COLUMNS_RULE = "columns"  # the choice "not the same ...", with columns in a box beside it
_NUM_NEIGHBOURS = 6


def colour_expression(column: str | None, expression: str | None) -> str:
    """The SQL that colours wells: the expression if one is written, else the chosen column."""
    return (expression or "").strip() or column or "well"


def plate_view(
    cached: CachedLake, dataset: str, plate: str, expression: str, condition: str, chosen: Chosen
) -> dict[str, Any]:
    """The figure of a plate, its legend, and the wells that arrow keys walk on."""
    wells = cached.wells(dataset)
    plates = cached.plates().filter(dataset=dataset)
    choose("plate", plate, plates["plate_id"].to_list())
    row = plates.row(by_predicate=pl.col("plate_id") == plate, named=True)
    colours, fits = cached.colours(dataset, expression), cached.fits(dataset, condition)
    of_plate = wells.of_plate(plate)
    well = chosen["well"] if chosen and chosen["plate"] == plate else None
    figure = figures.plate_figure(
        row["num_rows"], row["num_columns"], of_plate, colours, fits, well
    )
    names_and_places = of_plate.select("well", "well_row", "well_column").rows()
    return {
        "figure": figure,
        "legend": panels.legend(colours, int(fits.sum()), len(fits)),
        "grid": {"plate": plate, "wells": names_and_places},
    }


def map_view(
    cached: CachedLake,
    names: tuple[str, str, str],
    plate: str | None,
    method: str,
    expression: str,
    condition: str,
) -> dict[str, Any]:
    """The figure of a map, a note about it, and whether it is being made or can be made.

    names: model, normalization and dataset.
    """
    dataset = names[2]
    file = cached.file(*names)
    mapped = cached.map(file, plate, method)
    colours, fits = cached.colours(dataset, expression), cached.fits(dataset, condition)
    figure = figures.map_figure(mapped.points, colours, fits)
    figure["layout"]["uirevision"] = "|".join([*names, mapped.method])
    others = mapped.num_groups - 1
    note = f"{others} other sets of channels have maps too; choose a plate. " if others else ""
    state = cached.map_state(file)
    is_missing = mapped.method != method
    if is_missing and state == "making":
        note += "The UMAP is being made; this is PCA."
    elif is_missing:
        note += state or "No UMAP of these profiles yet; this is PCA."
    num = int(fits[mapped.points["position"].to_numpy()].sum())
    return {
        "figure": figure,
        "note": note,
        "count": f"{num:,} wells",
        "is_making": state == "making",
        "can_make": is_missing and state != "making",
    }


def hover_view(wells: Wells, position: int, column: str) -> list[Any]:
    """The text of the tooltip of a well. column: that colours it, if any."""
    row = wells.at(position)
    return panels.hover(row, (column, row[column]) if column in row else None)


def well_view(
    cached: CachedLake, dataset: str, plate: str, well: str, field: int | None
) -> dict[str, Any]:
    """Title, choice of fields and metadata of a well."""
    row = cached.wells(dataset).row(plate, well)
    images = with_pixels(cached.images.of_well(plate, well))
    fields = images["field"].unique().sort().to_list()
    options = [
        {"label": f"field {f} ({nth} of {len(fields)})", "value": f}
        for nth, f in enumerate(fields, 1)
    ]
    missing = f"The lake has no well {well} on {plate}."
    return {
        "head": panels.head(row, plate, well),
        "metadata": panels.metadata_table(row) if row else missing,
        "fields": options,
        "field": field_at(images, field),
        "note": "" if fields else _note_without_images(cached, plate),
    }


def _note_without_images(cached: CachedLake, plate: str) -> str:
    row = cached.plates().filter(pl.col("plate_id") == plate)
    if len(row) and row["uri"][0] is None:
        return f"{plate} has no images in the lake; `unidino ingest` adds them."
    return "This well has no images in the lake."


def channels_of(images: pl.DataFrame) -> list[str]:
    """Names of the channels of a well, by index."""
    if images.is_empty():
        return []
    return images.unique("channel_index").sort("channel_index")["channel"].to_list()


def question_of(rule: str, columns: str | None, reading: str, label: str) -> Question:
    """The question that the choices of the page ask.

    rule: name of a file of `sql/exclude`, or `columns`; a path is refused, since a request must not
    make the server read a file.
    Raises UnidinoError for an unknown rule, column, reading or label.
    """
    choose("rule", rule, [*metrics(), COLUMNS_RULE])
    name = f"not same {columns or 'compound'}" if rule == COLUMNS_RULE else rule
    return Question(name, reading, label)


def neighbours_view(
    cached: CachedLake,
    names: tuple[str, str, str],
    chosen: dict[str, str],
    field: int | None,
    question: Question,
    among: str,
) -> tuple[list[Any], str]:
    """Rows of the nearest wells with their images, and a note if there are none.

    names: model, normalization and dataset.
    """
    plate, well = chosen["plate"], chosen["well"]
    profiles = cached.set_of(cached.file(*names), plate, well)
    nearest = profiles.neighbours(plate, well, question, among=among, k=_NUM_NEIGHBOURS)
    if nearest.is_empty():
        return [], f"The rule allows {plate} {well} no neighbour."
    wells = cached.wells(names[2])
    channels = channels_of(with_pixels(cached.images.of_well(plate, well)))
    rows = []
    for nth, row in enumerate(nearest.iter_rows(named=True)):
        images = cached.images.of_well(row["plate"], row["well"])
        title = panels.neighbour(nth, row, wells.row(row["plate"], row["well"]))
        shown = channels or channels_of(with_pixels(images))
        rows.append(pictures.image_row(title, row["plate"], row["well"], images, field, shown))
    return rows, ""
