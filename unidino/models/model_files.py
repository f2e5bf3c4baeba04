"""The files of a model's folder: registered with the model, and made again where that is possible.

`record.json` has the rows of the model and of its run, so that a lost catalog can be made again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from unidino.core import assets
from unidino.core.files import digest, file_sha256, text_hash, written_beside
from unidino.core.sql import first_row
from unidino.lake.catalog import Landing
from unidino.lake.lake import Lake
from unidino.lake.records import file_row
from unidino.lake.states import FileState, files_below, is_whole, state_from, state_of
from unidino.models.config import ModelConfig

_FILES = "from file where kind = 'model' and model = $m order by uri"
RECORD = "record.json"
_CONFIG = "config.json"
# What a training writes besides; it may grow after the model has landed.
_OF_TRAINING = ("checkpoint.safetensors", "tensorboard")


def keep_model(lake: Lake, landing: Landing, name: str) -> None:
    """Write the record of a model, and register the files of its folder.

    landing: that inserts its row.
    """
    _write_record(lake, landing, name)
    _register(lake, landing, name, _states(lake, name))


def _register(lake: Lake, landing: Landing, name: str, states: Sequence[FileState]) -> None:
    for state in states:
        lake.kept(state.path)
    rows = [file_row("model", state, model=name) for state in states]
    landing.put("file", rows, instead_of="uri")


def keep_files(lake: Lake, name: str) -> None:
    """Register the files of a model's folder as they are now."""
    with lake.landing() as landing:
        keep_model(lake, landing, name)


def damaged_files(lake: Lake, name: str) -> list[str]:
    """Uris of the registered files of a model that are not whole; its record does not count."""
    rows = lake.look_up(_FILES, {"m": name}).to_dicts()
    return [
        row["uri"]
        for row in rows
        if not row["uri"].endswith(f"/{RECORD}")
        and not is_whole(lake.resolve(row["uri"]), state_from(row))
    ]


def restore_files(lake: Lake) -> list[str]:
    """Uris of configurations and records of models that are written again, by the catalog.

    The files of models that an earlier version registered are registered, if they are whole.
    """
    restored = []
    for row in lake.look_up(assets.sql("queries", "model_config")).to_dicts():
        name, config_uri = row["model"], f"models/{row['model']}/{_CONFIG}"
        files = lake.look_up(_FILES, {"m": name}).to_dicts()
        known = {file["uri"]: state_from(file) for file in files}
        faulty = {uri for uri, state in known.items() if not is_whole(lake.resolve(uri), state)}
        if config_uri in faulty or not lake.resolve(config_uri).is_file():
            config = ModelConfig.model_validate(json.loads(row["config"]))
            text = config.model_dump_json(indent=1)
            if config_uri not in known or known[config_uri].sha256 == text_hash(text):
                with lake.writing(config_uri) as path:
                    path.write_text(text, encoding="utf-8")
                restored.append(config_uri)
        record = f"models/{name}/{RECORD}"
        if record in faulty or (not known and _is_as_registered(lake, name, row["weights_hash"])):
            with lake.landing() as landing:
                _write_record(lake, landing, name)
                states = _states(lake, name)
                new = [s for s in states if s.path not in known or s.path == record]
                _register(lake, landing, name, new)
            restored.append(record)
    return restored


def _is_as_registered(lake: Lake, name: str, weights_hash: str) -> bool:
    """Whether the weights, or a configuration without weights, are those that the row tells."""
    weights, config = (_folder(lake, name) / file for file in ("model.safetensors", _CONFIG))
    try:
        if weights.is_file():
            return file_sha256(weights) == weights_hash
        return digest(config.read_text(encoding="utf-8")) == weights_hash
    except (OSError, UnicodeDecodeError):
        return False


def _write_record(lake: Lake, landing: Landing, name: str) -> None:
    with landing.tables(["model", "run"]) as con:
        (text,) = first_row(con, assets.sql("queries", "model_record"), {"model": name})
    with written_beside(_folder(lake, name) / RECORD) as path:
        path.write_text(text, encoding="utf-8")


def _folder(lake: Lake, name: str) -> Path:
    return lake.place_of(f"models/{name}")


def _states(lake: Lake, name: str) -> list[FileState]:
    folder = _folder(lake, name)
    files = [Path(path) for path in files_below(folder)]
    return [
        state_of(path, path.relative_to(lake.path).as_posix())
        for path in files
        if path.relative_to(folder).parts[0] not in _OF_TRAINING and not path.name.startswith(".")
    ]


def rebuild(path: Path) -> list[str]:
    """Lines that say what was made anew: the catalog, records, and configurations of models.

    Errors as of `lake.rebuild.rebuild`.
    """
    from unidino.lake.rebuild import rebuild as rebuild_catalog  # loads zarr

    lines = rebuild_catalog(path)
    return [*lines, *(f"wrote {uri} anew" for uri in restore_files(Lake.open(path)))]
