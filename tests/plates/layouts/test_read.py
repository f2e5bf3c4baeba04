"""Every layout is known by its name."""

from pathlib import Path

import numpy as np
import tifffile
from planes import plane_of, stored_plane

from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.layouts.read import layouts


def test_every_layout_of_the_design_is_there() -> None:
    assert layouts() == sorted(
        [
            "manifest",
            "bbbc021",
            "bbbc037",
            "jump",
            "hpa",
            "cell-health",
            "insect",
            "harmony",
            "imagexpress",
            "cellvoyager",
            "scanr",
            "filename",
            "ome-tiff",
            "ome-zarr",
        ]
    )


def test_a_file_of_several_planes_needs_its_page(tmp_path: Path, new_lake: Lake) -> None:
    tifffile.imwrite(
        tmp_path / "s.tif", np.stack([plane_of(1), plane_of(2)]), photometric="minisblack"
    )
    rows = "path,page,plate,well,field,channel\ns.tif,0,p,A01,1,DNA\ns.tif,1,p,A01,1,RNA\n"
    (tmp_path / "m.csv").write_text(rows)
    ingest(new_lake, tmp_path / "m.csv", "manifest")
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'RNA'"), plane_of(2))
