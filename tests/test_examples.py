"""Each example is a whole task that runs."""

import runpy
from pathlib import Path

from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_similar_compounds(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    module = runpy.run_path(str(EXAMPLES / "similar_compounds.py"))
    pairs = module["most_similar"](lake, "gaussian")
    assert pairs.height == 4
    assert all(a != b for a, b in pairs.select("compound", "most_similar").iter_rows())
    assert pairs["similarity"].is_sorted(descending=True)
