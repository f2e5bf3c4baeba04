"""Embeddings aggregated to wells, normalized per plate, and averaged to a level."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from unidino import assets
from unidino.catalog import Connection, Lake, Run, digest, first_row, land_parts, written_beside
from unidino.errors import InputError, ProfileError, choose
from unidino.registry import load_config

LEVELS = ("field", "well", "treatment", "compound", "plate", "batch", "source")


def normalizations() -> list[str]:
    """Names of the normalizations: the files of `sql/normalize`, and `none`."""
    return sorted([*assets.names("normalize"), "none"])


@dataclass(frozen=True)
class Profiled:
    """Profiles of one dataset in the lake.

    dropped: what did not make it into the profiles: reason and count.
    is_new: false if they were there already.
    """

    model: str
    normalization: str
    level: str
    dataset: str
    num_profiles: int
    dropped: dict[str, int]
    is_new: bool


def profile(
    lake: Lake,
    models: Sequence[str] = (),
    *,
    normalize: str = "mad_robustize",
    level: str = "well",
    controls: str = "negcon",
    epsilon: float | None = None,
    datasets: Sequence[str] = (),
) -> list[Profiled]:
    """Profiles of every model and dataset that has embeddings; those that are current are kept.

    models, datasets: names; default all. controls: control_type that `standardize` learns from.
    epsilon: added to the spread, as pycytominer does; default: features without spread become 0.
    Raises UnidinoError for an unknown model, dataset, normalization or level, and ProfileError if
    nothing is embedded.
    """
    choose("normalization", normalize, normalizations())
    choose("level", level, LEVELS)
    choose("control_type", controls, ("trt", "negcon", "poscon", "empty"))
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
    if missing := set(models) - {row["model"] for row in chosen}:
        name = min(missing)
        raise ProfileError(
            f"model '{name}' has embedded no plate; run `unidino embed --model {name} --all`"
        )
    if not chosen:
        raise ProfileError("nothing is embedded yet; run `unidino embed --model NAME --all`")
    run = Run("profile", {"models": models, "normalize": normalize, "level": level})
    done = []
    for row in chosen:
        options = [normalize, level, controls, epsilon]
        inputs = digest(row["inputs"], options, _sql_texts(normalize))
        done.append(
            _profile_dataset(lake, run, row["model"], row["dataset"], normalize, level, controls,
                             epsilon, inputs)
        )  # fmt: skip
    return done


def _sql_texts(normalize: str) -> list[str]:
    """The queries that a profile depends on, so that it is computed anew when they change."""
    texts = [
        assets.sql("queries", q) for q in ("raw_profile", "normalized_profile", "level_profile")
    ]
    return texts if normalize == "none" else [*texts, assets.sql("normalize", normalize)]


def _profile_dataset(
    lake: Lake, run: Run, model: str, dataset: str, normalize: str, level: str, controls: str,
    epsilon: float | None, inputs: str,
) -> Profiled:  # fmt: skip
    uri = f"profiles/{model}/{normalize}/{level}/{dataset}.parquet"
    current = lake.look_up(
        "select num_rows, dropped from part where uri = $uri and inputs_hash = $inputs",
        {"uri": uri, "inputs": inputs},
    )
    if not current.is_empty() and lake.resolve(uri).is_file():
        num_rows, dropped = current.row(0)
        return Profiled(model, normalize, level, dataset, num_rows, json.loads(dropped), False)
    with lake.snapshot(("plate", "channel", "well", "part", "field", "image", "model")) as con:
        profiles, statistic, dropped = compute(
            con,
            model,
            dataset,
            normalize=normalize,
            level=level,
            controls=controls,
            epsilon=epsilon,
        )
    part = {"model": model, "dataset": dataset, "normalization": normalize, "level": level,
            "inputs_hash": inputs, "dropped": json.dumps(dropped)}  # fmt: skip
    _write(lake, uri, profiles)
    parts = {uri: part | {"kind": "profile", "num_rows": profiles.num_rows}}
    if statistic.num_rows:
        statistic_uri = f"profiles/{model}/{normalize}/statistics/{level}/{dataset}.parquet"
        _write(lake, statistic_uri, statistic)
        parts[statistic_uri] = part | {"kind": "statistic", "num_rows": statistic.num_rows}
    land_parts(lake, run, parts)
    return Profiled(model, normalize, level, dataset, profiles.num_rows, dropped, True)


def compute(
    con: Connection,
    model: str,
    dataset: str,
    *,
    normalize: str,
    level: str,
    controls: str = "negcon",
    epsilon: float | None = None,
) -> tuple[pa.Table, pa.Table, dict[str, int]]:
    """Profiles, the statistics that were applied, and what was dropped.

    con: has the tables plate, channel, well, model and the view embedding.
    Raises ProfileError if no well is left or a plate has no controls to learn from.
    """
    con.execute(
        f"create or replace temp table raw_profile as {assets.sql('queries', 'raw_profile')}",
        {"model": model, "dataset": dataset, "level": level},
    )
    (incomplete,) = first_row(con, "select count(*) from raw_profile where not is_complete")
    dropped = {"missing_channel": int(incomplete)} if incomplete else {}
    statistic = _statistic(con, normalize, controls)
    con.register("applied", statistic)
    con.execute(
        f"create or replace temp table normalized_profile as"
        f" {assets.sql('queries', 'normalized_profile')}",
        {"epsilon": epsilon},
    )
    if level not in ("field", "well"):
        (nameless,) = first_row(
            con, "select count(*) from normalized_profile where compound is null"
        )
        if nameless:
            dropped["no_compound"] = int(nameless)
            con.execute("delete from normalized_profile where compound is null")
    profiles = con.sql(
        assets.sql("queries", "level_profile"), params={"level": level}
    ).to_arrow_table()
    if profiles.num_rows == 0:
        raise ProfileError(f"model '{model}' has no complete {level} of dataset '{dataset}'")
    named = {"model": model, "normalization": normalize, "level": level, "dataset": dataset}
    return (
        _conform("profile", profiles, named),
        _conform("statistic", statistic, named),
        dropped,
    )


def _statistic(con: Connection, normalize: str, controls: str) -> pa.Table:
    """Centre and spread of each plate; no row for the normalization `none`."""
    if normalize == "none":
        return con.sql(
            "select null::varchar as plate, []::varchar[] as channels, []::double[] as center,"
            " []::double[] as spread where false"
        ).to_arrow_table()
    query = assets.sql("normalize", normalize)
    statistic = con.sql(query, params={"controls": controls}).to_arrow_table()
    plates = {row[0] for row in con.execute("select distinct plate from raw_profile").fetchall()}
    if lacking := plates - set(statistic["plate"].to_pylist()):
        raise ProfileError(
            f"plate '{min(lacking)}' has no {controls} well for {normalize};"
            " choose other --controls or another --normalize"
        )
    return statistic


def _conform(schema_name: str, table: pa.Table, named: dict[str, str]) -> pa.Table:
    """The table in the columns and types of its Arrow schema."""
    schema = assets.arrow_schema(schema_name)
    columns = {
        name: pa.array([named[name]] * table.num_rows, pa.string())
        if name in named
        else table[name]
        for name in schema.names
    }
    return pa.table(columns).cast(schema)


def _write(lake: Lake, uri: str, table: pa.Table) -> None:
    with written_beside(lake.resolve(uri)) as path:
        pq.write_table(table, path, compression="zstd")


def load(
    lake: Lake, model: str, normalize: str, level: str, dataset: str, where: str | None = None
) -> pa.Table:
    """Profiles in order of profile_id; they must have been computed.

    where: SQL condition over the columns of `profile`.
    Raises InputError if the condition fails.
    """
    with lake.snapshot(("plate", "field", "image", "part")) as con:
        rows = con.sql(
            "from profile where model = $model and normalization = $normalize"
            " and level = $level and dataset = $dataset order by profile_id",
            params={"model": model, "normalize": normalize, "level": level, "dataset": dataset},
        ).to_arrow_table()
        con.register("chosen", rows)
        try:
            return con.sql(f"from chosen where {where or 'true'}").to_arrow_table()
        except duckdb.Error as error:
            raise InputError(f'--where "{where}": {str(error).splitlines()[0]}') from error
