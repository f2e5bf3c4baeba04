"""The state of the page as its address says it, and what it is where the address says nothing."""

from typing import Any
from urllib.parse import parse_qs

from unidino.explorer.held import Held
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
    "rules",
    "columns",
    "label",
    "among",
    "view",
)
Chosen = dict[str, str] | None


def read_address(search: str | None) -> dict[str, str]:
    """The state that a page's address names."""
    given = parse_qs((search or "").lstrip("?"))
    return {name: given[name][-1] for name in ADDRESS if name in given}


def first_state(held: Held, model: str | None, address: dict[str, str]) -> dict[str, Any]:
    """Dataset, plate and well to begin with: the address's, or the first that are there."""
    plates = held.plates()
    datasets = plates["dataset"].unique().sort().to_list()
    of_plate = dict(zip(plates["plate_id"], plates["dataset"], strict=True))
    dataset = of_plate.get(address.get("plate", ""), address.get("dataset"))
    models = held.models()
    wanted = address.get("model") or model
    with_profiles = [m for m in models if any(f.model == m for f in held.files())]
    plate, well = address.get("plate"), address.get("well")
    return {
        "datasets": datasets,
        "dataset": dataset if dataset in datasets else (datasets[0] if datasets else None),
        "models": models,
        "model": wanted if wanted in models else next(iter(with_profiles or models), None),
        "chosen": {"plate": plate, "well": well} if plate in of_plate and well else None,
        "method": address.get("method", "umap"),
    }


def plates_and_columns(
    held: Held, dataset: str, address: dict[str, str], colour: str | None
) -> dict[str, Any]:
    """What can be chosen in a dataset, and what is."""
    wells = held.wells(dataset)
    plates = held.plates()
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
