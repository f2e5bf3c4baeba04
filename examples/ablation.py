"""What does each training set add? Train on some of the datasets of a lake, score on all of them.

    python examples/ablation.py LAKE

A training set is left out by the SELECT that chooses the samples. This is the ablation of the
supplement of Morelli et al. 2025, which trains on JUMP alone, with HPA, and with BBBC021.
"""

import sys
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import polars as pl

import unidino as ud


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def ablation(lake: ud.Lake, changes: Mapping[str, Any]) -> pl.DataFrame:
    """Accuracies on each dataset (rows) of models trained on each choice of datasets.

    changes: to the recipe `small`. A model that the lake has already is not trained again.
    """
    datasets = lake.query("select distinct dataset from plate order by all")["dataset"].to_list()
    known = lake.query("select model from model")["model"].to_list()
    models = {}
    for num in range(1, len(datasets) + 1):
        for chosen in combinations(datasets, num):
            name = "_".join(("on", *chosen))
            models[name] = " + ".join(chosen)
            if name not in known:
                listed = ", ".join(text(dataset) for dataset in chosen)
                samples = f"select * from training_sample where dataset in ({listed})"
                ud.train(lake, name, recipe="small", config=changes, samples=samples)
            ud.embed(lake, name)
    selection = ud.Selection(models=list(models))
    scores = ud.score(lake, ["nsc", "nscb"], selection).frame
    return scores.with_columns(trained_on=pl.col("model").replace(models)).select(
        "dataset", "metric", "trained_on", "accuracy"
    )


if __name__ == "__main__":
    table = ablation(ud.Lake.open(sys.argv[1]), {})
    with pl.Config(tbl_rows=-1):
        print(table.pivot("trained_on", index=["dataset", "metric"]))
