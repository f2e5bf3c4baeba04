"""Profiles in the lake: current ones are reused, missing and outdated ones are computed.

An embedding is the vector of one image; a profile is the normalized mean of a well, or of a coarser
level. `compute` computes the profiles of one dataset; this module keeps them as parts of the lake.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import ProfileError, choose
from unidino.core.files import digest
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts, carried, current, is_whole_part
from unidino.lake.runs import Run
from unidino.models.registry import load_config
from unidino.profiles.files import read_statistics, write_profiles, write_statistics
from unidino.profiles.form import ProfileForm, statistics_hash
from unidino.profiles.normalize import Learnt
from unidino.profiles.selection import Selection, counts_can_stand

_TABLES = ("plate", "channel", "well", "part", "model")


@dataclass(frozen=True)
class Profiled:
    """Profiles of one dataset in the lake.

    normalization: canonical text of their form. dropped: what is left out: reason and count.
    is_new: false if the profiles were current already. uri: of their file.
    """

    model: str
    normalization: str
    level: str
    dataset: str
    num_profiles: int
    dropped: dict[str, int]
    is_new: bool
    uri: str

    @property
    def title(self) -> str:
        """What the profiles are of, for messages."""
        return f"{self.model} on {self.dataset}"


def profile(lake: Lake, selection: Selection | None = None) -> Results[Profiled]:
    """Profiles of every selected model and dataset that has embeddings.

    Current profiles are reused, others are computed. `where`, `channels` and `compounds` of a
    selection choose among the profiles later; they do not change the files.
    Raises UnidinoError for an unknown model or dataset, ProfileError if nothing is embedded.

    >>> import unidino as ud
    >>> ud.profile(lake, ud.Selection(models=["gaussian"])).frame["profiles"].to_list()
    [12]
    """
    made = profiles_and_vectors(lake, selection or Selection())
    return Results([profiled for profiled, _ in made], _table)


def profiles_and_vectors(
    lake: Lake, selection: Selection
) -> Iterator[tuple[Profiled, NDArray[Any] | None]]:
    """The profiles of `profile`, one dataset after another, with vectors that were just computed.

    The vectors (N, D) are those of the file; None if they are to be read from it, because the
    profiles are current or too many for the memory. Errors as of `profile`.
    """
    run = Run.of("profile", {"lake": lake, "selection": selection})
    form = selection.form
    known = _statistics(lake, form)
    for row in _embedded(lake, selection):
        yield _profile_dataset(lake, run, row, form, selection.level, known)


def _table(profiled: Sequence[Profiled]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "model": p.model,
                "normalization": p.normalization,
                "level": p.level,
                "dataset": p.dataset,
                "profiles": p.num_profiles,
                "new": p.is_new,
            }
            for p in profiled
        ]
    )


def _embedded(lake: Lake, selection: Selection) -> list[dict[str, Any]]:
    """Selected rows of the query embedded_dataset, in the order in which models are selected."""
    for model in selection.models:
        load_config(lake, model)
    present = lake.look_up(assets.sql("queries", "embedded_dataset"))
    for dataset in selection.datasets:
        choose("dataset", dataset, sorted(set(present["dataset"])))
    models, datasets = selection.models, selection.datasets
    if not models:
        counts = lake.look_up("select model from model where kind = 'cell_count'")["model"]
        is_count = present["model"].is_in(counts.implode())
        # Others are compared with the first, which is no baseline if there is another.
        last = present.filter(is_count if counts_can_stand(selection) else pl.lit(value=False))
        present = pl.concat([present.filter(~is_count), last])
    chosen = [
        row
        for row in present.iter_rows(named=True)
        if (not models or row["model"] in models) and (not datasets or row["dataset"] in datasets)
    ]
    if models:  # other models are compared with the first
        chosen.sort(key=lambda row: list(models).index(row["model"]))
    if missing := set(models) - {row["model"] for row in chosen}:
        name = min(missing)
        raise ProfileError(
            f"model '{name}' has no embeddings; run `unidino embed --model {name} --all`"
        )
    if not chosen:
        raise ProfileError(
            "nothing is embedded yet; run `unidino embed --model NAME --all`, or `unidino"
            " import-profiles FILE --model NAME` for features that others computed"
        )
    return chosen


def _statistics(lake: Lake, form: ProfileForm) -> list[Learnt] | None:
    """Statistics that the form applies; empty to learn them; None if their file is not found."""
    if form.statistics is None:
        return []
    path: Path | None = Path(form.statistics)
    if not Path(form.statistics).is_file():
        uris = lake.look_up("select uri from part where kind = 'statistic' order by uri")["uri"]
        paths = [lake.resolve(uri) for uri in uris]
        same = [p for p in paths if p.is_file() and statistics_hash(str(p)) == form.statistics]
        path = same[0] if same else None
    return read_statistics(path) if path else None


def _sql_texts(form: ProfileForm) -> list[str | None]:
    """Texts of the queries that profiles depend on; profiles are outdated when a text changes."""
    texts = [assets.sql("queries", q) for q in ("raw_profile", "raw_vector", "level_profile")]
    return [*texts, *(assets.sql("normalize", step) for step in form.steps), form.wells_sql()] + (
        [assets.sql("covariates", form.regress)] if form.regress else []
    )


def _counts(lake: Lake, dataset: str, form: ProfileForm) -> list[Any]:
    """Numbers of cells that a form regresses on, as inputs of profiles; nothing for other forms."""
    if form.regress is None:
        return []
    query = (
        "select plate, well, num_cells from well inner join plate on plate_id = plate"
        " where dataset = $dataset order by all"
    )
    return [lake.look_up(query, {"dataset": dataset}).rows()]


def _profile_dataset(
    lake: Lake,
    run: Run,
    row: dict[str, Any],
    form: ProfileForm,
    level: str,
    known: Sequence[Learnt] | None,
) -> tuple[Profiled, NDArray[Any] | None]:
    model, dataset, text = row["model"], row["dataset"], str(form)
    if row["kind"] == "profile":
        return _imported(lake, row, form, level), None
    folder = f"profiles/{model}/{folder_name(text)}"
    inputs = digest(row["inputs"], text, level, _sql_texts(form), *_counts(lake, dataset, form))
    part = Part(
        f"{folder}/{level}/{dataset}.parquet",
        "profile",
        model,
        inputs,
        dataset,
        normalization=text,
        level=level,
    )
    profiled = Profiled(model, text, level, dataset, 0, {}, True, part.uri)
    learnt = replace(part, uri=f"{folder}/statistics/{level}/{dataset}.parquet", kind="statistic")
    there = current(lake, part.uri, inputs)
    if there and _is_whole(lake, learnt.uri):
        return _kept(profiled, there), None
    if known is None:
        raise ProfileError(
            f"found no file of statistics {form.statistics}; name it by --statistics FILE"
        )
    # Imported here, because only missing profiles need these modules.
    from unidino.profiles.compute import compute, first_channels

    config = load_config(lake, model)
    named = {"model": model, "normalization": text, "level": level, "dataset": dataset}
    of_dataset = "select plate_id from plate where dataset = $dataset"
    plates = lake.look_up(of_dataset, {"dataset": dataset})["plate_id"].to_list()
    texts = [text for text in _sql_texts(form) if text]
    with lake.snapshot(_TABLES, plates, of="embedding", texts=texts) as con:
        query, of = assets.sql("queries", "embedding_file"), {"model": model, "dataset": dataset}
        files = {p: lake.resolve(u) for p, u in con.execute(query, of).fetchall()}
        with compute(con, files, model, dataset, config, form, level, known) as computed:
            parts = Parts(lake, run)
            dropped, details = computed.dropped, {"features": computed.features}
            exact = not config.traits.embeds
            vectors: NDArray[Any] = computed.vectors
            are_few = not isinstance(vectors, np.memmap)
            if are_few and not exact:
                vectors = vectors.astype(np.float32)
            with parts.writing(part, len(vectors), dropped=dropped, details=details) as path:
                told = carried(part, dropped=dropped, details=details)
                write_profiles(path, computed.table, vectors, named, exact=exact, told=told)
            if computed.learnt and form.keeps_statistics:
                with parts.writing(learnt, len(computed.learnt), dropped=dropped) as path:
                    write_statistics(
                        path,
                        computed.learnt,
                        first_channels(computed.channels),
                        named,
                        carried(learnt, dropped=dropped),
                    )
            parts.land()
            done = replace(profiled, num_profiles=len(vectors), dropped=computed.dropped)
            return done, vectors if are_few else None


def _is_whole(lake: Lake, uri: str) -> bool:
    """Whether a part is whole, or not registered: some forms learn no statistics."""
    known = lake.look_up("select uri from part where uri = $uri", {"uri": uri})
    return known.is_empty() or is_whole_part(lake, uri)


def folder_name(text: str) -> str:
    """The name of the folder for the text of a form."""
    return text.replace(",", ".").replace("=", "-").replace("/", "_")


def _imported(lake: Lake, row: dict[str, Any], form: ProfileForm, level: str) -> Profiled:
    """Profiles that were imported without wells, so they cannot be normalized or averaged."""
    if row["level"] != level or form.steps:
        raise ProfileError(
            f"model '{row['model']}' was imported as {row['level']} profiles; use"
            f" --level {row['level']} --normalize none"
        )
    profiled = Profiled(row["model"], str(form), level, row["dataset"], 0, {}, False, row["uri"])
    part = lake.look_up("select * from part where uri = $uri", {"uri": row["uri"]})
    return _kept(profiled, part.row(0, named=True))


def _kept(profiled: Profiled, part: dict[str, Any]) -> Profiled:
    dropped = json.loads(part["dropped"] or "{}")
    return replace(profiled, num_profiles=part["num_rows"], dropped=dropped, is_new=False)
