"""Rows that tests draw figures of."""

from typing import Any

import numpy as np
import polars as pl

from unidino.figures.draw.plates import PlateValues
from unidino.scores.accuracy import LakeScore

MOAS = (
    "Actin disruptors",
    "Aurora kinase inhibitors",
    "Cholesterol-lowering",
    "DNA damage",
    "DNA replication",
    "Eg5 inhibitors",
    "Epithelial",
    "Kinase inhibitors",
    "Microtubule destabilizers",
    "Microtubule stabilizers",
    "Protein degradation",
    "Protein synthesis",
)
LONG = [
    f"a mechanism with a name that is much too long for any legend, number {i}" for i in range(60)
]
ODD = ["_hidden", "a$b$c", "<b>", "50% \\alpha", "µ-opioid", "\u200b", "x"]


def points(num: int, names: list[str], seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    own = rng.integers(len(names), size=num)
    own[: len(names)] = np.arange(len(names))[:num]
    return pl.DataFrame(
        {
            "x": rng.normal(size=num),
            "y": rng.normal(size=num),
            "moa": [names[i] if rng.random() > 0.1 or i == 0 else None for i in own],
            "control_type": ["negcon" if k % 10 == 9 else "trt" for k in range(num)],
            "concentration_um": 10.0 ** rng.integers(-2, 3, num),
            "plate": [f"p{i % 3}" for i in own],
        }
    )


def score(dataset: str = "d", model: str = "m", metric: str = "nsc", **values: Any) -> LakeScore:
    given: dict[str, Any] = {
        "accuracy": 0.6,
        "interval_95": (0.5, 0.7),
        "n": 96,
        "num_classes": 6,
        "num_without_neighbour": 0,
        "ceiling": 0.95,
        "chance": 0.1,
        "dropped": {},
        "normalization": "mad_robustize",
        "channels": ("DNA", "Actin"),
        "rules": "text",
        "label": "moa",
        "level": "well",
    }
    return LakeScore(**(given | values), dataset=dataset, model=model, metric=metric)


def shares(classes: list[str], channels: list[str], *, seeds: bool = False) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for name in classes:
        for channel, share in zip(channels, rng.dirichlet(np.ones(len(channels))), strict=True):
            rows.append(
                {
                    "dataset": "d",
                    "class": name,
                    "channel": channel,
                    "share": share,
                    "expected": 1 / len(channels),
                    "share_low": max(0, share - 0.1) if seeds else None,
                    "share_high": min(1, share + 0.1) if seeds else None,
                }
            )
    kinds = {"share_low": pl.Float64, "share_high": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def plate(rows: int, columns: int, name: str = "p", texts: list[str] | None = None) -> Any:
    rng = np.random.default_rng(rows)
    wells = [
        {
            "well_row": r,
            "well_column": c,
            "value": texts[(r * columns + c) % len(texts)] if texts else float(rng.normal()),
        }
        for r in range(1, rows + 1)
        for c in range(1, columns + 1)
        if (r + c) % 7
    ]
    return PlateValues(name, rows, columns, pl.DataFrame(wells))


def labels(num: int) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "dataset": "d",
                "measure": "replicates",
                "metric": "nsc",
                "rules": "text",
                "label": "moa",
                "level": "well",
                "class": LONG[i % 60] + str(i),
                "mean_average_precision": None,
                "correlation": 0.9 - i / num,
                "threshold": 0.3,
                "is_above_chance": i < num / 2,
            }
            for i in range(num)
        ],
        schema_overrides={"mean_average_precision": pl.Float64},
    )


def readout_rows(models: list[str], strata: list[str]) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        [
            {
                "dataset": "d",
                "stratum": s,
                "model": m,
                "normalization": "mad_robustize",
                "level": "compound",
                "regressor": "random_forest",
                "readout": f"r{i}",
                "r2": float(max(0, rng.normal(0.2, 0.2))),
            }
            for s in strata
            for m in models
            for i in range(30)
        ]
    )


def vectors(num: int, groups: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(groups, 30))[np.arange(num) % groups] + rng.normal(size=(num, 30))


def every_subset(model: str) -> list[LakeScore]:
    names = ("DNA", "RNA", "ER", "AGP", "Mito")
    alone = [score(model=model, channels=(c,), accuracy=0.3) for c in names]
    without = [
        score(model=model, channels=tuple(n for n in names if n != c), accuracy=0.5) for c in names
    ]
    return [score(model=model, channels=names), *alone, *without]


def log(num: int) -> pl.DataFrame:
    columns = {"learning_rate": [1e-6] * num, "other_thing": [1234567.0] * num}
    return pl.DataFrame({"epoch": range(num), "loss": [9 / (e + 1) for e in range(num)]} | columns)
