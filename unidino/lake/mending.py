"""Commands that mend what a check finds, with the arguments that the run table kept.

A command runs from any folder: paths are absolute.
"""

import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from unidino.lake.lake import Lake

Row = dict[str, Any]
# Options that take one list, separated by commas; other lists repeat their option.
_JOINED = {"channel_names", "channels", "drop_channels", "input_channels"}
# Values that no option needs to state.
_USUAL = {
    "layout": "manifest",
    "z": "max",
    "ngff": "0.5",
    "negcon": "DMSO",
    "level": "well",
    "aggregate": "median",
    "precision": "fp32",
    "engine": "torch",
    "device": "cpu",
    "keep": "mean",
    "normalization": "none",
    "architecture": "vit_small_patch16_224",
    "pyramid": 0,
    "seed": 0,
}
_SPELLED = {"short_side_px": "short-side", "crop_size_px": "crop-size", "mapped": "map"}
# Arguments that may name files; relative ones start at the folder where the command ran.
_PATHS = {"path", "metadata", "platemap", "images", "illumination", "file", "weights", "table"}
_INGEST = (
    *("layout", "dataset", "metadata", "platemap", "pattern", "images", "negcon", "unit"),
    *("allow_incomplete", "absent_channels", "metadata_only"),
)
_CHOICE = (
    *("channel_names", "channels", "drop_channels", "z", "timepoint", "plate_names"),
    *("acquisition", "image_name"),
)
_FORM = ("ngff", "pyramid", "illumination", "in_place", "convert", "max_pixels")
_EMBED = ("cover", "short_side_px", "keep", "precision", "engine", "batch_size", "device")
_IMPORT = (
    *("dataset", "features", "layer", "metadata", "level", "negcon", "unit"),
    *("objects", "aggregate", "keep_cells"),
)
_MODEL = {
    "models create": ("like", "weights", "normalization", "nuclei", "samples", "seed"),
    "models import": (
        *("architecture", "intensity", "normalization", "input_channels", "crop_size_px"),
        "licence",
    ),
    "models fetch": (
        *("accept_licence", "sha256", "intensity", "input_channels", "crop_size_px", "table"),
    ),
}
_PROJECTION = re.compile(r"/projection-(?P<method>[a-z]+)-(?P<seed>\d+)(-[0-9a-f]+)?/")


