"""One network that sees all channels of a screen at once, against channels side by side.

    python examples/multi_channel.py LAKE

The first kind of network fits one set of stains, the second fits every screen. This is the
comparison of the supplement of Morelli et al. 2025, which has it for JUMP.
"""

import sys
from collections.abc import Mapping
from typing import Any

import polars as pl

import unidino as ud

CHANNELS = "select distinct channel from channel join plate on plate_id = plate where dataset = $d"


def compare(lake: ud.Lake, changes: Mapping[str, Any]) -> pl.DataFrame:
    """Accuracies of both kinds of network on each dataset; each is trained on that dataset alone.

    changes: to the recipe `small`. A model that the lake has already is not trained again.
    """
    known = lake.query("select model from model")["model"].to_list()
    tables = []
    for dataset in lake.query("select distinct dataset from plate order by all")["dataset"]:
        channels = sorted(lake.query(CHANNELS, {"d": dataset})["channel"])
        only = "dataset = '" + dataset.replace("'", "''") + "'"
        samples = f"select * from training_sample where {only}"
        kinds: dict[str, dict[str, Any]] = {
            "together": {"input_channels": tuple(channels)},
            "side_by_side": {},
        }
        names = []
        for kind, choices in kinds.items():
            name = f"{dataset}_{kind}"
            names.append(name)
            if name not in known:
                config = {**choices, **changes}
                ud.train(lake, name, recipe="small", config=config, samples=samples)
            ud.embed(lake, name, where=only)
        tables.append(ud.score(lake, ["nsc", "nscb"], ud.Selection(models=names)).frame)
    return pl.concat(tables, how="diagonal_relaxed").select(
        "dataset", "metric", "model", "accuracy", "95 %"
    )


if __name__ == "__main__":
    with pl.Config(tbl_rows=-1, fmt_str_lengths=40):
        print(compare(ud.Lake.open(sys.argv[1]), {}))
