"""Each example is a whole task that runs."""

import os
import runpy
from pathlib import Path

import nbformat
import numpy as np
import polars as pl
import pytest
from nbclient import NotebookClient

import unidino as ud
from unidino.profiles.groups import groups

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def test_similar_compounds(profiled: Path) -> None:
    module = runpy.run_path(str(EXAMPLES / "similar_compounds.py"))
    pairs = module["most_similar"](ud.Lake.open(profiled), "gaussian")
    assert pairs.height == 4
    assert all(a != b for a, b in pairs.select("compound", "most_similar").iter_rows())
    assert pairs["similarity"].is_sorted(descending=True)


def test_frames_are_scored_as_a_lake_is(profiled: Path) -> None:
    lake = ud.Lake.open(profiled)
    (raw,) = groups(lake, ud.Selection(normalize="none", where="control_type = 'trt'"))
    metadata = pl.DataFrame(raw.metadata).select("plate", "well", "compound", "moa", "batch")
    features = {f"f{i}": raw.vectors[:, i].astype(np.float64) for i in range(40)}
    module = runpy.run_path(str(EXAMPLES / "frames.py"))
    score, compounds = module["mechanism_accuracy"](metadata.with_columns(**features))
    assert (score.n, score.num_classes) == (8, 2)
    assert compounds.height == 4
    assert compounds["mean_average_precision"].is_sorted(descending=True)


def test_the_notebook_goes_from_plates_to_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(EXAMPLES / "first_screen.ipynb", as_version=4)
    shown = [_kinds(cell) for cell in notebook.cells if cell.cell_type == "code"]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [_kinds(cell) for cell in notebook.cells if cell.cell_type == "code"] == shown
    assert "image/png" in shown[-1]
    lake = ud.Lake.open(tmp_path / "lake")
    assert lake.query("select count(*) from score").item() == 6


def _kinds(cell: nbformat.NotebookNode) -> set[str]:
    """Kinds of what a cell shows, but for messages."""
    return {kind for output in cell.outputs for kind in output.get("data", {})}
