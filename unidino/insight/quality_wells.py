"""Assay quality of what is measured beside profiles: counts of cells, intensity and focus."""

import polars as pl

from unidino.core import assets
from unidino.insight.quality_rows import (
    LIMIT,
    Row,
    Shapes,
    by_control,
    positions,
    row,
    separations,
)
from unidino.lake.lake import Lake


def of_wells_and_images(lake: Lake, shapes: Shapes, few_cells: float, seed: int) -> list[Row]:
    """Figures of cell counts and images, and what is flagged."""
    values = lake.look_up(assets.sql("quality", "well_value"), {"plates": list(shapes)})
    rows = separations(_control_values(values))
    for key, of_plate in values.group_by(
        "dataset", "plate", "subject", "channel", maintain_order=True
    ):
        dataset, plate, subject, channel = map(_text, key)
        negative = of_plate.filter(pl.col("control_type") == "negcon").drop_nulls("value")
        rows += positions(
            row(dataset or "", plate or "", subject or "", "row_effect", channel=channel),
            negative["well"].to_list(),
            negative["value"].to_numpy()[:, None],
            shapes[plate or ""],
            seed,
        )
    cells = lake.look_up(
        assets.sql("quality", "few_cells"), {"plates": list(shapes), "share": few_cells}
    )
    rows += _flags(cells.with_columns(subject=pl.lit("num_cells"), measure=pl.lit("few_cells")))
    images = lake.look_up(
        assets.sql("quality", "flagged_image"), {"plates": list(shapes), "most": LIMIT}
    )
    return rows + _flags(images.rename({"score": "value"}).with_columns(threshold=pl.lit(LIMIT)))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _control_values(values: pl.DataFrame) -> list[Row]:
    """Values of controls in the columns that `control_separation.sql` reads."""
    found = []
    keys = ("dataset", "plate", "subject", "channel")
    for key, rows in values.group_by(*keys, maintain_order=True):
        named = dict(zip(keys, key, strict=True)) | {"model": None, "normalization": None}
        controls_of = by_control(rows)
        of_wells = rows["value"].to_numpy()
        for axis, (negative, positive) in controls_of.items():
            for kind, members in (("negcon", negative), ("poscon", positive)):
                found += [
                    named | {"axis": axis, "control_type": kind, "value": float(of_wells[i])}
                    for i in members
                ]
            if not negative and not positive:
                found.append(named | {"axis": None, "control_type": None, "value": None})
    return found


def _flags(found: pl.DataFrame) -> list[Row]:
    """The flagged rows, and how many there are of each plate, channel and measure."""
    if found.is_empty():
        return []
    kept = [c for c in ("well", "field", "channel", "value", "threshold") if c in found.columns]
    rows = [
        row(r["dataset"], r["plate"], r["subject"], r["measure"], n=1, is_flagged=True)
        | {c: r[c] for c in kept}
        for r in found.filter(pl.col("is_flagged")).to_dicts()
    ]
    if "channel" not in found.columns:
        found = found.with_columns(channel=pl.lit(None, pl.String))
    measures = {"focus": ("blurred",), "intensity": ("dim", "bright"), "num_cells": ("few_cells",)}
    for (dataset, plate, subject, channel), some in found.group_by(
        "dataset", "plate", "subject", "channel", maintain_order=True
    ):
        for measure in measures[str(subject)]:
            num = some.filter(pl.col("is_flagged") & (pl.col("measure") == measure)).height
            rows.append(
                row(str(dataset), str(plate), str(subject), measure, channel=_text(channel))
                | {"value": float(num), "n": some.height, "is_flagged": num > 0}
            )
    return rows
