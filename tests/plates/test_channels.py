"""A channel keeps its name in every field, by the index that the images give it or by its name."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import zarr

from unidino.core.errors import InputError
from unidino.lake import ngff, pixels
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

Write = Callable[..., Path]
Rows = list[dict[str, object]]


def _numbered(names: Sequence[str], start: int = 1, **others: object) -> Rows:
    """Rows of one field with channels of these names, numbered from `start`."""
    return [
        {"channel": name, "channel_index": index} | others
        for index, name in enumerate(names, start)
    ]


def _named(lake: Lake, *columns: str) -> list[tuple[object, ...]]:
    wanted = ", ".join(columns or ("plate", "channel_index", "channel"))
    return lake.query(f"select distinct {wanted} from image order by all").rows()


def test_new_names_go_by_index_also_in_a_plate_without_the_first_channel(
    new_lake: Lake, write_manifest: Write
) -> None:
    given = ("Hoechst", "A488", "A568")
    manifest = write_manifest(*_numbered(given, plate="a"), *_numbered(given[1:], 2, plate="b"))
    ingest(new_lake, manifest, choice=Choice(channel_names=("DNA", "Actin", "Tubulin")))
    assert _named(new_lake) == [
        ("a", 0, "DNA"),
        ("a", 1, "Actin"),
        ("a", 2, "Tubulin"),
        ("b", 0, "Actin"),
        ("b", 1, "Tubulin"),
    ]


def test_new_names_go_by_name_where_there_is_no_index(
    new_lake: Lake, write_manifest: Write
) -> None:
    rows = [{"plate": "a", "channel": c} for c in ("w1", "w2", "w3")]
    manifest = write_manifest(*rows, *[row | {"plate": "b"} for row in rows[1:]])
    ingest(new_lake, manifest, choice=Choice(channel_names=("DNA", "Actin", "Tubulin")))
    assert _named(new_lake, "channel") == [("Actin",), ("DNA",), ("Tubulin",)]
    assert [name for plate, _, name in _named(new_lake) if plate == "b"] == ["Actin", "Tubulin"]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [(("A", "B"), ["A", "B"]), (("A", "B", "C"), ["A", "C"])],
    ids=["one a channel", "one an index"],
)
def test_a_gap_in_the_indices_is_counted_or_not(
    new_lake: Lake, write_manifest: Write, names: tuple[str, ...], wanted: list[str]
) -> None:
    rows = [{"channel": "x", "channel_index": 1}, {"channel": "y", "channel_index": 3}]
    ingest(new_lake, write_manifest(*rows), choice=Choice(channel_names=names))
    assert [name for _, _, name in _named(new_lake)] == wanted


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("A",), r"has 1 names \(A\), but the images have 2 channels: 1 DAPI, 2 FITC; give one"),
        (("A", "B", "C"), r"has 3 names \(A, B, C\), but the images have 2 channels: 1 DAPI"),
        (("A", "A"), "has the name 'A' twice"),
        (("A", ""), "has an empty name"),
    ],
)
def test_names_that_do_not_fit_the_channels_are_refused(
    new_lake: Lake, write_manifest: Write, names: tuple[str, ...], message: str
) -> None:
    manifest = write_manifest(*_numbered(("DAPI", "FITC")))
    with pytest.raises(InputError, match=f"--channel-names {message}"):
        ingest(new_lake, manifest, choice=Choice(channel_names=names))


def test_names_by_index_are_refused_where_indices_move(
    new_lake: Lake, write_manifest: Write
) -> None:
    """The plate b was taken without FITC, and the instrument numbered its channels anew."""
    manifest = write_manifest(
        *_numbered(("DAPI", "FITC", "Cy5"), plate="a"), *_numbered(("DAPI", "Cy5"), plate="b")
    )
    with pytest.raises(InputError, match=r"channel 2 is named Cy5 and FITC.*Cy5 has the indices 2"):
        ingest(new_lake, manifest, choice=Choice(channel_names=("DNA", "Actin", "Mito")))
    ingest(new_lake, manifest)
    assert [name for plate, _, name in _named(new_lake) if plate == "b"] == ["DAPI", "Cy5"]


def test_one_index_under_two_names_becomes_one_channel_only_if_named(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest(
        *_numbered(("DAPI", "FITC")), *_numbered(("Hoechst", "FITC"), well="A02")
    )
    with pytest.raises(InputError, match=r"channel 1 of plate p is named DAPI and Hoechst.*") as no:
        ingest(new_lake, manifest)
    assert "--channel-names NAME1,NAME2, one name for each of 1 DAPI/Hoechst, 2 FITC" in str(
        no.value
    )
    assert "--absent-channels" in str(no.value)
    ingest(new_lake, manifest, choice=Choice(channel_names=("DNA", "Actin")))
    assert "channel 1 is named DAPI and Hoechst by the images" in caplog.text
    assert _named(new_lake, "channel") == [("Actin",), ("DNA",)]


def test_equal_names_are_refused_with_the_indices_and_land_if_named(
    new_lake: Lake, write_manifest: Write
) -> None:
    names = ("Brightfield", "DAPI", "Brightfield")
    manifest = write_manifest(*_numbered(names), *_numbered(names, well="B07"))
    with pytest.raises(InputError, match=r"plate p has 2 channels of the name Brightfield") as no:
        ingest(new_lake, manifest)
    assert "(indices 1, 3; well A01 field 1)" in str(no.value)
    assert "for each of 1 Brightfield, 2 DAPI, 3 Brightfield" in str(no.value)
    with pytest.raises(InputError, match="2 channels of the name Brightfield"):
        ingest(new_lake, manifest, allow_incomplete=True)
    ingest(new_lake, manifest, choice=Choice(channel_names=("BF low", "DNA", "BF high")))
    assert [name for _, _, name in _named(new_lake)] == ["BF low", "DNA", "BF high"]


def test_equal_names_may_be_left_out(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest(*_numbered(("BF", "DAPI", "BF")))
    ingest(new_lake, manifest, choice=Choice(drop_channels=("BF",)))
    assert _named(new_lake) == [("p", 0, "DAPI")]


def test_channels_in_another_order_are_matched_by_name(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest(
        *_numbered(("DNA", "Actin"), 0), *_numbered(("Actin", "DNA"), 0, well="A02")
    )
    ingest(new_lake, manifest)
    assert _named(new_lake) == [("p", 0, "Actin"), ("p", 1, "DNA")]
    assert "plate p: the index of Actin, DNA differs between fields" in caplog.text
    files = new_lake.query("select origin from image where channel = 'DNA' order by well")
    assert [Path(file).name for (file,) in files.iter_rows()] == ["0.tif", "3.tif"]


def _zarr_plate(folder: Path, orders: dict[str, tuple[str, ...]]) -> Path:
    """An OME-Zarr plate whose fields have their channels in the given orders."""
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}],
    }
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "type": "space"} for a in "yx")]
    ngff.write_plate(folder, folder.stem, {well: [0] for well in orders})
    for number, (well, names) in enumerate(orders.items()):
        field = folder / ngff.field_path(well, 0)
        image = {
            "multiscales": [{"name": "0", "axes": axes, "datasets": [level]}],
            "omero": {"channels": [{"label": name} for name in names]},
        }
        ngff.write_group(field, image, "0.5")
        planes = np.arange(len(names) * 64, dtype=np.uint16).reshape(-1, 8, 8) + 100 * number
        array = zarr.create_array(
            str(field / "0"), shape=planes.shape, chunks=(1, 8, 8), dtype="uint16"
        )
        array[:] = planes
    return folder


def test_a_plate_in_place_must_have_one_order(tmp_path: Path, new_lake: Lake) -> None:
    plate = _zarr_plate(tmp_path / "P.zarr", {"A01": ("DNA", "Actin"), "A02": ("Actin", "DNA")})
    from unidino.plates.convert import Form

    with pytest.raises(InputError, match="--in-place needs the same channels") as no:
        ingest(new_lake, plate, "ome-zarr", form=Form(in_place=True))
    assert "channel 0 of plate P is Actin in 1 fields (such as well A02 field 0)" in str(no.value)
    assert "DNA in 1 fields (such as well A01 field 0)" in str(no.value)
    ingest(new_lake, plate, "ome-zarr")
    rows = new_lake.query(
        "select well, uri, channel_index from located_image where channel = 'DNA' order by well"
    ).rows()
    first = [int(pixels.read_plane(new_lake.resolve(uri), index)[0, 0]) for _, uri, index in rows]
    assert first == [0, 164]


def test_a_plate_in_place_is_one_folder(tmp_path: Path, new_lake: Lake) -> None:
    from unidino.plates.convert import Form

    (tmp_path / "both").mkdir()
    _zarr_plate(tmp_path / "both" / "P.zarr", {"A01": ("DNA",)})
    _zarr_plate(tmp_path / "both" / "P.ome.zarr", {"A02": ("DNA",)})
    in_place = Form(in_place=True)
    with pytest.raises(InputError, match=r"not the only plate named 'P'; name it by --plate-names"):
        ingest(new_lake, tmp_path / "both", "ome-zarr", form=in_place)
    choice = Choice(plate_names=["P.ome.zarr=Q"])
    ingest(new_lake, tmp_path / "both", "ome-zarr", form=in_place, choice=choice)
    assert _named(new_lake, "plate", "well") == [("P", "A01"), ("Q", "A02")]


def test_an_index_of_two_channels_of_a_field_is_said(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    ingest(new_lake, write_manifest(*_numbered(("DNA",)), *_numbered(("Actin",))))
    assert _named(new_lake) == [("p", 0, "Actin"), ("p", 1, "DNA")]
    assert "plate p: index 1 is of the channels Actin and DNA" in caplog.text


def test_a_channel_to_keep_that_no_image_has_is_said(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest(*_numbered(("DNA", "Actin")))
    ingest(new_lake, manifest, choice=Choice(channels=("DNA", "Actn")))
    assert _named(new_lake, "channel") == [("DNA",)]
    assert "--channels: the images have no channel Actn" in caplog.text


def test_names_are_trimmed_and_composed(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest(
        {"channel": "e\u0301osin ", "plate": " P\u00a0"},
        {"channel": "\u00e9osin", "plate": "P", "well": "A02"},
    )
    ingest(new_lake, manifest, choice=Choice(channels=("e\u0301osin",)))
    assert _named(new_lake, "plate", "channel") == [("P", "\u00e9osin")]


def test_brackets_are_part_of_a_name(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest(*_numbered(("DNA", "Actin [561]", "Actin 5")))
    with pytest.raises(InputError, match="nothing is left"):
        ingest(new_lake, manifest, choice=Choice(channels=("Actin [56]",)))
    ingest(new_lake, manifest, choice=Choice(channels=("Act*[561]",)))
    assert _named(new_lake, "channel") == [("Actin [561]",)]
    choice = Choice(drop_channels=("Actin [561]", "Actn"))
    ingest(new_lake, manifest, choice=choice, overwrite=True)
    assert _named(new_lake, "channel") == [("Actin 5",), ("DNA",)]
    assert "--drop-channels: the images have no channel Actn; they have Actin 5" in caplog.text


def test_fields_of_which_no_channel_is_kept_are_said(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest({"channel": "DNA"}, {"channel": "GFP", "plate": "q"})
    ingest(new_lake, manifest, choice=Choice(channels=("DNA",)))
    assert "1 fields are left out, because none of their channels is kept" in caplog.text
    assert "plate q well A01 field 1 (GFP)" in caplog.text
