"""Sections about the contents of the lake: plates, images and their quality, models, lineage."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.figures.draw.fields import field_channels
from unidino.figures.draw.plates import plate_heatmaps
from unidino.figures.draw.training import training_curves
from unidino.figures.plates import plate_values
from unidino.figures.training import training_logs
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.reports.page import FigurePart, Section, TablePart, figure_if_any
from unidino.training.health import verdict

_MOST_FIELDS = 12
_MOST_PLATES = 12


def contents(lake: Lake) -> Section:
    """Tables of the datasets and of the profiles."""
    datasets = lake.look_up(assets.sql("queries", "lake_content"))
    profiles = lake.look_up(assets.sql("queries", "profile_list"))
    return Section(
        "In this lake",
        parts=[
            TablePart(datasets, "Datasets."),
            TablePart(
                profiles, "Profiles by model, dataset, normalization and level.", folded=True
            ),
        ],
        missing="run `unidino ingest PATH` or `unidino import-profiles FILE --model NAME`.",
    )


def images(lake: Lake) -> Section:
    """One field of each dataset, channel by channel."""
    parts = []
    rows = lake.look_up(assets.sql("queries", "example_field"))
    groups = list(rows.group_by("dataset", "place", maintain_order=True))
    for (dataset, place), group in groups[:_MOST_FIELDS]:
        planes = [_scaled(lake, row) for row in group.iter_rows(named=True)]
        names = group["channel"].to_list()
        parts.append(
            FigurePart(
                field_channels(planes, names),
                f"{dataset}: {place}.",
                f"Microscope images of {dataset}, {place}: {', '.join(names)}.",
                pixels=True,
            )
        )
    return Section(
        "Images",
        "One field of the first treated well of each dataset. Each channel is scaled from its 0.1st"
        " to its 99.9th percentile.",
        parts,
        missing="the lake has no pixels; run `unidino ingest PATH`.",
    )


def _scaled(lake: Lake, row: dict[str, Any]) -> NDArray[np.float32]:
    plane = pixels.read_plane(lake.resolve(row["uri"]), row["channel_index"])
    span = max(row["p99_9"] - row["p0_1"], 1)
    scaled = (plane.astype(np.float32) - np.float32(row["p0_1"])) / np.float32(span)
    return np.asarray(np.clip(scaled, 0, 1))


def quality(lake: Lake) -> Section:
    """Flags, intensities and focus by channel, by plate and by well."""
    by_channel = lake.look_up(assets.sql("queries", "image_quality"))
    parts: list[FigurePart | TablePart] = [
        TablePart(
            by_channel.rename(
                {
                    "median_mean_counts": "mean, counts",
                    "median_focus": "focus",
                    "median_p99_9_counts": "99.9th percentile, counts",
                }
            ),
            "Images by dataset and channel; intensities and focus are medians.",
        )
    ]
    if not by_channel.is_empty():
        by_plate = lake.look_up(assets.sql("queries", "plate_quality"))
        parts += _plate_figures(lake)
        parts.append(
            TablePart(
                by_plate.filter(pl.col("images").is_not_null()),
                "Images by plate.",
                folded=len(by_plate) > 12,
            )
        )
        problems = lake.look_up(
            "select plate, well, field, channel, qc, problem, origin from located_image"
            " where not has_pixels order by all limit 300"
        )
        parts.append(TablePart(problems, "Images that cannot be used.", folded=True))
    return Section(
        "Quality of the images",
        "Blank: the 0.1st and 99.9th percentiles are equal. Saturated: over 1 % of the pixels have"
        " the maximum. Damaged: the file cannot be read. Absent: registered without a file. Focus:"
        " the variance of the Laplacian divided by the variance; higher is sharper. Blank, damaged"
        " and absent images are neither used for training nor embedded.",
        parts,
        missing="the lake has no images; run `unidino ingest PATH`.",
    )


def _plate_figures(lake: Lake) -> list[FigurePart]:
    """Focus and flagged images of each well, at its row and column."""
    parts = []
    flagged = "100.0 * count(*) filter (where qc <> 'ok') / count(qc)"
    for value, label, title in (
        ("avg(focus)", "mean focus", "Mean focus of the images of each well"),
        (flagged, "flagged images, %", "Share of the images of each well that are flagged"),
    ):
        plates = plate_values(lake, value, most=_MOST_PLATES)
        largest = max((p.wells["value"].drop_nulls().to_numpy().max() for p in plates), default=0)
        if not plates or (value == flagged and largest == 0):
            continue
        more = " More plates: `unidino plot plate`." if len(plates) == _MOST_PLATES else ""
        names = ", ".join(p.plate for p in plates)
        parts.append(
            FigurePart(
                plate_heatmaps(plates, label),
                f"{title}; hatched: no value.{more}",
                f"Heatmaps of plates: {title.lower()}, on {names}.",
            )
        )
    return parts


def models(lake: Lake) -> Section:
    """The models, and what their trainings logged."""
    parts: list[FigurePart | TablePart] = [
        TablePart(lake.look_up(assets.sql("queries", "model_list")), "Models.")
    ]
    logs = training_logs(lake)
    if logs:
        parts += figure_if_any(
            lambda: training_curves(logs),
            "Values that each epoch of training logged.",
            f"Curves over the epochs of the training of {', '.join(logs)}: loss, what targets tell"
            " of images and what the student learned, entropy of the targets, spread and rank of"
            " the features, speed.",
        )
    learned = [f"{model} {verdict(rows.to_dicts())}." for model, rows in logs.items()]
    return Section(
        "Models",
        " ".join(learned),
        parts,
        missing="run `unidino train --model NAME` or `unidino models import FILE --model NAME`.",
    )


def lineage(lake: Lake) -> Section:
    """The runs, with their arguments and versions."""
    runs = lake.look_up(assets.sql("queries", "run_list"))
    return Section(
        "Lineage",
        "Every row of the lake names the run that wrote it, in the column run_id.",
        [
            TablePart(
                runs.with_columns(pl.col("run").str.slice(0, 8)),
                "Runs, newest first.",
                folded=True,
            )
        ],
    )
