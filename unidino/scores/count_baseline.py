"""The number of cells alone, as a system beside the models that a score compares.

Much of what looks like mechanism is toxicity: what a model tells beyond the count is its merit.
"""

from unidino.core.log import log
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models.baselines import create_model
from unidino.profiles.selection import Selection, counts_can_stand

NAME = "cell_count"


def stand_beside(lake: Lake, selection: Selection) -> str | None:
    """The model of the cell count alone, made or brought up to date where cells are counted.

    None if the selection names models, if the lake has no others or no counts that differ, or if
    the count cannot be compared: of single fields, of channels, without what it explains.
    """
    if selection.models or not counts_can_stand(selection):
        return None
    known = lake.look_up("select model, kind from model")
    others = known.filter(known["kind"] != NAME)["model"].to_list()
    embedded = lake.look_up(
        "select distinct model from part where kind in ('embedding', 'profile')"
        " and list_contains($others, model)",
        {"others": others},
    )
    plates = lake.look_up(
        "select well.plate from well inner join plate on plate_id = well.plate"
        " where len($datasets) = 0 or list_contains($datasets, dataset)"
        " group by all having count(distinct num_cells) > 1 order by all",
        {"datasets": list(selection.datasets)},
    )["plate"].to_list()
    if embedded.is_empty() or not plates or NAME in others:
        return None
    of_kind = known.filter(known["kind"] == NAME)["model"].to_list()
    if not of_kind:
        log.info(
            f"cells are counted, so the model {NAME} (the number of cells of a well and nothing"
            " else) stands beside the others; --model NAME leaves it out"
        )
        create_model(lake, NAME)
    name = of_kind[0] if of_kind else NAME
    embed(lake, name, plates=plates)
    return name
