"""One model, told: what it is, where it comes from, and what was done with it."""

import json
import math
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from unidino.core import assets
from unidino.core.errors import ModelError, choose
from unidino.core.files import file_sha256
from unidino.core.results import Result
from unidino.lake.lake import Lake
from unidino.models.config import ModelConfig, vector_names
from unidino.models.packaged import packaged_folder, packaged_names
from unidino.models.registry import model_names
from unidino.training.health import verdict

# Statistics of batch norms are stored with the parameters.
_NOT_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")

# What damaged JSON may raise: no JSON, other types than those expected, nesting without end.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class ShownModel(Result):
    """Everything about one model; it prints as one line for each entry, then its card.

    dims: length of a vector. channels: names of the vectors of a field; None: one a channel.
    samples: SQL of the training samples. parent: model, file or address that the weights come from.
    weights_hash: SHA-256. plates: those embedded. training: whether it learned, from the log of its
    training. card: the text of `card.md`. What a model lacks is None.
    """

    model: str
    kind: str
    architecture: str | None
    architecture_options: dict[str, int]
    dims: int
    channels: tuple[str, ...] | None
    crop_px: int | None
    stride_px: int | None
    intensity: str | None
    instance_norm: bool
    num_parameters: int | None
    samples: str | None
    parent: str | None
    licence: str | None
    created: datetime | None
    weights_hash: str | None
    plates: tuple[str, ...]
    training: str | None
    card: str | None = field(repr=False)

    @property
    def frame(self) -> pl.DataFrame:
        """The entries that the model has, a row each: `entry` and `value`."""
        (row,) = super().frame.to_dicts()
        entries = {k: v for k, v in row.items() if v not in (None, "", False)}
        return pl.DataFrame(
            {"entry": list(entries), "value": [str(value) for value in entries.values()]}
        )

    def as_json(self) -> dict[str, Any]:
        """The entries by name, with the card."""
        return asdict(self)


def show_model(lake: Lake | None, name: str) -> ShownModel:
    """Everything about one model of the lake, or of this package; without a lake, of this package.

    Raises UnidinoError for an unknown model, ModelError if one of its files is damaged.

    >>> import unidino as ud
    >>> shown = ud.show_model(lake, "gaussian")
    >>> shown.kind, shown.dims, shown.plates
    ('gaussian', 384, ('tiny_b1_p1', 'tiny_b2_p1'))
    """
    known = model_names(lake) if lake else ()
    choose("model", name, [*known, *(n for n in packaged_names() if n not in known)])
    row = {}
    if lake and name in known:
        files = lake.look_up("from file where kind = 'model' and model = $m", {"m": name})
        lake.bring(files["uri"].to_list())
        folder = lake.place_of(f"models/{name}")
        (row,) = lake.look_up(assets.sql("queries", "shown_model"), {"model": name}).to_dicts()
    else:
        packaged = packaged_folder(name)
        assert packaged is not None
        folder = packaged
    try:
        return _shown(name, folder, row)
    except _DAMAGE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"model '{name}': a file of {folder} is damaged: {reason}") from error


def _shown(name: str, folder: Path, row: dict[str, Any]) -> ShownModel:
    """What the files of a model and its row in the catalog say."""
    config = ModelConfig.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))
    weights, log, card = (folder / f for f in ("model.safetensors", "train.jsonl", "card.md"))
    channels = vector_names(config)
    embeds = config.traits.embeds
    epochs = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return ShownModel(
        model=name,
        kind=config.kind,
        architecture=config.architecture,
        architecture_options=config.architecture_options,
        dims=config.num_dims,
        channels=tuple(channels) if channels else None,
        crop_px=config.crop_size_px if embeds else None,
        stride_px=config.stride_px if embeds else None,
        intensity=config.intensity if embeds else None,
        instance_norm=config.instance_norm,
        num_parameters=_num_parameters(weights) if weights.is_file() else None,
        samples=row.get("samples"),
        parent=row.get("parent"),
        licence=row.get("licence"),
        created=row.get("created"),
        weights_hash=row.get("weights_hash")
        or (file_sha256(weights) if weights.is_file() else None),
        plates=tuple(row.get("plates") or ()),
        training=verdict([json.loads(line) for line in epochs]) if epochs else None,
        card=card.read_text(encoding="utf-8") if card.is_file() else None,
    )


def _num_parameters(weights: Path) -> int:
    """The number of parameters, from the header of a safetensors file; torch is not imported."""
    with weights.open("rb") as file:
        num_bytes = int.from_bytes(file.read(8), "little")
        if num_bytes > weights.stat().st_size:
            raise ValueError(f"the header of {weights.name} ends after the file")
        header = json.loads(file.read(num_bytes))
    return sum(
        math.prod(tensor["shape"])
        for name, tensor in header.items()
        if name != "__metadata__" and not name.endswith(_NOT_PARAMETERS)
    )
