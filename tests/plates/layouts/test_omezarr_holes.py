"""Parts of OME-Zarr plates that are damaged or missing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from planes import plane_of, stored_plane
from sampled import slow
from zarr_plates import (
    WELLS,
    fields_of,
    in_both_forms,
    ingest_zarr,
    value_of,
    write_group,
    write_zarr_plate,
)

from unidino.core.errors import InputError
from unidino.lake.lake import Lake


def _damage_text(name: str, text: str) -> Callable[[Path], object]:
    return lambda group: (group / name).write_text(text)


HOLES: dict[str, Callable[[Path], object]] = {
    "image not written": shutil.rmtree,
    "image without metadata": lambda group: (group / ".zattrs").unlink(),
    "image without arrays": lambda group: shutil.rmtree(group / "0"),
    "array without metadata": lambda group: (group / "0" / ".zarray").unlink(),
    "damaged attributes": _damage_text(".zattrs", '{"multiscales": ['),
    "attributes of another kind": _damage_text(".zattrs", "[1, 2]"),
    "null": _damage_text(".zattrs", '{"multiscales": [null]}'),
    "no level": _damage_text(".zattrs", '{"multiscales": [{"axes": [], "datasets": []}]}'),
    "other axes": _damage_text(
        ".zattrs",
        '{"multiscales": [{"axes": ["c", "x", "y"], "datasets": [{"path": "0"}]}]}',
    ),
    "too few axes": _damage_text(
        ".zattrs", '{"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]}'
    ),
    "damaged array": _damage_text("0/.zarray", "{}"),
    "not text": lambda group: (group / ".zattrs").write_bytes(b"\xff\xfe\x00"),
}


_TRIED = ("image not written", "image without arrays", "null", "other axes", "not text")


@pytest.mark.parametrize("hole", [*_TRIED, *slow(*(h for h in HOLES if h not in _TRIED))])
def test_an_image_that_cannot_be_read(new_lake: Lake, tmp_path: Path, hole: str) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"], "B/12": ["0", "1"], "C/3": ["0"]})
    HOLES[hole](tmp_path / "P.zarr" / "B" / "12" / "1")
    with pytest.raises(InputError, match=r"B/12/1' is not a valid .*; .*--allow-incomplete") as e:
        ingest_zarr(new_lake, tmp_path)
    assert "\n" not in str(e.value)
    assert len(new_lake.query("from plate")) == 0
    done = ingest_zarr(new_lake, tmp_path, allow_incomplete=True)
    assert fields_of(new_lake) == [("P", "A01", 0), ("P", "B12", 0), ("P", "C03", 0)]
    (problem,) = done.problems
    assert "B/12/1'" in problem


def _drop_well(plate: Path) -> None:
    shutil.rmtree(plate / "B" / "12")


def _empty_well(plate: Path) -> None:
    (plate / "B" / "12" / ".zattrs").unlink()


def _damage_well(plate: Path) -> None:
    (plate / "B" / "12" / ".zattrs").write_text("{")


@pytest.mark.parametrize("damage", [_drop_well, _empty_well, _damage_well])
@in_both_forms
@pytest.mark.sample(3)
def test_a_well_that_cannot_be_read(
    new_lake: Lake, tmp_path: Path, damage: Callable[[Path], None], in_place: bool
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    damage(tmp_path / "P.zarr")
    with pytest.raises(InputError, match=r"B/12' is not a valid part"):
        ingest_zarr(new_lake, tmp_path, in_place=in_place)
    done = ingest_zarr(new_lake, tmp_path, in_place=in_place, allow_incomplete=True)
    assert fields_of(new_lake) == [("P", "A01", 0)]
    assert len(done.problems) == 1


def test_a_damaged_plate_beside_others(new_lake: Lake, tmp_path: Path) -> None:
    for name in "PQR":
        write_zarr_plate(tmp_path / f"{name}.zarr", WELLS)
    (tmp_path / "Q.zarr" / ".zattrs").write_text('{"plate"')
    write_group(tmp_path / "R.zarr", {"plate": {"wells": None}})
    with pytest.raises(InputError, match=r"Q.zarr' is not a valid part .* \(and 1 more\)"):
        ingest_zarr(new_lake, tmp_path)
    done = ingest_zarr(new_lake, tmp_path, allow_incomplete=True)
    assert done.landed == ("P",)
    assert ["Q.zarr'" in done.problems[0], "R.zarr'" in done.problems[1]] == [True, True]


def test_missing_chunks_have_the_fill_value(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0", "1"]})
    well = tmp_path / "P.zarr" / "A" / "1"
    (well / "0" / "0" / "1" / "0" / "1").unlink()
    for channel in "01":
        shutil.rmtree(well / "1" / "0" / channel)
    ingest_zarr(new_lake, tmp_path)
    half = plane_of(value_of("A/1", "0", 1))
    half[:, 16:] = 0
    np.testing.assert_array_equal(stored_plane(new_lake, "field = 0 and channel_index = 1"), half)
    assert new_lake.query("select distinct qc from image where field = 1").rows() == [("blank",)]
    assert "no pixels are stored" in caplog.text
    assert "A/1/1'" in caplog.text


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_channel_and_a_chunk_that_are_not_stored_are_said(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0", "1"]}, version=version)
    first, second = (
        tmp_path / "P.zarr" / "A" / "1" / image / "0" / ("c" if version == "0.5" else "")
        for image in "01"
    )
    shutil.rmtree(first / "1")
    (second / "0" / "0" / "1").unlink()
    ingest_zarr(new_lake, tmp_path)
    said = " ".join(caplog.text.split())
    assert "no pixels of a channel are stored, so that all have the fill value" in said
    assert "A/1/0, channel 1'" in said
    assert "chunks are not stored, so that their pixels have the fill value" in said
    assert "A/1/1, 1 of 4 chunks'" in said


def test_chunks_that_are_not_stored_within_shards_are_said(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"]}, version="0.5")
    place = tmp_path / "P.zarr" / "A" / "1" / "0" / "0"
    pixels = np.stack([plane_of(1), plane_of(2)])
    pixels[1, :, 16:] = 0
    shutil.rmtree(place)
    form: Any = {"shape": pixels.shape, "dtype": "uint16", "config": {"write_empty_chunks": False}}
    array = zarr.create_array(str(place), chunks=(1, 32, 16), shards=pixels.shape, **form)
    array[:] = pixels
    ingest_zarr(new_lake, tmp_path)
    assert "A/1/0, 1 of 4 chunks'" in caplog.text


def test_a_first_resolution_that_is_not_the_largest_is_refused(
    new_lake: Lake, tmp_path: Path
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"]})
    image = tmp_path / "P.zarr" / "A" / "1" / "0"
    zarr.create_array(str(image / "1"), shape=(2, 64, 64), dtype="uint16", zarr_format=2)
    metadata = json.loads((image / ".zattrs").read_text())
    metadata["multiscales"][0]["datasets"].append({"path": "1"})
    (image / ".zattrs").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="first resolution is 32 x 32 px, but '1' is 64 x 64 px"):
        ingest_zarr(new_lake, tmp_path)
