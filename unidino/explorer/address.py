"""The state of the page: read from its address, with defaults for the rest."""

from typing import Any
from urllib.parse import parse_qs

from unidino.explorer.cached_lake import CachedLake
from unidino.figures.results import best_model
from unidino.scores.rules import LABELS, metrics

ADDRESS = (
    "dataset",
    "model",
    "normalization",
    "plate",
    "well",
    "field",
    "colour",
    "expression",
    "condition",
    "method",
    "rule",
    "reading",
    "columns",
    "label",
    "among",
    "view",
    "second",
    "picked",
    "compound",
)
VIEWS = ("wells", "dose", "quality", "cells", "picked", "sql")
# Names in links of earlier versions.
_ALIASES = {"rules": "reading"}
Chosen = dict[str, str] | None  # plate and well


def read_address(search: str | None) -> dict[str, str]:
    """The state by name, from the query of the address; other names are ignored."""
    given = parse_qs((search or "").lstrip("?"))
    values = {_ALIASES.get(name, name): value for name, value in given.items()}
    return {name: values[name][-1] for name in ADDRESS if name in values}


def unknown_words(cached: CachedLake, search: str | None) -> list[str]:
    """What a link names that the lake or the page does not have, a sentence each."""
    given = parse_qs((search or "").lstrip("?"))
    said = [
        f"{name} is no part of a link"
        for name in given
        if name not in (*ADDRESS, *_ALIASES, "token", "well")
    ]
    address = read_address(search)
    plates = cached.plates()
    known = {
        "dataset": plates["dataset"].unique().to_list(),
        "plate": plates["plate_id"].to_list(),
        "second": plates["plate_id"].to_list(),
        "model": cached.models(),
        "normalization": sorted({f.normalization for f in cached.files()}),
        "method": ["umap", "pca"],
        "rule": [*metrics(), "columns"],
        "reading": ["text", "published"],
        "among": ["all", "scored"],
        "label": list(LABELS),
        "view": list(VIEWS),
    }
    for name, values in known.items():
        if name in address and address[name] not in values:
            shown = f"{', '.join(values[:8])}{' ...' if len(values) > 8 else ''}" or "none"
            said.append(f"{name} '{address[name]}' is unknown; there is {shown}")
    plate, well = address.get("plate"), address.get("well")
    if plate in known["plate"] and well:
        dataset = plates.filter(plates["plate_id"] == plate)["dataset"][0]
        if (plate, well) not in cached.wells(dataset).position:
            said.append(f"{plate} has no well '{well}'")
    return said


def picked_wells(text: str | None) -> list[dict[str, str]]:
    """The wells of a text of a link, such as `plate1:A01;plate1:B02`."""
    pairs = [part.rpartition(":") for part in (text or "").split(";")]
    return [{"plate": plate, "well": well} for plate, _, well in pairs if plate and well]


def first_rule(cached: CachedLake, dataset: str) -> str:
    """The strictest of nscb, nscp and nsc that can leave wells of the dataset neighbours."""
    table = cached.wells(dataset).table
    if table["compound"].drop_nulls().n_unique() < 2:
        return "any"
    for rule, column in (("nscb", "batch"), ("nscp", "plate")):
        if table[column].drop_nulls().n_unique() > 1:
            return rule
    return "nsc"


def first_state(cached: CachedLake, model: str | None, address: dict[str, str]) -> dict[str, Any]:
    """Choices of dataset and model, and the values to start with: the address's, else the first."""
    plates = cached.plates()
    datasets = plates["dataset"].unique().sort().to_list()
    dataset_of = dict(zip(plates["plate_id"], plates["dataset"], strict=True))
    dataset = dataset_of.get(address.get("plate", ""), address.get("dataset"))
    models = cached.models()
    wanted = address.get("model") or model
    with_profiles = [m for m in models if any(f.model == m for f in cached.files())]
    best = best_model(cached.lake, with_profiles)
    first = next(iter([best] if best else with_profiles or models), None)
    plate, well = address.get("plate"), address.get("well")
    return {
        "datasets": datasets,
        "dataset": dataset if dataset in datasets else (datasets[0] if datasets else None),
        "models": models,
        "model": wanted if wanted in models else first,
        "chosen": {"plate": plate, "well": well} if plate in dataset_of and well else None,
        "method": address.get("method", "umap"),
    }


def plates_and_columns(
    cached: CachedLake, dataset: str, address: dict[str, str], colour: str | None
) -> dict[str, Any]:
    """Choices of plate and column in a dataset, and the values to start with."""
    wells = cached.wells(dataset)
    plates = cached.plates()
    names = plates["plate_id"].filter(plates["dataset"] == dataset).to_list()
    columns = wells.columns() or ["well"]
    wanted = [colour, address.get("colour"), "moa", "compound", "control_type"]
    labels = [n for n in LABELS if wells.table[n].drop_nulls().n_unique() > 1]
    return {
        "plates": names,
        "plate": address["plate"] if address.get("plate") in names else next(iter(names), None),
        "columns": columns,
        "colour": next((c for c in wanted if c in columns), columns[0]),
        "label": address.get("label")
        if address.get("label") in labels
        else next((n for n in ("moa", "compound", *labels) if n in labels), "compound"),
    }
