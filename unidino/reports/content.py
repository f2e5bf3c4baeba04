"""What is in the lake: plates, images and their quality, models, and how all of it came there."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.figures import draw
from unidino.figures import rows as figure_rows
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.reports.page import Listed, Section, Shown, shown_if

_MOST_FIELDS = 12
_MOST_PLATES = 12


def contents(lake: Lake) -> Section:
    """Datasets, plates and profiles."""
    datasets = lake.look_up(assets.sql("queries", "lake_content"))
    profiles = lake.look_up(assets.sql("queries", "profile_list"))
    return Section(
        "In this lake",
        parts=[
            Listed(datasets, "Datasets."),
            Listed(profiles, "Profiles by model, dataset, normalization and level.", folded=True),
        ],
        missing="run `unidino ingest PATH` or `unidino import-profiles FILE --model NAME`.",
    )


def images(lake: Lake) -> Section:
    """A field of each dataset, channel by channel."""
    shown = []
    rows = lake.look_up(assets.sql("queries", "example_field"))
    groups = list(rows.group_by("dataset", "place", maintain_order=True))
    for (dataset, place), group in groups[:_MOST_FIELDS]:
        planes = [_scaled(lake, row) for row in group.iter_rows(named=True)]
        names = group["channel"].to_list()
        shown.append(
            Shown(
                draw.field_channels(planes, names),
                f"{dataset}: {place}.",
                f"Microscope images of {dataset}, {place}: {', '.join(names)}.",
                pixels=True,
            )
        )
    return Section(
        "Images",
        "One field of the first treated well of each dataset; every channel is scaled to its own"
        " 0.1st and 99.9th percentile.",
        shown,
        missing="no pixels are in the lake; `unidino ingest PATH` brings them.",
    )


def _scaled(lake: Lake, row: dict[str, Any]) -> NDArray[np.float32]:
    plane = pixels.read_plane(lake.resolve(row["uri"]), row["channel_index"])
    span = max(row["p99_9"] - row["p0_1"], 1)
    scaled = (plane.astype(np.float32) - np.float32(row["p0_1"])) / np.float32(span)
    return np.asarray(np.clip(scaled, 0, 1))


def quality(lake: Lake) -> Section:
    """Flags, intensities and focus: by channel, by plate, and over the wells of plates."""
    by_channel = lake.look_up(assets.sql("queries", "image_quality"))
    parts: list[Shown | Listed] = [
        Listed(
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
        parts += _plate_views(lake)
        parts.append(
            Listed(
                by_plate.filter(pl.col("images").is_not_null()),
                "Images by plate.",
                folded=len(by_plate) > 12,
            )
        )
        problems = lake.look_up(
            "select plate, well, field, channel, qc, problem, origin from image"
            " where qc in ('damaged', 'absent') order by all limit 300"
        )
        parts.append(Listed(problems, "Images that cannot be used.", folded=True))
    return Section(
        "Quality of the images",
        "Blank: 0.1st and 99.9th percentile are equal. Saturated: over 1 % of the pixels at the"
        " maximum. Damaged: the file cannot be used. Absent: registered without a file. Focus is"
        " the variance of the Laplacian over the variance; higher is sharper. Blank, damaged and"
        " absent images are neither trained on nor embedded.",
        parts,
        missing="no images are registered.",
    )


def _plate_views(lake: Lake) -> list[Shown | Listed]:
    """Focus and flagged images in the geometry of the plates."""
    views: list[Shown | Listed] = []
    flagged = "100.0 * count(*) filter (where qc <> 'ok') / count(qc)"
    for value, label, said in (
        ("avg(focus)", "mean focus", "Mean focus of the images of each well"),
        (flagged, "flagged images, %", "Images of each well that are flagged, in per cent"),
    ):
        plates = figure_rows.plate_values(lake, value, most=_MOST_PLATES)
        held = [p for p in plates if p.wells["value"].drop_nulls().len()]
        largest = max((p.wells["value"].drop_nulls().to_numpy().max() for p in held), default=0)
        if not held or (value == flagged and largest == 0):
            continue
        views.append(
            Shown(
                draw.plate_heatmaps(held, label),
                f"{said}; hatched: no value."
                + (" More plates: `unidino plot plate`." if len(held) == _MOST_PLATES else ""),
                f"Heatmaps of plates: {said.lower()}, on {', '.join(p.plate for p in held)}.",
            )
        )
    return views


def models(lake: Lake) -> Section:
    """The models and how their training went."""
    parts: list[Shown | Listed] = [
        Listed(lake.look_up(assets.sql("queries", "model_list")), "Models.")
    ]
    logs = figure_rows.training_logs(lake)
    if logs:
        parts += shown_if(
            lambda: draw.training_curves(logs),
            "What each epoch of training logged.",
            f"Curves over the epochs of the training of {', '.join(logs)}: loss, learning rate,"
            " entropy of the targets, spread and rank of the features, speed.",
        )
    return Section(
        "Models",
        parts=parts,
        missing="run `unidino train --model NAME` or `unidino models import FILE --model NAME`.",
    )


def lineage(lake: Lake) -> Section:
    """What was run, with its arguments and versions."""
    runs = lake.look_up(assets.sql("queries", "run_list"))
    return Section(
        "Lineage",
        "Every row of the lake names the run that wrote it (column run_id).",
        [
            Listed(
                runs.with_columns(pl.col("run").str.slice(0, 8)),
                "Runs, the last first.",
                folded=True,
            )
        ],
    )
