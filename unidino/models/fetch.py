"""Published weights from their addresses, by a table of name, address, hash and licence.

The table is `published.json`, or another of the same form. Hashes of the table were read in several
public repositories that state the same one for the same address. Where none could be read, the
table has none, and the user must state it with the download: nothing comes in that somebody has not
vouched for, and a wrong hash is refused with the actual one.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from unidino.core.choices import Intensity, Normalization
from unidino.core.documents import parse_json
from unidino.core.download import check_address, download
from unidino.core.errors import InputError, ModelError, choose
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.registry import check_new_name

TABLE = Path(__file__).with_name("published.json")
Sha256 = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]


class PublishedModel(BaseModel):
    """Published weights: where they are, what may be done with them, and how they were trained.

    terms: address of the page that states the licence. architecture, intensity, normalization: see
    `import_model`. channels: what the network sees at once, in order; none for one channel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    address: str
    sha256: Sha256 | None = None
    size_bytes: PositiveInt | None = None
    licence: str
    terms: str
    architecture: str
    intensity: Intensity = "dtype"
    normalization: Normalization = "none"
    channels: tuple[str, ...] = ()


def published_models(table: Path | None = None) -> list[PublishedModel]:
    """The published weights of a table; default: the one of this package.

    Raises InputError if the table cannot be read, or a row is invalid.
    """
    path = TABLE if table is None else Path(table)
    try:
        rows = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the table '{path}': {error}") from error
    if not isinstance(rows, list):
        raise InputError(f"cannot read the table '{path}': it is no list of rows")
    models = [_published(path, number, row) for number, row in enumerate(rows, 1)]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise InputError(f"{path} has two rows of one name")
    return models


def _published(path: Path, number: int, row: Any) -> PublishedModel:
    try:
        return PublishedModel.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        name = f" ('{row['name']}')" if isinstance(row, dict) and "name" in row else ""
        where = "".join(f"{part}: " for part in first["loc"])
        raise InputError(f"{path}: row {number}{name}: {where}{first['msg']}") from error


def fetch_model(
    lake: Lake,
    name: str,
    model: str | None = None,
    *,
    accept_licence: bool = False,
    sha256: str | None = None,
    intensity: Intensity | None = None,
    input_channels: Sequence[str] = (),
    crop_size_px: int | None = None,
    table: Path | None = None,
) -> ModelConfig:
    """Configuration of a new model with published weights, downloaded and imported strictly.

    name: of a row of the table; model: of the new model, default the same.
    sha256: of the file; needed where the table has none. intensity: default that of the table.
    input_channels: the plates' names of the channels that the network sees at once. crop_size_px:
    see `import_model`. table: a JSON file of the form of `published.json`.
    Nothing lands if the file is not the expected one, or does not fit the architecture.
    Raises ModelError without accept_licence; InputError if the file cannot be had; other errors as
    of `import_model`.
    """
    given = dict(locals())
    rows = {row.name: row for row in published_models(table)}
    published = rows[choose("published model", name, list(rows))]
    model = model or published.name
    check_new_name(lake, model, may_mend=True)
    _check_channels(published, input_channels)
    check_address(published.address)
    if not accept_licence:
        raise ModelError(
            f"{name} is under a licence of its own; read it, then accept it with --accept-licence",
            [
                f"licence: {published.licence}",
                f"terms: {published.terms}",
                f"address: {published.address}",
            ],
        )
    expected = _expected(published, sha256)
    given |= {"model": model, "sha256": expected}
    run = Run.of("models fetch", given, reads_files=True)
    from unidino.models.weights import Trained, land_weights

    trained = Trained(
        published.architecture,
        intensity or published.intensity,
        tuple(input_channels),
        published.normalization,
        crop_size_px,
    )
    folder = lake.place_of("models")
    folder.mkdir(exist_ok=True)
    ending = Path(urlsplit(published.address).path).suffix
    file = folder / f".{model}.{os.getpid()}.download{ending}"
    try:
        download(published.address, file, sha256=expected, size_bytes=published.size_bytes)
        return land_weights(
            lake,
            run,
            file,
            model,
            trained,
            parent=published.address,
            licence=published.licence,
        )
    finally:
        file.unlink(missing_ok=True)


def _check_channels(published: PublishedModel, input_channels: Sequence[str]) -> None:
    num_channels = len(published.channels)
    if num_channels and len(input_channels) != num_channels:
        raise ModelError(
            f"{published.name} sees {num_channels} channels at once"
            f" ({', '.join(published.channels)}); name those of your plates, in this order, with"
            " --input-channels"
        )


def _expected(published: PublishedModel, sha256: str | None) -> str:
    """The hash that the file must have."""
    if sha256 is None:
        if published.sha256 is None:
            raise ModelError(
                f"the table has no hash of {published.name}; state the file's SHA-256, which its"
                " publisher shows, with --sha256"
            )
        return published.sha256
    if len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef"):
        raise InputError(f"--sha256 is '{sha256}'; it must be 64 hexadecimal digits")
    if published.sha256 and published.sha256.lower() != sha256.lower():
        raise InputError(
            f"--sha256 is not the hash that the table has of {published.name}, {published.sha256}"
        )
    return sha256
