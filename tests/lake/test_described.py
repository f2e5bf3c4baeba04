"""Tables and columns say what they are."""

import json

from unidino.lake.described import columns_of, tables_of
from unidino.lake.lake import Lake


def test_every_table_says_what_a_row_is(profiled) -> None:
    rows = dict(tables_of(Lake.open(profiled)).iter_rows())
    assert {"plate", "well", "image", "profile", "latest", "training_sample"} <= set(rows)
    assert all(rows.values()), [name for name, text in rows.items() if not text]
    assert rows["well"] == "One row per plate and well."


def test_columns_have_their_meaning_in_tables_and_files(profiled) -> None:
    lake = Lake.open(profiled)
    well = {c: m for c, _, m in columns_of(lake, "well").iter_rows()}
    assert well["concentration_um"] == "Concentration of the compound, micromolar."
    profile = columns_of(lake, "profile")
    assert dict(profile.select("column", "meaning").iter_rows())["embedding"].startswith("channels")
    assert "plate" in profile["column"].to_list()


def test_the_command_lists_tables_and_refuses_others(run_cli, profiled) -> None:
    status, out, _ = run_cli("tables", "plate", "--lake", profiled, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, lines[0]["column"]) == (0, "plate_id")
    status, out, err = run_cli("tables", "plates", "--lake", profiled)
    assert (status, out) == (1, "")
    assert "unknown table 'plates'; choose one of attribution" in err
