"""Normalize and score profiles without a lake, from a frame of metadata and an array of features.

Run `python examples/frames.py features.parquet`. The table has the columns plate, compound and moa;
columns of decimal numbers are features. Polars and pandas frames both work.
"""

import sys

import polars as pl
import polars.selectors as cs

from unidino.profiles.steps import normalize_profiles
from unidino.scores.accuracy import Score, score_profiles
from unidino.scores.labels import label_classes


def mechanism_accuracy(table: pl.DataFrame) -> tuple[Score, pl.DataFrame]:
    """Accuracy of the mechanisms under NSC, and mean average precision of each compound."""
    metadata = table.select(cs.string())
    features = table.select(cs.float()).to_numpy()
    profiles = normalize_profiles(metadata, features, "mad_robustize")
    score = score_profiles(metadata, profiles, "nsc")
    _, compounds = label_classes(metadata, profiles, "map", "not same plate")
    return score, compounds.sort("mean_average_precision", descending=True)


if __name__ == "__main__":
    score, compounds = mechanism_accuracy(pl.read_parquet(sys.argv[1]))
    print(f"{score.accuracy:.3f} of {score.n} profiles, by chance {score.chance:.3f}")
    print(compounds)
