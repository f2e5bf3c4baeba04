"""Recipes are what the paper says, and errors name what is wrong."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from unidino.core.choices import RecipeName
from unidino.core.errors import InputError, UnidinoError
from unidino.training.recipe import RECIPES, TrainConfig, config_of, read_changes
from unidino.training.schedules import Schedules, teacher_temperatures


def test_configurations_say_which_field_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"epochs": 3}')
    assert config_of("paper", read_changes(file) | {"batch_size": 4}).epochs == 3
    with pytest.raises(InputError, match="configuration: epoks"):
        config_of("paper", {"epoks": 3})
    file.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_changes(file)
    file.write_text("[]")
    with pytest.raises(InputError, match="is not a JSON object"):
        read_changes(file)
    with pytest.raises(UnidinoError, match="unknown recipe 'tiny'; choose one of paper, published"):
        config_of("tiny", {})
    with pytest.raises(InputError, match=r"configuration: blur_px: .* first limit is above"):
        config_of("small", {"blur_px": (3, 1)})
    with pytest.raises(InputError, match="cannot read --config"):
        read_changes(tmp_path / "none.json")


def test_every_recipe_has_its_name() -> None:
    assert list(RECIPES) == list(get_args(RecipeName))


def test_the_papers_recipe_is_the_papers() -> None:
    paper = RECIPES["paper"]
    assert (paper.learning_rate, paper.epochs, paper.batch_size) == (4e-4, 100, 510)
    assert (paper.num_outputs, paper.teacher_temperature) == (20_000, (0.01, 0.04))
    assert RECIPES["published"].learning_rate == pytest.approx(7.97e-4, rel=1e-3)


def test_recipes_for_minutes_have_a_length_of_their_own() -> None:
    steps = {
        name: recipe.epochs * recipe.steps_per_epoch
        for name, recipe in RECIPES.items()
        if recipe.steps_per_epoch
    }
    assert steps == {"small": 600, "medium": 2400, "adapt": 200}


def test_schedules_equal_the_published_programs(parity: Path) -> None:
    expected = json.loads((parity / "schedules.json").read_text())
    config = TrainConfig(epochs=expected["epochs"], learning_rate=4e-4 * 510 / 256)
    schedules = Schedules.of(config, expected["steps_per_epoch"])
    for name in ("learning_rate", "weight_decay", "teacher_momentum"):
        got = getattr(schedules, name)[expected["at_step"]]
        np.testing.assert_allclose(got, expected[name], rtol=1e-6, atol=1e-12)
    temperatures = teacher_temperatures(config)
    for epoch, value in expected["teacher_temperature_at_epoch"].items():
        assert temperatures[int(epoch)] == pytest.approx(value, rel=1e-6)
