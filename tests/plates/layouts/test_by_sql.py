"""A layout is one SELECT that reads the tables of its set and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest


def _manifest(folder: Path, text: str) -> Path:
    tifffile.imwrite(folder / "a.tif", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    path = folder / "manifest.csv"
    path.write_text(text)
    return path


def test_a_layout_without_its_table_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the table bbbc021_v1_image"):
        ingest(Lake.create(tmp_path / "lake"), tmp_path, "bbbc021")


def test_a_layout_whose_table_lacks_a_column_says_which(tmp_path: Path) -> None:
    (tmp_path / "BBBC021_v1_image.csv").write_text("ImageNumber,Replicate\n1,1\n")
    (tmp_path / "BBBC021_v1_moa.csv").write_text("compound,concentration,moa\na,1,b\n")
    with pytest.raises(InputError, match="needs the column image_"):
        ingest(Lake.create(tmp_path / "lake"), tmp_path, "bbbc021")


def test_a_users_own_layout_is_one_select(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    _manifest(folder, "file,where\na.tif,C3\n")
    (folder / "layout.sql").write_text(
        "select 'p1' as plate, \"where\" as well, 1 as field, 'DNA' as channel, file as path"
        " from manifest"
    )
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, folder, str(folder / "layout.sql"))
    assert lake.query("select dataset, well from well join plate on plate_id = plate").rows() == [
        ("mine", "C03")
    ]


def _files(folder: Path) -> list[Path]:
    """What the folder holds, but for the files on which processes lock each other out."""
    return sorted(p for p in folder.rglob("*") if ".locks" not in p.parts)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select 1; select 2", "expected one SQL statement, got 2"),
        ("-- nothing", "expected one SQL statement, got 0"),
        ("copy (from manifest) to '{folder}/stolen.csv'", "copy statements are refused"),
        ("create table x as from manifest", "create statements are refused"),
        ("select * from read_csv('{folder}/secret.csv')", "Permission Error: .*secret.csv"),
        ("from '{folder}/secret.csv'", "secret.csv"),
        ("select getenv('HOME') as path", "getenv"),
    ],
)
def test_a_layout_only_reads_its_tables(
    tmp_path: Path, new_lake: Lake, query: str, message: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    _manifest(folder, "path,plate,well,field,channel\na.tif,p,A01,1,DNA\n")
    (tmp_path / "secret.csv").write_text("path,plate,well,field,channel\na.tif,p,A01,1,DNA\n")
    (folder / "layout.sql").write_text(query.format(folder=tmp_path))
    before = _files(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, folder, str(folder / "layout.sql"))
    assert str(caught.value).startswith(f"layout {folder / 'layout.sql'}: ")
    assert "\n" not in str(caught.value)
    assert new_lake.query("from plate").is_empty()
    assert _files(tmp_path) == before


def test_tables_that_a_layout_does_not_name_are_joined(tmp_path: Path, new_lake: Lake) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    _manifest(folder, "path,plate,well,field,channel\na.tif,p,A01,1,DNA\n")
    (tmp_path / "doses.csv").write_text("well,compound,concentration_um\nA1,taxol,0.3\n")
    (folder / "layout.sql").write_text("select * from manifest;\n")
    ingest(new_lake, folder, str(folder / "layout.sql"), metadata=[tmp_path / "doses.csv"])
    assert new_lake.query("select compound, concentration_um from well").rows() == [("taxol", 0.3)]


def test_a_layout_file_that_is_no_text_is_named(tmp_path: Path, new_lake: Lake) -> None:
    with pytest.raises(InputError, match=r"no such layout file: 'none\.sql'"):
        ingest(new_lake, tmp_path, "none.sql")
    (tmp_path / "bytes.sql").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot read the layout file"):
        ingest(new_lake, tmp_path, str(tmp_path / "bytes.sql"))
