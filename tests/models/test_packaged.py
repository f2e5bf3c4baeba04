"""The model that comes with the package embeds images that nothing was trained on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from toy_training import TOY

from unidino.core.errors import ModelError
from unidino.core.files import file_sha256
from unidino.embeddings.embed import embed
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.models import registry
from unidino.models.baselines import create_model
from unidino.models.packaged import ROOT, bring_packaged, packaged_names
from unidino.training.train import train

_MOST_BYTES = 12_000_000


def test_base_embeds_after_ingest(lake: Lake, run_cli: Callable[..., tuple[int, str, str]]) -> None:
    status, _, _ = run_cli("embed", "--model", "base", "--all", "--lake", str(lake.path))
    assert status == 0
    row = lake.query("select kind, parent, licence, weights_hash from model where model = 'base'")
    assert row.rows() == [
        ("vit", "unidino", "MIT", file_sha256(ROOT / "base" / "model.safetensors"))
    ]
    channels, images = lake.query(
        "select (select count(*) from embedding where model = 'base'), count(*) from image"
    ).row(0)
    assert channels == images > 0
    assert check(lake) == []
    status, out, _ = run_cli("models", "show", "base", "--lake", str(lake.path))
    assert status == 0
    assert "MIT" in out
    assert "# base" in out
    assert "learned after 1300 steps" in out


def test_workers_that_start_together_share_the_model(lake: Lake) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bring_packaged(Lake.open(lake.path), "base"), range(4)))
    assert registry.model_names(lake) == ["base"]


def test_packaged_models_are_small_and_have_a_card() -> None:
    assert packaged_names() == ["base"]
    folder = ROOT / "base"
    assert (folder / "model.safetensors").stat().st_size < _MOST_BYTES
    card = (folder / "card.md").read_text(encoding="utf-8")
    for word in ("Licence", "CC0", "BSD", "steps", "95 %"):
        assert word in card, word


def test_a_model_of_the_lake_is_not_replaced(lake: Lake) -> None:
    create_model(lake, "gaussian", "base")
    embed(lake, "base")
    assert registry.load_config(lake, "base").kind == "gaussian"


def test_a_training_can_start_from_a_packaged_model(lake: Lake) -> None:
    brief = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 4, "learning_rate": 1e-9}
    train(lake, "mine", recipe="small", config=brief, start="base")
    mine, base = (registry.load_encoder(lake, m, torch.device("cpu")) for m in ("mine", "base"))
    for a, b in zip(mine.parameters(), base.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    with pytest.raises(ModelError, match="another shape"):
        train(lake, "third", config=TOY, start="base")


def test_the_network_of_a_packaged_model_can_be_copied(lake: Lake) -> None:
    create_model(lake, "random_vit", "random", like="base")
    assert registry.load_config(lake, "random").crop_size_px == 128
