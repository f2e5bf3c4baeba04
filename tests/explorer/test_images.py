"""Images are planes within a window; problems are one line."""

import imagecodecs
import numpy as np
import pytest
from flask.testing import FlaskClient

from unidino.core.errors import InputError
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.images import Images, nearest_size, shrunk, windowed
from unidino.lake import pixels
from unidino.lake.lake import Lake


def first_well(cached: CachedLake) -> tuple[str, str]:
    row = cached.wells("tiny").table.row(0, named=True)
    return row["plate"], row["well"]


def test_an_image_is_its_plane_within_the_window(cached: CachedLake) -> None:
    plate, well = first_well(cached)
    images = Images(cached.lake)
    row = images.of_well(plate, well).row(1, named=True)
    plane = pixels.read_plane(cached.lake.resolve(row["uri"]), row["channel_index"])
    png = images.png(plate, well, row["field"], row["channel"], size=256, low=300, high=900)
    expected = np.clip((plane.astype(float) - 300) * 255 / 600 + 0.5, 0, 255).astype(np.uint8)
    assert (imagecodecs.png_decode(png) == expected).all()
    usual = imagecodecs.png_decode(images.png(plate, well, row["field"], row["channel"], size=256))
    assert (usual == 0).mean() >= 0.001
    assert (usual == 255).mean() >= 0.001


def test_a_small_image_is_made_of_means() -> None:
    plane = np.arange(64, dtype=np.uint16).reshape(8, 8)
    expected = plane.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(shrunk(plane, 4), expected)
    assert shrunk(np.ones((10, 40), np.uint16), 20).shape == (5, 20)
    assert windowed(np.array([[5.0]], np.float32), 5, 5)[0, 0] == 0
    assert [nearest_size(p) for p in (1, 97, 5000)] == [96, 160, 2160]


def test_an_image_route_serves_pixels(cached: CachedLake, client: FlaskClient) -> None:
    plate, well = first_well(cached)
    answer = client.get(f"/image?plate={plate}&well={well}&field=1&channel=DNA&size=96&v=1")
    assert answer.status_code == 200
    assert answer.mimetype == "image/png"
    assert imagecodecs.png_decode(answer.data).shape == (96, 96)
    assert "max-age" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"plate": "nowhere"}, 404, "the lake has no image nowhere"),
        ({"plate": "../../catalog.duckdb"}, 404, "the lake has no image"),
        ({"well": "../B02"}, 404, "the lake has no image"),
        ({"field": "99"}, 404, "field 99 DNA"),
        ({"channel": "GFP"}, 404, "field 1 GFP"),
        ({"field": "../1"}, 400, "field '../1' is not a number"),
        ({"field": "1" * 5000}, 400, "is not a number"),
        ({"low": "nan"}, 400, "low 'nan' is not a number"),
        ({"size": "1e3"}, 400, "size '1e3' is not a number"),
        ({"plate": ""}, 400, "the address lacks plate"),
    ],
)
def test_what_is_no_image_is_one_line(
    cached: CachedLake, client: FlaskClient, change: dict[str, str], status: int, message: str
) -> None:
    plate, well = first_well(cached)
    given = {"plate": plate, "well": well, "field": "1", "channel": "DNA"} | change
    answer = client.get("/image", query_string=given)
    assert answer.status_code == status
    assert message in answer.text
    assert answer.text.count("\n") == 1


def test_damaged_and_absent_images_are_said(copied: Lake) -> None:
    cached = CachedLake(copied)
    plate, well = first_well(cached)
    copied.execute(
        "update image set qc = 'damaged', problem = 'truncated', p0_1 = null, p99_9 = null"
        f" where plate = '{plate}' and well = '{well}' and channel = 'DNA'"
    )
    with pytest.raises(InputError, match="DNA is damaged: truncated"):
        cached.images.png(plate, well, 1, "DNA", size=96)
    copied.execute(f"update plate set uri = null where plate_id = '{plate}'")
    with pytest.raises(InputError, match="registered without its pixels"):
        cached.images.png(plate, well, 1, "Actin", size=96)
