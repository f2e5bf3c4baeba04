"""The report: what is in the lake and how well it scores, on one self-contained page.

Scores, attributions and readouts come from earlier commands. The report itself computes maps of at
most 5,000 profiles, correlations between compounds, and similarities of pairs.
"""

from datetime import UTC, datetime
from pathlib import Path

from unidino import __version__
from unidino.core.errors import choose
from unidino.core.files import written_beside
from unidino.lake.lake import Lake
from unidino.lake.overlay import to_compute_in
from unidino.reports import assay, content, results, structure
from unidino.reports.page import render
from unidino.scores.rules import LABELS


def report(lake: Lake, output: str | Path, *, model: str | None = None, label: str = "moa") -> Path:
    """The path of the page, one HTML file that opens without network.

    model: whose profiles are shown in maps and similarities; default the best-scored one.
    label: column that colours them.
    Raises UnidinoError for an unknown model or label.

    >>> import unidino as ud
    >>> ud.report(lake, folder / "report.html").name
    'report.html'
    """
    choose("label", label, LABELS)
    lake = to_compute_in(lake)
    if model:
        choose("model", model, lake.look_up("select model from model")["model"].to_list())
    profiles = structure.shown_profiles(lake, model)
    sections = [
        content.contents(lake),
        content.images(lake),
        content.quality(lake),
        assay.assay_quality(lake, model or (profiles.model if profiles else None)),
        content.models(lake),
        results.scores(lake),
        results.labels(lake),
        results.pairs(lake),
        results.batches(lake),
        results.channels(lake, model or (profiles.model if profiles else None), label),
        results.doses(lake, model),
        results.readouts(lake),
        structure.maps(lake, profiles, label),
        structure.similarity(lake, profiles, label),
        structure.replicates(lake, profiles),
        content.lineage(lake),
    ]
    page = render(
        f"Lake {lake.path.resolve().name}",
        f"unidino {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        sections,
    )
    file = Path(output)
    with written_beside(file) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return file
