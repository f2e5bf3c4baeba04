"""A command under way, and its row in the catalog: lineage."""

import json
import platform
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from unidino.core.sql import Connection


@dataclass
class Run:
    """A command under way; recorded with the first thing it lands."""

    command: str
    arguments: Mapping[str, Any]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def record(self, con: Connection) -> None:
        """Insert this run unless it is there, and set its end to now."""
        versions = {"python": platform.python_version()} | {
            name: version(name) for name in ("unidino", "duckdb", "torch", "timm", "zarr")
        }
        con.execute(
            "insert or ignore into run by name select $run_id as run_id, $command as command,"
            " $arguments::json as arguments, $versions::json as versions, $started as started",
            {
                "run_id": self.run_id,
                "command": self.command,
                "arguments": json.dumps(dict(self.arguments), default=str),
                "versions": json.dumps(versions),
                "started": self.started.replace(tzinfo=None),
            },
        )
        con.execute(
            "update run set ended = $now where run_id = $run_id",
            {"now": datetime.now(UTC).replace(tzinfo=None), "run_id": self.run_id},
        )
