"""Lineage: runs of commands, and their rows in the catalog."""

import json
import platform
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from unidino.core.account import Account
from unidino.lake.catalog import Landing


@dataclass
class Run:
    """A run of a command; it is recorded when its first results land.

    account: what the command understood of its input.
    """

    command: str
    arguments: Mapping[str, Any]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    account: Account = field(default_factory=Account)

    @classmethod
    def of(cls, command: str, given: Mapping[str, Any], *, reads_files: bool = False) -> "Run":
        """A run with every argument of the call except the lake.

        given: `locals()`, taken in the first line of the function. reads_files: some arguments are
        paths; the folder where relative ones start is kept too, as `folder`.
        """
        arguments = {n: v for n, v in given.items() if n != "lake" and not callable(v)}
        folder = {"folder": str(Path.cwd())} if reads_files else {}
        return cls(command, arguments | folder)

    def record(self, landing: Landing) -> None:
        """Record this run, or that it goes on: it ends now, and is the last of the lake."""
        row = {
            "run_id": self.run_id,
            "command": self.command,
            "arguments": json.dumps(dict(self.arguments), default=_plain),
            "versions": _versions(),
            "account": json.dumps(self.account.as_json()) if self.account else None,
            "started": self.started.replace(tzinfo=None),
            "ended": datetime.now(UTC).replace(tzinfo=None),
            "number": landing.next_number(),
        }
        landing.put("run", [row], instead_of="run_id")


@cache
def _versions() -> str:
    """Versions of Python and of the packages that results depend on, as JSON."""
    packages = ("unidino", "duckdb", "torch", "timm", "zarr")
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    return json.dumps(versions)


def _plain(value: Any) -> Any:
    """An argument as a value that JSON can hold."""
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
