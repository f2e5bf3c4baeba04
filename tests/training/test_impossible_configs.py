"""Configurations of a training that cannot be: each is refused in one line, at once."""

import json
import time
from pathlib import Path

import pytest

from unidino.lake.lake import Lake

_WIDE = {"architecture_options": {"embed_dim": 65_536, "num_heads": 2, "depth": 200}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
        ("{", "is not JSON"),
        ('{"epochs": NaN}', "epochs"),
        ('{"epochs": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"learning_rate": Infinity}', "learning_rate"),
        ('{"gamma": [NaN, 1]}', "gamma"),
        ('{"learning_rate": 1e999}', "learning_rate"),
        ('{"epochs": 1e30}', "epochs"),
        ('{"epochs": 1000000000}', "epochs"),
        ('{"steps_per_epoch": 1000000, "epochs": 1000000}', "steps are more than"),
        ('{"batch_size": 1000000000000}', "batch_size"),
        ('{"num_outputs": 1000000000}', "num_outputs"),
        ('{"head_hidden": 1000000000}', "head_hidden"),
        ('{"head_hidden": 65000, "head_bottleneck": 65000, "num_outputs": 1000000}', "GiB"),
        ('{"num_local_crops": 100000}', "num_local_crops"),
        ('{"crop_size_px": 1000000}', "crop_size_px"),
        ('{"crop_size_px": 17}', "crop_size_px"),
        ('{"seed": -1}', "seed"),
        ('{"seed": 99999999999}', "seed"),
        ('{"learning_rate_warmup": 1e300}', "learning_rate_warmup"),
        ('{"teacher_temperature_warmup": 1000000000}', "teacher_temperature_warmup"),
        ('{"architecture_options": {"depth": 1000}}', "the depth of a network"),
        ('{"architecture_options": {"depth": 0}}', "the depth of a network"),
        ('{"architecture_options": {"embed_dim": 7}}', "has no form"),
        ('{"architecture_options": {"num_heads": 0}}', "has no form"),
        ('{"architecture_options": {"patch_size": 0}}', "has no form"),
        ('{"architecture_options": {"embed_dim": 1000000000}}', "architecture_options"),
        ('{"architecture_options": {"nonsense": 1}}', "not a vision transformer"),
        (json.dumps(_WIDE), "GiB"),
        ('{"architecture_options": 5}', "architecture_options"),
        ('{"no such choice": 1}', "no such choice"),
        ('{"\\ud800": 1}', ""),
    ],
)
@pytest.mark.sample(18)
def test_a_config_is_refused_at_once(
    run_cli, lake: Lake, tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "c.json"
    file.write_text(text)
    words = ("train", "--model", "t", "--recipe", "small", "--config", file)
    started = time.monotonic()
    status, out, err = run_cli(*words, "--lake", lake.path)
    assert (status, out, err.count("\n")) == (1, "", 1), err
    assert err.startswith("error: ")
    assert "bug of unidino" not in err
    assert reason in err
    assert time.monotonic() - started < 15
    assert not (lake.path / "models" / "t").exists()


@pytest.mark.parametrize("name", [".", "none.json", "/dev/zero", "n" * 300])
def test_what_is_no_file_is_no_config(run_cli, lake: Lake, name: str) -> None:
    words = ("train", "--model", "t", "--recipe", "small", "--config", name)
    status, out, err = run_cli(*words, "--lake", lake.path)
    assert (status, out, err.count("\n")) == (1, "", 1), err
    assert "bug of unidino" not in err
