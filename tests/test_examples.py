"""Each example is a whole task that runs."""

import os
import runpy
from pathlib import Path

import nbformat
import numpy as np
import pages
import polars as pl
import pytest
from nbclient import NotebookClient

import unidino as ud
from unidino.profiles.groups import groups

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def test_similar_compounds(profiled_lake: ud.Lake) -> None:
    module = runpy.run_path(str(EXAMPLES / "similar_compounds.py"))
    pairs = module["most_similar"](profiled_lake, "gaussian")
    assert pairs.height == 4
    assert all(a != b for a, b in pairs.select("compound", "most_similar").iter_rows())
    assert pairs["similarity"].is_sorted(descending=True)


def test_frames_are_scored_as_a_lake_is(profiled_lake: ud.Lake) -> None:
    (raw,) = groups(profiled_lake, ud.Selection(normalize="none", where="control_type = 'trt'"))
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
    shown = [_shown(cell) for cell in notebook.cells if cell.cell_type == "code"]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    now = [_shown(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert [set(kinds) for kinds in now] == [set(kinds) for kinds in shown]
    for before, after in zip(shown, now, strict=True):
        assert not pages.differences(before["text/plain"], after["text/plain"])
    assert "image/png" in shown[-1]
    lake = ud.Lake.open(tmp_path / "lake")
    assert lake.query("select count(*) from score").item() == 3


BRIEF = {
    "architecture_options": {"embed_dim": 32, "depth": 1, "num_heads": 2},
    "crop_size_px": 32,
    "local_crop_size_px": 16,
    "epochs": 1,
    "steps_per_epoch": 2,
    "batch_size": 8,
}


def test_training_sets_are_left_out_and_scored_on_every_dataset(lake: ud.Lake) -> None:
    with lake.write() as con:
        con.execute("update plate set dataset = 'it''s' where plate_id = 'tiny_b2_p1'")
    ablation = runpy.run_path(str(EXAMPLES / "ablation.py"))["ablation"]
    with pytest.raises(ud.UnidinoError, match="may not be named"):
        ablation(lake, BRIEF)
    with lake.write() as con:
        con.execute("update plate set dataset = 'other' where plate_id = 'tiny_b2_p1'")
    table = ablation(lake, BRIEF)
    assert table.columns == ["dataset", "metric", "trained_on", "accuracy"]
    assert set(table["trained_on"]) == {"tiny", "other", "other + tiny"}
    drawn = {
        model: set(lake.query(f"select dataset from '{path}'")["dataset"])
        for model in ("on_tiny", "on_other", "on_other_tiny")
        for path in [lake.path / "models" / model / "samples.parquet"]
    }
    assert drawn == {"on_tiny": {"tiny"}, "on_other": {"other"}, "on_other_tiny": {"other", "tiny"}}
    assert ablation(lake, BRIEF).equals(table)


def test_channels_together_are_compared_with_channels_side_by_side(lake: ud.Lake) -> None:
    compare = runpy.run_path(str(EXAMPLES / "multi_channel.py"))["compare"]
    table = compare(lake, BRIEF)
    assert set(table["model"]) == {"tiny_together", "tiny_side_by_side"}
    sizes = lake.query("select model, count(*) from embedding group by all order by all").rows()
    assert dict(sizes)["tiny_side_by_side"] == 3 * dict(sizes)["tiny_together"]


def test_the_packaged_model_can_be_trained_anew(tmp_path: Path) -> None:
    module = runpy.run_path(str(EXAMPLES / "train_base.py"))
    new = ud.Lake.create(tmp_path / "lake")
    module["fill"](new, tmp_path, 24, None)
    module["train_base"](new, BRIEF)
    (config,) = new.query("select preprocessing from model where model = 'base'")["preprocessing"]
    assert '"crop_size_px":32' in config
    module["train_base"](new, BRIEF)
    assert new.query("select count(*) from model").item() == 1


def _shown(cell: nbformat.NotebookNode) -> dict[str, str]:
    """What a cell shows by its kind, but for messages."""
    return {kind: data for output in cell.outputs for kind, data in output.get("data", {}).items()}
