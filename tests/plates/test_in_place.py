"""A plate that stays in place names no file outside of its folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sampled import slow
from zarr_plates import write_zarr_plate

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest

WELLS = {"A/1": ["0"], "B/2": ["0"]}


def _change(group: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((group / ".zattrs").read_text())
    change(document)
    (group / ".zattrs").write_text(json.dumps(document))


def _name_well(path: str) -> Callable[[Path], None]:
    return lambda plate: _change(plate, lambda d: d["plate"]["wells"][1].update(path=path))


def _name_image(path: str) -> Callable[[Path], None]:
    return lambda plate: _change(
        plate / "B" / "2", lambda d: d["well"]["images"][0].update(path=path)
    )


def _name_array(path: str, level: int = 0) -> Callable[[Path], None]:
    def change(document: dict[str, Any]) -> None:
        levels = document["multiscales"][0]["datasets"]
        levels += [dict(levels[0])] * level
        levels[level] = levels[level] | {"path": path}

    return lambda plate: _change(plate / "B" / "2" / "0", change)


def _link(place: str) -> Callable[[Path], None]:
    """Put a link to the same place of another plate in a plate."""

    def link(plate: Path) -> None:
        (plate / place).rename(plate.parent / "moved")
        (plate / place).symlink_to(plate.parents[1] / "other" / "P.zarr" / place)

    return link


@pytest.mark.parametrize(
    "change",
    [
        *map(_name_well, ["../../other/P.zarr/B/2", "/etc", "B/2/../2"]),
        *map(_name_image, ["../../A/1/0", ""]),
        *map(_name_array, ["../../../../../other/P.zarr/B/2/0/0", "/etc"]),
        _name_array("../0", level=1),
        *map(_link, ["B", "B/2/0/.zattrs", "B/2/0/0/0/0/0"]),
        *slow(
            *map(_name_well, ["../P.zarr", "B/..", ".."]),
            *map(_name_image, ["..", "/etc", ".", "0/../0"]),
            *map(_name_array, ["..", "", "0/../../0/0"]),
            *map(_link, ["B/2", "B/2/0", "B/2/0/0", "B/2/0/0/.zarray"]),
        ),
    ],
)
def test_what_is_outside_is_refused_in_one_line(
    new_lake: Lake, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    for name in ("set", "other"):
        write_zarr_plate(tmp_path / name / "P.zarr", WELLS)
    change(tmp_path / "set" / "P.zarr")
    with pytest.raises(InputError) as error:
        ingest(new_lake, tmp_path / "set", "ome-zarr", form=Form(in_place=True))
    assert "\n" not in str(error.value)
    assert new_lake.look_up("from plate").is_empty()


def test_links_within_a_plate_and_to_a_plate_are_read(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    (tmp_path / "P.zarr" / "B").rename(tmp_path / "P.zarr" / "C")
    (tmp_path / "P.zarr" / "B").symlink_to("C")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "P.zarr").symlink_to(tmp_path / "P.zarr")
    done = ingest(new_lake, tmp_path / "set", "ome-zarr", form=Form(in_place=True))
    assert done.landed == ("P",)


def test_links_out_of_a_plate_that_is_copied_are_read(new_lake: Lake, tmp_path: Path) -> None:
    for name in ("set", "other"):
        write_zarr_plate(tmp_path / name / "P.zarr", WELLS)
    _link("B/2")(tmp_path / "set" / "P.zarr")
    assert ingest(new_lake, tmp_path / "set", "ome-zarr").landed == ("P",)
