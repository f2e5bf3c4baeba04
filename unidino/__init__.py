"""From fluorescence plates on disk to features that can be trusted and queried.

A lake is a folder of plates, vectors and models, with a DuckDB catalog of them. Each verb computes
one table of the lake from earlier ones:

    ingest         export of a microscope        -> plates, images
    train          images                        -> a model
    embed          images and a model            -> embeddings, one vector per image
    profile        embeddings                    -> profiles of wells, treatments, compounds
    score          profiles                      -> how often neighbours have the same label
    attribute, dose                              -> channels and doses that tell compounds apart
    predict_readouts, project                    -> readouts and maps of profiles
    plot, report, explore                        -> figures and pages

`Selection` defines which profiles are meant, `Question` what a score asks of them. Names are loaded
when they are first used, so that `import unidino` is quick.

Source of the method: Morelli et al. 2025, "uniDINO", doi 10.1016/j.csbj.2025.02.020.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from unidino.core.errors import UnidinoError
    from unidino.embeddings.counted import count_cells
    from unidino.embeddings.embed import embed
    from unidino.explorer.explore import explore
    from unidino.figures.kinds import plot
    from unidino.insight.attribution import attribute
    from unidino.insight.dose import dose
    from unidino.insight.projection import project
    from unidino.insight.quality import quality
    from unidino.insight.readouts import predict_readouts
    from unidino.lake.check import check
    from unidino.lake.lake import Lake
    from unidino.models.baselines import create_model
    from unidino.models.fetch import fetch_model
    from unidino.models.weights import import_model
    from unidino.plates.ingest import ingest
    from unidino.profiles.export import export_profiles
    from unidino.profiles.importing import import_profiles
    from unidino.profiles.profile import profile
    from unidino.profiles.selection import Selection
    from unidino.reports.report import report
    from unidino.reports.shown_model import show_model
    from unidino.scores.accuracy import score
    from unidino.scores.batches import batches
    from unidino.scores.labels import score_labels
    from unidino.scores.nearest import nearest
    from unidino.scores.pairs import score_pairs
    from unidino.scores.question import Question
    from unidino.training.recipe import TrainConfig
    from unidino.training.train import train

__all__ = [
    "Lake",
    "Question",
    "Selection",
    "TrainConfig",
    "UnidinoError",
    "__version__",
    "attribute",
    "batches",
    "check",
    "count_cells",
    "create_model",
    "dose",
    "embed",
    "explore",
    "export_profiles",
    "fetch_model",
    "import_model",
    "import_profiles",
    "ingest",
    "nearest",
    "plot",
    "predict_readouts",
    "profile",
    "project",
    "quality",
    "report",
    "score",
    "score_labels",
    "score_pairs",
    "show_model",
    "train",
]
_HOMES = {
    "Lake": "lake.lake",
    "Question": "scores.question",
    "Selection": "profiles.selection",
    "TrainConfig": "training.recipe",
    "UnidinoError": "core.errors",
    "attribute": "insight.attribution",
    "batches": "scores.batches",
    "check": "lake.check",
    "count_cells": "embeddings.counted",
    "create_model": "models.baselines",
    "dose": "insight.dose",
    "embed": "embeddings.embed",
    "explore": "explorer.explore",
    "export_profiles": "profiles.export",
    "fetch_model": "models.fetch",
    "import_model": "models.weights",
    "import_profiles": "profiles.importing",
    "ingest": "plates.ingest",
    "nearest": "scores.nearest",
    "plot": "figures.kinds",
    "predict_readouts": "insight.readouts",
    "profile": "profiles.profile",
    "project": "insight.projection",
    "quality": "insight.quality",
    "report": "reports.report",
    "score": "scores.accuracy",
    "score_labels": "scores.labels",
    "score_pairs": "scores.pairs",
    "show_model": "reports.shown_model",
    "train": "training.train",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("unidino")
    if name not in _HOMES:
        raise AttributeError(f"module 'unidino' has no attribute '{name}'")
    value = getattr(import_module(f"unidino.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
