"""What --map says is obeyed, with the units that names state, and is told."""

from pathlib import Path
from typing import Any

import pytest

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles
from unidino.profiles.mapping import parse_map


def _import(folder: Path, lake: Lake, text: str, told: str, **how: Any) -> Any:
    (folder / "t.csv").write_text(text)
    return import_profiles(lake, folder / "t.csv", "m", mapped=parse_map(told), **how)


@pytest.mark.parametrize(
    ("column", "told", "expected"),
    [
        ("Dose_nM", "concentration_um=Dose_nM", 0.3),
        ("dose", "concentration_um=dose", 300.0),
        ("dose", "concentration_um=dose::double/1000", 0.3),
        ("Dose_nM", "concentration_um=Dose_nM::double/1000", 0.3),
    ],
)
@pytest.mark.sample(2)
def test_a_concentration_keeps_the_unit_of_its_name(
    tmp_path: Path, new_lake: Lake, column: str, told: str, expected: float
) -> None:
    done = _import(tmp_path, new_lake, f"Plate,Well,f1,{column}\nP1,A01,1.5,300\n", told)
    assert new_lake.query("select concentration_um from well").item() == pytest.approx(expected)
    assert any("concentration_um" in line for line in done.account["columns"])


def test_the_account_says_what_was_mapped(tmp_path: Path, new_lake: Lake) -> None:
    text = "Foo,Well,f1\nP1,A01,1.5\n"
    done = _import(tmp_path, new_lake, text, "plate=Foo,batch=left(plate, 1)")
    assert "Foo -> plate" in done.account["columns"][0]
    assert done.account["columns"][1] == "left(plate, 1) -> batch"


def test_a_row_without_a_plate_is_one_line(tmp_path: Path, new_lake: Lake) -> None:
    with pytest.raises(InputError, match="line 3: the plate is missing"):
        _import(tmp_path, new_lake, "Plate,Well,f1\nP1,A01,1.5\n,A02,2.5\n", "")
    assert new_lake.query("select count(*) from plate").item() == 0


def test_a_compound_named_none_stays(tmp_path: Path, new_lake: Lake) -> None:
    text = "Plate,Well,f1,compound\nP1,A01,1.5,none\nP1,A02,2.5,taxol\n"
    _import(tmp_path, new_lake, text, "", negcon="none")
    rows = new_lake.query("select compound, control_type from well order by well").rows()
    assert rows == [("none", "negcon"), ("taxol", "trt")]
