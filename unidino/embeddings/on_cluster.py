"""Plates embedded by the workers of a dask cluster, one task a plate."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from unidino.core.cluster import carry_out, connected
from unidino.core.progress import progress_bar
from unidino.embeddings.embed import Embedded, chosen_plates, embed
from unidino.lake.lake import Lake


def embed_on_cluster(
    lake: Lake,
    model: str,
    scheduler: str,
    *,
    plates: Sequence[str] = (),
    where: str | None = None,
    device: str = "cpu",
    **options: Any,
) -> Embedded:
    """What was embedded; see `embed`. Workers and other commands share the plates by their locks.

    scheduler: the file or the address of a dask scheduler. device: of every worker; on a GPU, a
    task takes one unit of the resource GPU. options: as of `embed`.
    Raises InputError if no scheduler answers; other errors as of `embed`.
    """
    names = [plate for plate, _ in chosen_plates(lake, plates, where)]
    common = {"address": lake.absolute_address, "model": model, "device": device, **options}
    found: list[Embedded] = []
    with (
        connected(scheduler) as client,
        progress_bar(f"embed {model}", len(names), "plates") as advance,
    ):

        def keep(done: Embedded) -> None:
            found.append(done)
            advance(1)

        tasks = [common | {"plate": name} for name in names]
        carry_out(client, _embed_plate, tasks, needs_gpu=device.startswith("cuda"), done=keep)
    left_out: Counter[str] = Counter()
    for done in found:
        left_out.update(done.left_out)
    return Embedded(
        tuple(sorted(plate for done in found for plate in done.plates)),
        tuple(sorted(plate for done in found for plate in done.skipped)),
        sum(done.num_images for done in found),
        sum(done.num_crops for done in found),
        dict(left_out),
    )


def _embed_plate(*, address: str, model: str, plate: str, **options: Any) -> Embedded:
    return embed(Lake.open(address), model, plates=[plate], **options)
