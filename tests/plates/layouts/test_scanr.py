"""ScanR experiments: names that do not fit, and experiments apart."""

from pathlib import Path

import pytest
from planes import write_plane

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest


def _write(folder: Path, well: str, channel: str = "DAPI", end: str = ".tif") -> None:
    write_plane(folder / "data" / f"{well}W00001--P00001--Z00000--T00000--{channel}{end}", 1)


@pytest.mark.parametrize("end", [".tif", ".TIF", ".tiff", ".ome.tif"])
@pytest.mark.sample(2)
def test_names_of_every_ending(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    _write(tmp_path / "run5", "B2--", end=end)
    write_plane(tmp_path / "run5" / "data" / f"._B2--W00001--P00001{end}", 1)
    write_plane(tmp_path / "run5" / "overview.tif", 1)
    ingest(new_lake, tmp_path / "run5", "scanr")
    assert new_lake.query("select plate, well, channel from image").rows() == [
        ("run5", "B02", "DAPI")
    ]
    assert "1 of 2 images are left out: their names do not match" in " ".join(caplog.text.split())


@pytest.mark.parametrize("well", ["", "DMSO--", "Z99--"])
def test_a_well_that_is_not_known_costs_its_field(
    tmp_path: Path, new_lake: Lake, well: str
) -> None:
    _write(tmp_path / "run5", "B2--")
    _write(tmp_path / "run5", well)
    with pytest.raises(InputError, match=r"W00001--P00001--Z00000--T00000--DAPI.tif") as caught:
        ingest(new_lake, tmp_path / "run5", "scanr")
    assert "\n" not in str(caught.value)
    done = ingest(new_lake, tmp_path / "run5", "scanr", allow_incomplete=True)
    assert (done.num_images, len(done.problems)) == (1, 1)
    assert new_lake.query("select well from image").rows() == [("B02",)]


def test_two_experiments_of_a_plate_are_refused(tmp_path: Path, new_lake: Lake) -> None:
    for day in ("Monday", "Tuesday"):
        _write(tmp_path / "screen" / day / "P1", "B2--")
    with pytest.raises(InputError, match=r"plate P1 is in .*Monday.*Tuesday.* the well B02"):
        ingest(new_lake, tmp_path / "screen", "scanr")
