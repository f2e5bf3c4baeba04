"""The state of the page: read from its address, with defaults for the rest."""

from typing import Any
from urllib.parse import parse_qs

from unidino.explorer.cached_lake import CachedLake
from unidino.scores.rules import LABELS

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
)
# Names in links of earlier versions.
_ALIASES = {"rules": "reading"}
Chosen = dict[str, str] | None  # plate and well


def read_address(search: str | None) -> dict[str, str]:
    """The state by name, from the query of the address; other names are ignored."""
    given = parse_qs((search or "").lstrip("?"))
    values = {_ALIASES.get(name, name): value for name, value in given.items()}
    return {name: values[name][-1] for name in ADDRESS if name in values}


def first_state(cached: CachedLake, model: str | None, address: dict[str, str]) -> dict[str, Any]:
    """Choices of dataset and model, and the values to start with: the address's, else the first."""
    plates = cached.plates()
    datasets = plates["dataset"].unique().sort().to_list()
    dataset_of = dict(zip(plates["plate_id"], plates["dataset"], strict=True))
    dataset = dataset_of.get(address.get("plate", ""), address.get("dataset"))
    models = cached.models()
    wanted = address.get("model") or model
    with_profiles = [m for m in models if any(f.model == m for f in cached.files())]
    plate, well = address.get("plate"), address.get("well")
    return {
        "datasets": datasets,
        "dataset": dataset if dataset in datasets else (datasets[0] if datasets else None),
        "models": models,
        "model": wanted if wanted in models else next(iter(with_profiles or models), None),
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
