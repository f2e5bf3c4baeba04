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
from unidino.reports.shown import scoring_command, shown_label, shown_profiles
from unidino.reports.summary import summary


def report(
    lake: Lake,
    output: str | Path,
    *,
    model: str | None = None,
    label: str | None = None,
    normalize: str | None = None,
) -> Path:
    """The path of the page, one HTML file that opens without network.

    model: whose profiles are shown in maps and similarities; default the best-scored one that is no
    baseline. label: column that colours them; default the first that the wells have of moa, target,
    compound, perturbation and cell_line. normalize: of the profiles and results in the figures;
    default mad_robustize where there is such.
    Raises UnidinoError for an unknown model or label, or a normalization without profiles.

    >>> import unidino as ud
    >>> ud.report(lake, folder / "report.html").name
    'report.html'
    """
    label = shown_label(lake, label)
    lake = to_compute_in(lake)
    if model:
        choose("model", model, lake.look_up("select model from model")["model"].to_list())
    profiles = shown_profiles(lake, model, normalize)
    shown = model or (profiles.model if profiles else None)
    form = profiles.normalization if profiles else None
    sections = [
        summary(lake, profiles, shown),
        content.contents(lake),
        content.images(lake),
        content.quality(lake),
        assay.assay_quality(lake, shown),
        content.models(lake),
        results.scores(lake, form, scoring_command(label)),
        results.labels(lake, profiles, label),
        results.pairs(lake),
        results.batches(lake),
        results.channels(lake, shown, label, form),
        results.doses(lake, shown, form),
        results.readouts(lake, form),
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
