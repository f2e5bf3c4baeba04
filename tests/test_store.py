"""What is written reads back, by this package and by others."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unidino import store
from unidino.catalog import Lake
from unidino.errors import LakeError


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.just(2), st.integers(3, 40), st.integers(3, 40)),
    )
)
@pytest.mark.parametrize("version", store.VERSIONS)
def test_planes_round_trip(version: str, planes: np.ndarray) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "A" / "01" / "1"
        displays = [store.Display("a", 0, 9), store.Display("b", 1, 8)]
        store.write_field(path, list(planes), displays, 0.5, version)
        store._open_array.cache_clear()
        for index, plane in enumerate(planes):
            read = store.read_plane(path, index)
            assert read.dtype == plane.dtype
            np.testing.assert_array_equal(read, plane)


def test_a_plate_opens_with_ome_zarrs_own_reader(lake: Lake) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    plate, uri = lake.query("select plate_id, uri from plate order by plate_id limit 1").row(0)
    nodes = list(Reader(parse_url(str(lake.resolve(uri)), mode="r"))())
    assert nodes, f"ome-zarr found no image in {plate}"
    field = lake.query("select path from field where plate = $p limit 1", {"p": plate}).item()
    images = list(Reader(parse_url(str(lake.resolve(uri) / field), mode="r"))())
    assert images[0].data[0].shape == (3, 96, 96)
    assert images[0].metadata["channel_names"] == ["DNA", "Actin", "Tubulin"]
    plane = store.read_plane(lake.resolve(uri) / field, 1)
    np.testing.assert_array_equal(np.asarray(images[0].data[0])[1], plane)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_plate_passes_the_validator(lake: Lake) -> None:
    import zarr
    from ome_zarr_models.v05 import HCS

    for (uri,) in lake.query("select uri from plate").iter_rows():
        plate = HCS.from_zarr(zarr.open_group(str(lake.resolve(uri)), mode="r"))
        wells = list(plate.well_groups)
        assert len(wells) == 6
        images = [image for well in wells for image in well.members.values()]
        assert len(images) == 12


def test_zarr_reads_the_same_pixels(lake: Lake) -> None:
    import zarr

    uri, path = lake.query(
        "select uri, path from field join plate on plate_id = plate limit 1"
    ).row(0)
    array = zarr.open_array(str(lake.resolve(uri) / path / "0"), mode="r")
    for index in range(3):
        plane = store.read_plane(lake.resolve(uri) / path, index)
        np.testing.assert_array_equal(array[index], plane)


def test_a_damaged_chunk_is_named(lake: Lake) -> None:
    uri, path = lake.query(
        "select uri, path from field join plate on plate_id = plate limit 1"
    ).row(0)
    field = lake.resolve(uri) / path
    shard = field / "0" / "c.0.0.0"
    whole = shard.read_bytes()
    for damaged in (whole[:50], whole[:5000], b"", whole[5000:], whole[:-3] + b"abc"):
        shard.write_bytes(damaged)
        with pytest.raises(LakeError, match="cannot read channel 0"):
            store.read_plane(field, 0)
