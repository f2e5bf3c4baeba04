"""Weights come in whole, as tensors, to the embeddings that their own network gives."""

import argparse
import hashlib
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from unidino.core.errors import ModelError, UnidinoError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models.baselines import create_model
from unidino.models.config import ModelConfig
from unidino.models.encoder import Encoder
from unidino.models.networks import PooledNetwork
from unidino.models.registry import load_config, load_encoder, load_network
from unidino.models.weight_files import IMAGENET_MEAN, IMAGENET_SD
from unidino.models.weights import import_model

CPU = torch.device("cpu")
TINY = "vit_tiny_patch16_224"


def _timm(num_channels: int = 1, architecture: str = TINY) -> nn.Module:
    torch.manual_seed(3)
    network = timm.create_model(architecture, in_chans=num_channels, num_classes=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return network.eval()


def _published(network: nn.Module) -> dict[str, Any]:
    """A checkpoint as DINO's program writes it."""
    teacher = {f"module.backbone.{k}": v for k, v in network.state_dict().items()}
    teacher |= {"module.head.mlp.0.weight": torch.zeros(2, 2), "module.head.last": torch.zeros(1)}
    return {
        "teacher": teacher,
        "student": {"x": torch.ones(1)},
        "epoch": 3,
        "args": argparse.Namespace(arch="vit_small"),
    }


def _crops() -> Tensor:
    return torch.rand(3, 1, 224, 224, generator=torch.Generator().manual_seed(0))


@pytest.mark.anywhere(remote="slow")
def test_a_published_checkpoint_gives_its_own_embeddings(lake: Lake, tmp_path: Path) -> None:
    network = _timm()
    torch.save(_published(network), tmp_path / "dino.pth")
    config = import_model(
        lake, tmp_path / "dino.pth", "theirs", architecture=TINY, licence="CC BY-NC 4.0"
    )
    assert (config.intensity, config.crop_size_px, config.num_dims) == ("dtype", 224, 192)
    with torch.inference_mode():
        got = load_encoder(lake, "theirs", CPU)(_crops())
        want = network(_crops())
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    row = lake.query("select licence, parent, kind from model where model = 'theirs'").row(0)
    assert row == ("CC BY-NC 4.0", "dino.pth", "vit")


def test_the_parity_weights_come_in_by_the_command(
    parity: Path, lake: Lake, tmp_path: Path, run_cli: Any
) -> None:
    encoder = Encoder("vit_small_patch16_224", 224)
    state = {}
    for name, value in encoder.vit.state_dict().items():
        seed = hashlib.sha256(f"unidino-0:{name}".encode()).digest()[:8]
        rng = np.random.default_rng(int.from_bytes(seed, "little"))
        weights = rng.standard_normal(tuple(value.shape)).astype(np.float32) * np.float32(0.02)
        ones = "norm" in name and name.endswith("weight")
        state[f"backbone.{name}"] = torch.from_numpy(weights + np.float32(ones))
    torch.save({"teacher": state}, tmp_path / "published.pth")
    status, out, err = run_cli(
        "models",
        "import",
        tmp_path / "published.pth",
        "--model",
        "pub",
        "--lake",
        lake.path,
        "--json",
    )
    assert status == 0, err
    assert '"dims": 384, "crop_px": 224, "intensity": "dtype"' in out
    seed = int.from_bytes(hashlib.sha256(b"unidino-0:crops").digest()[:8], "little")
    crops = np.random.default_rng(seed).integers(0, 65536, (6, 1, 224, 224), np.uint16)
    with torch.inference_mode():
        got = load_encoder(lake, "pub", CPU)(torch.from_numpy(crops / np.float32(65535)))
    want = np.load(parity / "vit_small_embeddings.npz")["embeddings"]
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("normalization", ["none", "imagenet"])
def test_colour_networks_see_grey_as_three_equal_colours(
    lake: Lake, tmp_path: Path, normalization: str
) -> None:
    network = _timm(3)
    save_file(network.state_dict(), tmp_path / "colour.safetensors")
    import_model(
        lake,
        tmp_path / "colour.safetensors",
        "grey",
        architecture=TINY,
        normalization=normalization,
    )
    colours = _crops().expand(-1, 3, -1, -1)
    if normalization == "imagenet":
        mean, sd = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_SD))
        colours = (colours - mean) / sd
    with torch.inference_mode():
        got = load_encoder(lake, "grey", CPU)(_crops())
        torch.testing.assert_close(got, network(colours), rtol=1e-4, atol=1e-4)


