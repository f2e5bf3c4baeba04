"""Embeddings aggregated to wells, normalized, and averaged to a level.

SQL says which vectors make a profile, which wells teach a normalization and what a level is; numpy
does the arithmetic, plate by plate, on a matrix that lies in a temporary file.

Shapes: N raw profiles, D = C channels of d features, K features out, L profiles of the level.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unidino.core import assets
from unidino.core.errors import ProfileError, choose
from unidino.core.files import digest
from unidino.lake.lake import Lake
from unidino.lake.parts import land_parts
from unidino.lake.runs import Run
from unidino.models.registry import load_config
from unidino.profiles.compute import compute, first_channels
from unidino.profiles.files import read_statistics, write, write_statistics
from unidino.profiles.form import ProfileForm
from unidino.profiles.normalize import Learnt

LEVELS = ("field", "well", "treatment", "compound", "plate", "batch", "source")


@dataclass(frozen=True)
class Profiled:
    """Profiles of one dataset in the lake.

    normalization: the text of the form that they have. dropped: what did not make it into the
    profiles: reason and count. is_new: false if they were there already. uri: of their file.
    """

    model: str
    normalization: str
    level: str
    dataset: str
    num_profiles: int
    dropped: dict[str, int]
    is_new: bool
    uri: str


def profile(
    lake: Lake,
    models: Sequence[str] = (),
    *,
    normalize: str = "mad_robustize",
    level: str = "well",
    datasets: Sequence[str] = (),
    statistics: Path | None = None,
) -> list[Profiled]:
    """Profiles of every model and dataset that has embeddings; those that are current are kept.

    models, datasets: names; default all. normalize: see `ProfileForm`. statistics: a file of the
    table `statistic`, of other wells, that is applied instead of what these would teach.
    Raises UnidinoError for an unknown model, dataset, normalization or level, and ProfileError if
    nothing is embedded.
    """
    form = ProfileForm.parse(normalize)
    choose("level", level, LEVELS)
    for model in models:
        load_config(lake, model)
    present = lake.look_up(assets.sql("queries", "embedded_dataset"))
    for dataset in datasets:
        choose("dataset", dataset, sorted(set(present["dataset"])))
    chosen = [
        row
        for row in present.iter_rows(named=True)
        if (not models or row["model"] in models) and (not datasets or row["dataset"] in datasets)
    ]
    if models:  # the first that is named comes first: others are compared with it
        chosen.sort(key=lambda row: list(models).index(row["model"]))
    if missing := set(models) - {row["model"] for row in chosen}:
        name = min(missing)
        raise ProfileError(
            f"model '{name}' has embedded no plate; run `unidino embed --model {name} --all`"
        )
    if not chosen:
        raise ProfileError(
            "nothing is embedded yet; run `unidino embed --model NAME --all`, or `unidino"
            " import-profiles FILE --model NAME` for features that others computed"
        )
    known = read_statistics(statistics, form) if statistics else []
    text = f"{form},statistics={digest(statistics.read_bytes().hex())[:8]}" if statistics else ""
    run = Run(
        "profile",
        {
            "models": models,
            "normalize": text or str(form),
            "level": level,
            "statistics": statistics,
        },
    )
    return [
        _profile_dataset(lake, run, row, form, text or str(form), level, known) for row in chosen
    ]


def _sql_texts(form: ProfileForm) -> list[str | None]:
    """The queries that a profile depends on, so that it is computed anew when they change."""
    texts = [assets.sql("queries", q) for q in ("raw_profile", "raw_vector", "level_profile")]
    return [*texts, *(assets.sql("normalize", step) for step in form.steps), form.wells_sql()]


def _profile_dataset(
    lake: Lake,
    run: Run,
    row: dict[str, str],
    form: ProfileForm,
    text: str,
    level: str,
    known: Sequence[Learnt],
) -> Profiled:
    model, dataset = row["model"], row["dataset"]
    folder = f"profiles/{model}/{replace_unsafe(text)}"
    uri, statistic_uri = (f"{folder}/{p}{level}/{dataset}.parquet" for p in ("", "statistics/"))
    inputs = digest(row["inputs"], text, level, _sql_texts(form))
    current = lake.look_up(
        "select num_rows, dropped from part where uri = $uri and inputs_hash = $inputs",
        {"uri": uri, "inputs": inputs},
    )
    if row["kind"] == "profile" or (not current.is_empty() and lake.resolve(uri).is_file()):
        return _kept(lake, row, form, level, uri, current)
    config = load_config(lake, model)
    with lake.snapshot(("plate", "channel", "well", "part", "field", "image", "model")) as con:
        query, of = assets.sql("queries", "embedding_file"), {"model": model, "dataset": dataset}
        files = {p: lake.resolve(u) for p, u in con.execute(query, of).fetchall()}
        with compute(con, files, model, dataset, config, form, level, known) as made:
            part = {
                "model": model,
                "dataset": dataset,
                "normalization": text,
                "level": level,
                "inputs_hash": inputs,
                "dropped": json.dumps(made.dropped),
            }
            named = {"model": model, "normalization": text, "level": level, "dataset": dataset}
            details = json.dumps({"features": made.features})
            write(
                lake.resolve(uri), made.table, made.vectors, named, exact=config.kind == "imported"
            )
            parts = {
                uri: part | {"kind": "profile", "num_rows": len(made.vectors), "details": details}
            }
            if made.learnt:
                write_statistics(
                    lake.resolve(statistic_uri), made.learnt, first_channels(made.channels), named
                )
                parts[statistic_uri] = part | {"kind": "statistic", "num_rows": len(made.learnt)}
            land_parts(lake, run, parts)
            return Profiled(model, text, level, dataset, len(made.vectors), made.dropped, True, uri)


def replace_unsafe(text: str) -> str:
    """The text of a form as the name of a folder."""
    return text.replace(",", ".").replace("=", "-").replace("/", "_")


def _kept(
    lake: Lake, row: dict[str, str], form: ProfileForm, level: str, uri: str, current: object
) -> Profiled:
    """Profiles that are there: computed before, or imported as they are."""
    if row["kind"] == "profile":
        if row["level"] != level or form.steps:
            raise ProfileError(
                f"model '{row['model']}' was imported as {row['level']} profiles; use"
                f" --level {row['level']} --normalize none"
            )
        uri = row["uri"]
    rows = lake.look_up("select num_rows, dropped from part where uri = $uri", {"uri": uri})
    num_rows, dropped = rows.row(0)
    return Profiled(
        row["model"],
        str(form),
        level,
        row["dataset"],
        num_rows,
        json.loads(dropped or "{}"),
        False,
        uri,
    )