class Mender:
    """The commands for the plates, models and parts of a lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @cached_property
    def _runs(self) -> dict[str, Row]:
        rows = self._lake.look_up("select run_id, command, arguments from run").to_dicts()
        return {row["run_id"]: row for row in rows}

    @cached_property
    def _plates(self) -> dict[str, str]:
        return dict(self._lake.look_up("select plate_id, run_id from plate").iter_rows())

    @cached_property
    def _parts(self) -> dict[str, Row]:
        return {row["uri"]: row for row in self._lake.look_up("from part").to_dicts()}

    def of_catalog(self) -> str:
        """The command that makes the catalog, or what is kept beside it, anew."""
        return self._command("check", "--rebuild")

    def of_plate(self, plate: str) -> str:
        """The command that lands a plate again."""
        command, arguments = self._run(self._plates.get(plate))
        if command == "import-profiles":
            return self._import(arguments, overwrite=True)
        if command != "ingest":
            return self._command("ingest", "PATH")
        words: list[object] = ["ingest", _absolute(arguments, "path")]
        words += _options(_INGEST, arguments, arguments)
        words += _options(_CHOICE, arguments.get("choice") or {}, arguments)
        words += _options(_FORM, arguments.get("form") or {}, arguments)
        return self._command(*words, *self._counting(plate))

    def _counting(self, plate: str) -> list[object]:
        """The option that counts the cells of a plate again, if they were counted in a channel."""
        query = (
            "select arguments ->> 'channel' from run where command = 'count-cells'"
            " and exists (from field where plate = $plate and num_cells is not null)"
            " and (arguments ->> '$.plates[0]' is null"
            " or list_contains((arguments -> 'plates')::varchar[], $plate))"
            " order by number desc limit 1"
        )
        channels = self._lake.look_up(query, {"plate": plate}).to_series().to_list()
        return ["--count-cells", *channels] if any(channels) else []

    def of_part(self, uri: str) -> str:
        """The command that makes a part again."""
        part = self._parts.get(uri)
        if part is None:
            return self.of_leftover()
        command, arguments = self._run(part["run_id"])
        if command == "import-profiles":
            return self._import(arguments)
        named = ["--model", part["model"]]
        if part["kind"] in ("embedding", "crop_embedding"):
            options = _options(_EMBED, _cut(part, arguments), arguments)
            return self._command("embed", *named, "--plate", part["plate"], *options, "--overwrite")
        named += ["--dataset", part["dataset"], "--level", part["level"]]
        named += ["--normalize", part["normalization"]]
        if part["kind"] != "projection":
            return self._command("profile", *named)
        found = _PROJECTION.search(uri)
        selection = arguments.get("selection") or {}
        if not found or selection.get("channels") or selection.get("compounds"):
            return self.of_row("part", f"uri = {_literal(uri)}")  # only Python makes it again
        named += ["--method", found["method"], "--seed", found["seed"]]
        where = _options(("where",), selection, {})
        return self._command("plot", "map", "-o", "map.png", *named, *where)

    def of_model(self, model: str, uri: str, sha256: str | None) -> str:
        """The command that brings a file of a model back, or what to do where none can."""
        rows = self._lake.look_up("select run_id from model where model = $m", {"m": model})
        command, arguments = self._run(None if rows.is_empty() else rows.item())
        if uri.endswith(("/config.json", "/record.json")):
            return self.of_catalog()
        if command == "bring packaged model":
            plates = [
                p["plate"] for p in self._parts.values() if p["model"] == model and p["plate"]
            ]
            chosen = ["--plate", min(plates)] if plates else ["--all"]
            return self._command("embed", "--model", model, *chosen)
        if command in _MODEL:
            verb = command.split()[1]
            key = {"create": "preset", "import": "file", "fetch": "name"}[verb]
            what = _absolute(arguments, key) if verb == "import" else arguments.get(key)
            options = _options(_MODEL[command], arguments, arguments)
            return self._command("models", verb, what, "--model", model, *options)
        known = f" (SHA-256 {sha256})" if sha256 else ""
        return (
            f"put the file{known} back from a copy of the lake, or train again under another name:"
            f" {self._command('train', '--model', 'NEW')}"
        )

    def of_row(self, table: str, condition: str) -> str:
        """The command that deletes rows of a table."""
        statement = f"delete from {table} where {condition}"
        if table == "part":
            statement += f"; delete from file where {condition}"
        return self._command("sql", "--write", statement)

    def of_leftover(self) -> str:
        """The command that removes what a killed run left."""
        return self._command("check", "--clean")

    def plate_in(self, key: str) -> str:
        """The plate whose name begins a key of several columns."""
        fit = [p for p in self._plates if key == p or key.startswith(f"{p} ")]
        return max(fit, key=len, default=key)

    def _run(self, run_id: str | None) -> tuple[str, Row]:
        row = self._runs.get(run_id or "", {"command": "", "arguments": "{}"})
        return row["command"], json.loads(row["arguments"])

    def _import(self, arguments: Row, *, overwrite: bool = False) -> str:
        files = arguments["file"] if isinstance(arguments["file"], list) else [arguments["file"]]
        placed = [_placed(file, arguments) for file in files]
        words: list[object] = ["import-profiles", *placed]
        words += ["--model", arguments["model"]]
        mapped = arguments.get("mapped") or {}
        if mapped:
            words += ["--map", ",".join(f"{name}={value}" for name, value in mapped.items())]
        words += _options(_IMPORT, arguments, arguments)
        return self._command(*words, *(["--overwrite"] if overwrite else []))

    def _command(self, *words: object) -> str:
        listed = ["unidino", *(str(word) for word in words), "--lake", self._lake.address]
        return shlex.join(listed)


def _cut(part: Row, arguments: Row) -> Row:
    """Arguments of an embedding; crops of it are only made if they are kept."""
    return arguments | ({"keep": "crop"} if part["kind"] == "crop_embedding" else {})


def _absolute(arguments: Row, name: str) -> Any:
    """An argument; a relative path that was given as one starts where the command ran."""
    return _placed(arguments.get(name), arguments)


def _placed(value: Any, arguments: Row) -> Any:
    folder = arguments.get("folder")
    return os.path.join(folder, value) if folder and isinstance(value, str) else value


def _options(names: Iterable[str], given: Mapping[str, Any], arguments: Row) -> list[object]:
    """Words of the options that were given other values than the usual ones."""
    words: list[object] = []
    for name in names:
        value = given.get(name)
        if value in (None, False, [], {}, "") or value == _USUAL.get(name):
            continue
        option = f"--{_SPELLED.get(name, name.replace('_', '-'))}"
        if value is True:
            words.append(option)
        elif name in _JOINED:
            words += [option, ",".join(value)]
        else:
            listed = (
                value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
            )
            for item in listed:
                words += [option, _as_path(name, item, arguments)]
    return words


def _as_path(name: str, value: Any, arguments: Row) -> Any:
    """A value of an option, with an absolute path if it names a file or a folder."""
    is_path = name in _PATHS or (name == "layout" and str(value).endswith(".sql"))
    placed = _placed(value, arguments) if is_path else value
    is_word = name == "illumination" and not Path(str(placed)).is_dir()
    return value if is_word else placed


def _literal(text: str) -> str:
    """A text as an SQL constant."""
    return "'" + text.replace("'", "''") + "'"