def test_a_network_of_several_stains_keeps_its_channels(lake: Lake, tmp_path: Path) -> None:
    network = _timm(2)
    save_file(network.state_dict(), tmp_path / "two.safetensors")
    with pytest.raises(
        ModelError, match=r"take 2 channels; name the channels with --input-channels"
    ):
        import_model(lake, tmp_path / "two.safetensors", "two", architecture=TINY)
    import_model(
        lake,
        tmp_path / "two.safetensors",
        "two",
        architecture=TINY,
        input_channels=["DNA", "Actin"],
    )
    crops = torch.rand(2, 2, 224, 224)
    with torch.inference_mode():
        got = load_encoder(lake, "two", CPU)(crops)
        torch.testing.assert_close(got, network(crops), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("norm.weight"), "norm.weight is missing"),
        (lambda s: s.update(extra=torch.zeros(1)), "extra is left over"),
        (lambda s: s.update({"norm.bias": torch.zeros(3)}), r"norm.bias is \(3,\), not \(192,\)"),
        (lambda s: s.pop("pos_embed"), "not a vision transformer: it lacks pos_embed"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    lake: Lake, tmp_path: Path, change: Any, message: str
) -> None:
    state = dict(_timm().state_dict())
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=message):
        import_model(lake, tmp_path / "w.safetensors", "bad", architecture=TINY)
    assert lake.query("select count(*) from model").item() == 0
    assert not (lake.path / "models" / "bad").exists()


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("evil-was-here"),)


@pytest.mark.anywhere(remote="slow")
def test_code_in_a_checkpoint_is_not_run(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"teacher": _Evil()}, "evil.pth")
    Path("plain.pth").write_bytes(pickle.dumps({"teacher": _Evil()}))
    Path("text.pth").write_text("no weights")
    for name in ("evil.pth", "plain.pth", "text.pth", "absent.pth"):
        with pytest.raises(ModelError, match=name):
            import_model(lake, Path(name), "evil")
    assert not Path("evil-was-here").exists()


def test_imagenet_dino_comes_from_a_local_file(lake: Lake, tmp_path: Path) -> None:
    network = _timm(3, "vit_small_patch16_224")
    torch.save(network.state_dict(), tmp_path / "dino.pth")
    assert create_model(lake, "imagenet_dino", weights=tmp_path / "dino.pth") == "imagenet_dino"
    with torch.inference_mode():
        got = load_encoder(lake, "imagenet_dino", CPU)(_crops())
        want = network(_crops().expand(-1, 3, -1, -1))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_without_a_hub_the_local_file_is_asked_for(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_hub(*_: object, **__: object) -> None:
        raise OSError("cannot reach the hub\nat all")

    monkeypatch.setattr(timm, "create_model", no_hub)
    with pytest.raises(
        ModelError, match=r"model hub \(cannot reach the hub\); pass --weights FILE"
    ):
        create_model(lake, "imagenet_dino")


@pytest.mark.anywhere(remote="slow")
def test_any_timm_network_embeds(lake: Lake, tmp_path: Path) -> None:
    network = timm.create_model("resnet10t", num_classes=0).eval()
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "resnet.pth")
    create_model(lake, "resnet10t", "net", weights=tmp_path / "resnet.pth")
    config = load_config(lake, "net")
    assert (config.kind, config.num_dims) == ("timm", network.num_features)
    assert isinstance(load_network(lake, "net", CPU), PooledNetwork)
    assert embed(lake, "net", plates=["tiny_b1_p1"]).num_images == 36
    assert lake.query("select len(embedding) from embedding limit 1").item() == config.num_dims


def test_the_presets_are_listed(lake: Lake) -> None:
    with pytest.raises(
        UnidinoError, match="unknown preset 'dino'; choose one of cell_count, cellprofiler"
    ):
        create_model(lake, "dino")


def test_a_baseline_like_another(lake: Lake, tmp_path: Path) -> None:
    save_file(_timm().state_dict(), tmp_path / "w.safetensors")
    import_model(lake, tmp_path / "w.safetensors", "mine", architecture=TINY)
    create_model(lake, "random_vit", like="mine", seed=4)
    config = load_config(lake, "random_vit")
    assert (config.architecture, config.intensity, config.seed) == (TINY, "dtype", 4)
    create_model(lake, "gaussian", like="mine")
    assert load_config(lake, "gaussian") == ModelConfig(
        kind="gaussian", num_dims=192, intensity="dtype"
    )
    with pytest.raises(ModelError, match="'cellprofiler' has no use for --like 'mine'; omit it"):
        create_model(lake, "cellprofiler", like="mine")
    with pytest.raises(ModelError, match=r"'imagenet_dino' takes --weights, --normalization"):
        create_model(lake, "imagenet_dino", like="mine")


def test_every_argument_is_recorded(lake: Lake, tmp_path: Path) -> None:
    save_file(_timm().state_dict(), tmp_path / "w.safetensors")
    import_model(lake, tmp_path / "w.safetensors", "mine", architecture=TINY, licence="MIT")
    create_model(lake, "gaussian", "noise", like="mine", seed=3)
    recorded = {
        command: json.loads(arguments)
        for command, arguments in lake.query("select command, arguments from run").iter_rows()
    }
    for command, verb in (("models import", import_model), ("models create", create_model)):
        named = set(recorded[command]) - {"folder"}
        assert named == set(inspect.signature(verb).parameters) - {"lake"}
    assert recorded["models import"]["licence"] == "MIT"
    assert recorded["models create"]["like"] == "mine"
