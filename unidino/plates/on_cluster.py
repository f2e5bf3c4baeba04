"""Plates ingested by the workers of a dask cluster: each runs the same command over all plates."""

from pathlib import Path
from typing import Any

from unidino.core.cluster import carry_out, connected
from unidino.core.errors import InputError
from unidino.core.progress import progress_bar
from unidino.lake.lake import Lake
from unidino.plates.ingest import Ingested, ingest

_FILES = ("platemap", "images")


def ingest_on_cluster(
    lake: Lake, path: str | Path, layout: str, scheduler: str, **options: Any
) -> Ingested:
    """What was written; see `ingest`. A plate is written by the worker that has its lock.

    scheduler: the file or the address of a dask scheduler. options: as of `ingest`. The images
    must have the same paths on every worker.
    Raises InputError if no scheduler answers, or if it has no worker; other errors as of `ingest`.
    """
    placed = {
        name: Path(value).absolute() if name in _FILES and value is not None else value
        for name, value in options.items()
    }
    placed["metadata"] = [Path(file).absolute() for file in options.get("metadata", ())]
    task = {
        "address": lake.absolute_address,
        "path": Path(path).absolute(),
        "layout": layout,
        **placed,
    }
    found: list[Ingested] = []
    with connected(scheduler) as client:
        num = len(client.scheduler_info(n_workers=-1)["workers"])
        if not num:
            raise InputError(f"the scheduler '{scheduler}' has no worker; start some")
        with progress_bar("ingest", num, "workers") as advance:

            def keep(done: Ingested) -> None:
                found.append(done)
                advance(1)

            carry_out(client, _ingest, [task] * num, needs_gpu=False, done=keep)
    landed = sorted({plate for done in found for plate in done.landed})
    return Ingested(
        tuple(landed),
        tuple(sorted({plate for done in found for plate in done.skipped} - set(landed))),
        sum(done.num_wells for done in found),
        sum(done.num_fields for done in found),
        sum(done.num_images for done in found),
        tuple(dict.fromkeys(problem for done in found for problem in done.problems)),
        found[0].account,
    )


def _ingest(*, address: str, path: Path, layout: str, **options: Any) -> Ingested:
    return ingest(Lake.open(address), path, layout, **options)
