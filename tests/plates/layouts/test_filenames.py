"""File names give the manifest by a pattern."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice


def test_a_pattern_reads_any_file_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "scope"
    folder.mkdir()
    for channel in (1, 2):
        tifffile.imwrite(folder / f"run7_C04_s2_w{channel}.tif", np.eye(64, dtype=np.uint8))
    tifffile.imwrite(folder / "overview.tif", np.eye(64, dtype=np.uint8))
    lake = Lake.create(tmp_path / "lake")
    pattern = r"(?P<plate>run\d+)_(?P<well>[A-H]\d\d)_s(?P<field>\d+)_w(?P<channel_index>\d)"
    ingest(lake, folder, "filename", pattern=pattern, choice=Choice(channel_names=["DNA", "RNA"]))
    rows = lake.query("select plate, well, field, channel from image order by channel_index").rows()
    assert rows == [("run7", "C04", 2, "DNA"), ("run7", "C04", 2, "RNA")]
    said = " ".join(caplog.text.split())
    assert "1 of 3 images are left out: their names do not match" in said
    assert "overview.tif" in said


@pytest.mark.parametrize("pattern", [None, "(", "(?P<plate>x)", "(?P<nonsense>x)(?P<well>y)"])
def test_a_pattern_that_cannot_work_is_refused(tmp_path: Path, pattern: str | None) -> None:
    with pytest.raises(InputError, match="--pattern"):
        ingest(Lake.create(tmp_path / "lake"), tmp_path, "filename", pattern=pattern)
