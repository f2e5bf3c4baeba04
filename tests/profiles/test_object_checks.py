"""Tables with a row a cell: what is understood as in tables of wells, said, or refused."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import polars as pl
import pytest

import unidino as ud
from unidino.core.errors import InputError
from unidino.profiles.landing import Imported


def _imported(folder: Path, text: str, *more: Path) -> tuple[Imported, pl.DataFrame]:
    """What an import of a CSV table with a row a cell says, and the wells that it made."""
    (folder / "cells.csv").write_text(text)
    lake = ud.Lake.create(folder / "lake")
    done = ud.import_profiles(lake, [folder / "cells.csv", *more], "m", objects=True)
    return done, lake.query("from well order by plate, well")


@pytest.mark.parametrize("name", ["Dose (nM)", "Concentration (nanomolar)", "conc_nM"])
def test_doses_and_times_of_cells_are_those_of_their_wells(tmp_path: Path, name: str) -> None:
    text = f"Plate,Well,Area,Compound,{name},Time (h)\n"
    for well, compound, dose in (("A01", "DMSO", 0), ("A02", "x", 10), ("A03", "x", 10000)):
        text += f"P,{well},{dose + 90},{compound},{dose},24\n" * 2
    done, wells = _imported(tmp_path, text)
    assert done.features == ("Area",)
    assert wells["concentration_um"].to_list() == [0, 0.01, 10]
    assert [json.loads(extra) for extra in wells["extra"]] == [{"Time (h)": "24"}] * 3


def test_identifiers_of_compounds_are_no_features_of_cells(tmp_path: Path) -> None:
    text = "Plate,Well,Area,PubChem CID,Entrez Gene ID\nP,A01,1.5,2201,51\nP,A02,2.5,2202,52\n"
    done, _ = _imported(tmp_path, text)
    assert done.features == ("Area",)
    assert set(done.left_out) == {"PubChem CID", "Entrez Gene ID"}


def test_decimal_commas_of_cells_are_points(tmp_path: Path) -> None:
    text = "Plate;Well;Area;Spots\nP;A01;100,5;3\nP;A01;101;4\nP;A02;90,25;7\nP;A02;91,5;9\n"
    done, _ = _imported(tmp_path, text)
    assert done.features == ("Area", "Spots")
    rows = pl.read_parquet(tmp_path / "lake" / "embeddings" / "m" / "P.parquet").sort("well")
    assert rows["embedding"].to_list() == [[100.75, 3.5], [90.875, 8]]


@pytest.mark.parametrize(
    "text",
    [
        "Plate,Well,Area,Size\nP,A01,<0.1,1.5\nP,A01,2.5,2.5\nP,A02,3.5,3.5\n",
        "Plate;Well;Area;Size\nP;A01;1,234;1.5\nP;A01;2,345;2.5\n",
        'Plate,Well,Area,Size\nP,A01,"100,5",1.5\nP,A02,"100,25",2.5\n',
    ],
    ids=["below a limit", "thousands or decimals", "commas between commas"],
)
def test_numbers_that_are_texts_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"^'[^']*': the numbers of 'Area' are texts, such as '"):
        _imported(tmp_path, text)


def test_cells_that_are_there_twice_are_said_or_refused(tmp_path: Path) -> None:
    text = "Plate,Well,Cell ID,Area\nP,A01,1,1.5\nP,A01,2,2.5\n"
    (tmp_path / "same.csv").write_text(text)
    with pytest.raises(InputError, match=r"same\.csv' has the content of '[^']*cells\.csv'; give"):
        _imported(tmp_path, text, tmp_path / "same.csv")
    shutil.rmtree(tmp_path / "lake")
    done, _ = _imported(tmp_path, text + "P,A01,1,1.5\n")
    (said,) = [line for line in done.account["cells"] if "another cell" in line]
    assert said.startswith("1 cell has the Cell ID of another cell of its well and image")
    shutil.rmtree(tmp_path / "lake")
    text = "Plate,Well,Metadata_ImageNumber,Cell ID,Area\nP,A01,1,1,1.5\nP,A01,2,1,2.5\n"
    done, _ = _imported(tmp_path, text)
    assert not any("another cell" in line for line in done.account["cells"])


def test_an_object_of_cellprofiler_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plate.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as con:
        con.executescript(
            "create table Per_Image(ImageNumber int, Metadata_Plate text, Metadata_Well text);"
            "create table Per_Cells(ImageNumber int, ObjectNumber int, Cells_Area real,"
            " Cells_Parent_Nuclei int);"
            "create table Per_Nuclei(ImageNumber int, ObjectNumber int, Nuclei_Area real);"
            "insert into Per_Image values (1, 'P', 'A01');"
            "insert into Per_Cells values (1, 1, 9, 1), (1, 2, 8, 2);"
            "insert into Per_Nuclei values (1, 1, 5), (1, 2, 4), (1, 1, 5);"
        )
    with pytest.raises(InputError, match=r"two rows of Nuclei for ImageNumber 1, ObjectNumber 1$"):
        ud.import_profiles(ud.Lake.create(tmp_path / "lake"), file, "m", objects=True)


def test_texts_that_are_no_numbers_stay(tmp_path: Path) -> None:
    text = "Plate,Well,Acquired,Line,Note,Area\n"
    text += "P,A01,05.01.2024,0293,1.2.3,1.5\nP,A02,06.01.2024,0293,,2.5\n"
    table = pl.read_csv(text.encode(), infer_schema=False).with_columns(pl.col("Area").cast(float))
    table.with_columns(pl.col("Note").fill_null("")).write_parquet(tmp_path / "cells.parquet")
    lake = ud.Lake.create(tmp_path / "lake")
    done = ud.import_profiles(lake, tmp_path / "cells.parquet", "m", objects=True)
    assert done.features == ("Area",)
    assert done.account["not features"] == ["texts: Acquired, Line, Note"]
