"""What is in the lake and how well it scores, on one page that needs nothing else.

It shows what is there: scores, attributions and readouts of earlier commands. It computes maps of
at most 5,000 profiles, correlations of compounds and distributions of pairs.
"""

from datetime import UTC, datetime
from pathlib import Path

from unidino import __version__
from unidino.core.errors import choose
from unidino.core.files import written_beside
from unidino.lake.lake import Lake
from unidino.reports import content, results, structure
from unidino.reports.page import render
from unidino.scores.rules import LABELS


def report(lake: Lake, output: Path, *, model: str | None = None, label: str = "moa") -> Path:
    """The path of the page.

    model: whose profiles are looked into; default: the best-scored one. label: what colours mean.
    Raises UnidinoError for an unknown model or label.
    """
    choose("label", label, LABELS)
    if model:
        choose("model", model, lake.look_up("select model from model")["model"].to_list())
    of = structure.lead(lake, model)
    sections = [
        content.contents(lake),
        content.images(lake),
        content.quality(lake),
        content.models(lake),
        results.scores(lake),
        results.labels(lake),
        results.channels(lake, model or (of.model if of else None), label),
        results.readouts(lake),
        structure.maps(lake, of, label),
        structure.similarity(lake, of, label),
        structure.replicates(lake, of),
        content.lineage(lake),
    ]
    page = render(
        f"Lake {lake.path.resolve().name}",
        f"unidino {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        sections,
    )
    with written_beside(output) as path:
        path.write_text(page, encoding="utf-8")
    return output
