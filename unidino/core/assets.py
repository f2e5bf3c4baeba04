"""SQL and schema files, from a checkout or from an installed wheel."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from unidino.core.errors import choose

_PACKAGE = Path(__file__).parents[1]
ROOT = _PACKAGE / "_assets" if (_PACKAGE / "_assets").is_dir() else _PACKAGE.parent


@cache
def sql(room: str, name: str) -> str:
    """Text of `sql/<room>/<name>.sql`.

    Raises UnidinoError for an unknown name; it lists the names in that room.
    """
    choose(room.split("/")[0] + " query", name, names(room))
    return (ROOT / "sql" / room / f"{name}.sql").read_text(encoding="utf-8")


def names(room: str) -> list[str]:
    """Stems of the files in `sql/<room>`, sorted."""
    return sorted(path.stem for path in (ROOT / "sql" / room).glob("*.sql"))


@cache
def texts(*rooms: str) -> tuple[str, ...]:
    """Texts of all files of `sql/<room>` of these rooms, not of the rooms within."""
    return tuple(sql(room, name) for room in rooms for name in names(room))


@cache
def ddl() -> tuple[str, ...]:
    """Statements that create the tables of the catalog."""
    return tuple(p.read_text(encoding="utf-8") for p in sorted((ROOT / "schemas").glob("*.sql")))


@cache
def manifest_schema() -> dict[str, Any]:
    """JSON Schema of the manifest: the columns of a row, with types, units and aliases."""
    text = (ROOT / "schemas" / "manifest.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


_ARROW_TYPES = {
    "string": pa.string(),
    "int32": pa.int32(),
    "double": pa.float64(),
    "list<string>": pa.list_(pa.string()),
    "list<float>": pa.list_(pa.float32()),
    "list<double>": pa.list_(pa.float64()),
}


@cache
def arrow_schema(name: str, num_dims: int | None = None) -> pa.Schema:
    """Arrow schema of `schemas/<name>.arrow.json`.

    num_dims: length of the vectors; with it `list<float>` columns become fixed-size lists.
    """
    text = (ROOT / "schemas" / f"{name}.arrow.json").read_text(encoding="utf-8")
    fields = []
    for field in json.loads(text)["fields"]:
        kind = _ARROW_TYPES[field["type"]]
        if field["type"] == "list<float>" and num_dims is not None:
            kind = pa.list_(pa.float32(), num_dims)
        fields.append(pa.field(field["name"], kind, nullable=field.get("nullable", False)))
    return pa.schema(fields)
