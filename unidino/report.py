"""What is in the lake and how well it scores, on one page that needs nothing else."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unidino import assets, plots, store
from unidino.attribution import Attribution, attribute
from unidino.catalog import Lake, written_beside
from unidino.errors import ProfileError
from unidino.score import LakeScore

_TEMPLATE = Path(__file__).with_name("report.html.j2")


def report(lake: Lake, output: Path, *, model: str | None = None, label: str = "moa") -> Path:
    """The page's path: contents, quality, scores and channel attribution of the lake.

    model: whose attribution is shown; default: the best-scored one.
    """
    sections = [
        _section("In this lake", table=lake.look_up(assets.sql("queries", "lake_content"))),
        _section(
            "Images",
            "The first treated well of each dataset, every channel scaled to its 0.1st and 99.9th"
            " percentile.",
            figures=_fields(lake),
        ),
        _section(
            "Quality of the images", table=lake.look_up(assets.sql("queries", "image_quality"))
        ),
        _section("Models", table=lake.look_up(assets.sql("queries", "model_list"))),
    ]
    scores = latest_scores(lake)
    if scores:
        sections.append(
            _section(
                "Scores",
                "Share of profiles whose nearest eligible neighbour has their label.",
                figures=[
                    (
                        plots.score_bars(scores),
                        "Bars: accuracy; black line: 95 % interval over compounds; dash: chance;"
                        " grey: ceiling.",
                    )
                ],
                table=score_table(scores),
            )
        )
    shown = _attribution(lake, model or _best_model(scores), label)
    if shown:
        sections.append(
            _section(
                "Channels",
                f"Where the 50 features lie that tell each {label} apart best, by model"
                f" {shown.model}.",
                figures=[(plots.attribution_bars(shown.shares), "Dotted: equal shares.")],
            )
        )
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=f"Lake {lake.path.resolve().name}",
        subtitle=f"unidino, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        sections=sections,
    )
    with written_beside(output) as path:
        path.write_text(page, encoding="utf-8")
    return output


def latest_scores(lake: Lake) -> list[LakeScore]:
    """The last score of each metric, rules, label, level, model, normalization and dataset."""
    rows = lake.look_up(assets.sql("queries", "latest_score")).to_dicts()
    scores = []
    for row in rows:
        low, high = row.pop("interval_low"), row.pop("interval_high")
        row |= {
            "interval_95": None if low is None else (low, high),
            "channels": tuple(row["channels"]),
            "dropped": {},
            "versus": None,
        }
        for name in ("difference", "difference_low", "difference_high"):
            row.pop(name)
        scores.append(LakeScore(**row))
    return scores


def score_table(scores: list[LakeScore]) -> pl.DataFrame:
    """Scores as a table for people; with the difference to the first model's where there is one."""
    table = pl.DataFrame(
        [
            {
                "dataset": s.dataset,
                "model": s.model,
                "metric": s.metric,
                "rules": s.rules,
                "label": f"{s.label}/{s.level}",
                "accuracy": s.accuracy,
                "95 %": "{:.3f}-{:.3f}".format(*s.interval_95) if s.interval_95 else "",
                "n": s.n,
                "classes": s.num_classes,
                "alone": s.num_without_neighbour,
                "ceiling": s.ceiling,
                "chance": s.chance,
                "ahead": s.versus and s.versus.difference,
                "ahead 95 %": "{:+.3f}..{:+.3f}".format(*s.versus.interval_95) if s.versus else "",
            }
            for s in scores
        ]
    )
    return table if any(s.versus for s in scores) else table.drop("ahead", "ahead 95 %")


def _best_model(scores: list[LakeScore]) -> str | None:
    ranked = sorted(scores, key=lambda s: -(s.accuracy or 0))
    return ranked[0].model if ranked else None


def _attribution(lake: Lake, model: str | None, label: str) -> Attribution | None:
    if model is None:
        return None
    try:
        return attribute(lake, model, label=label)
    except ProfileError:
        # A lake without two labelled classes has nothing to attribute.
        return None


def _fields(lake: Lake) -> list[tuple[Figure, str]]:
    figures = []
    for (dataset, place), rows in _grouped(lake.look_up(assets.sql("queries", "example_field"))):
        planes: list[NDArray[np.float32]] = []
        for row in rows:
            plane = store.read_plane(lake.resolve(row["uri"]), row["channel_index"])
            span = max(row["p99_9"] - row["p0_1"], 1)
            planes.append(np.clip((plane.astype(np.float32) - row["p0_1"]) / span, 0, 1))
        names = [row["channel"] for row in rows]
        figures.append((plots.field_channels(planes, names), f"{dataset}: {place}"))
    return figures


def _grouped(rows: pl.DataFrame) -> list[tuple[tuple[str, str], list[dict[str, Any]]]]:
    groups = rows.group_by("dataset", "place", maintain_order=True)
    return [((str(key[0]), str(key[1])), group.to_dicts()) for key, group in groups]


def _section(
    heading: str,
    text: str = "",
    *,
    figures: list[tuple[Figure, str]] | None = None,
    table: pl.DataFrame | None = None,
) -> dict[str, Any]:
    shown = None
    if table is not None and not table.is_empty():
        numeric = [dtype.is_numeric() for dtype in table.dtypes]
        shown = {
            "columns": list(zip(table.columns, numeric, strict=True)),
            "rows": [
                list(zip((as_text(v) for v in row), numeric, strict=True))
                for row in table.iter_rows()
            ],
        }
    return {
        "heading": heading,
        "text": text,
        "figures": [{"svg": plots.svg(f), "caption": caption} for f, caption in figures or []],
        "table": shown,
    }


def as_text(value: Any) -> str:
    """A value as people read it: three decimals, nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)
