"""Exports of Harmony 4 to 7: their indexes, and names where the index is lost."""

from pathlib import Path

import numpy as np
import pytest
from harmony_exports import NAMES, OPTICS, V7, WELLS, about, entry_of, map_of, name_of, write_export
from planes import plane_of, stored_plane, write_plane

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice


def _channels(lake: Lake) -> list[tuple[object, ...]]:
    return lake.query(
        "select channel, excitation_nm, emission_nm from channel order by channel_index"
    ).rows()


_DESCRIBED = [("HOECHST 33342", 375.0, 399.0), ("Alexa 488", 475.0, 499.0)]


@pytest.mark.parametrize(
    "maps",
    [
        map_of(*(entry_of(c, about(c)) for c in NAMES)),
        map_of(*(entry_of(c, "<FlatfieldProfile>{}</FlatfieldProfile>") for c in NAMES))
        + map_of(*(entry_of(c, about(c)) for c in reversed(NAMES))),
        map_of(*(entry_of(c, f"<ChannelName>{NAMES[c]}</ChannelName>") for c in NAMES))
        + map_of(*(entry_of(c, OPTICS.format(c + 2)) for c in NAMES)),
        map_of(entry_of(1, about(1)))
        + map_of(entry_of(2, about(2)), entry_of(1, "<ChannelName/>")),
    ],
    ids=["one map", "profiles first", "names and optics apart", "a map for each channel"],
)
@pytest.mark.parametrize("space", [V7, "http://www.perkinelmer.com/PEHH/HarmonyV6"])
@pytest.mark.sample(4)
def test_channels_described_in_maps(tmp_path: Path, new_lake: Lake, maps: str, space: str) -> None:
    export = tmp_path / "M"
    write_export(
        export / "Images",
        index="Index.xml",
        maps=f"<Maps>{maps}</Maps>",
        in_images=False,
        space=space,
    )
    ingest(new_lake, export, "harmony")
    assert _channels(new_lake) == _DESCRIBED
    assert new_lake.query("select distinct pixel_size_um, position_x_um from field").rows() == [
        (0.59338, 100.0)
    ]


@pytest.mark.parametrize("index", ["Index.xml", "Index.idx.xml", "Index.ref.xml", "index.XML"])
@pytest.mark.parametrize("beside", ["", "Images"])
@pytest.mark.sample(4)
def test_an_index_beside_the_images_or_above(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture, index: str, beside: str
) -> None:
    write_export(tmp_path / "M", index=index, beside=beside)
    ingest(new_lake, tmp_path / "M", "harmony")
    assert _channels(new_lake) == _DESCRIBED
    if beside and index in ("Index.xml", "Index.idx.xml"):
        caplog.set_level("INFO", "unidino")
        ingest(Lake.create(tmp_path / "by names"), tmp_path / "M" / beside, "harmony")
        assert f"M/{index}' lies above: pass it as PATH" in " ".join(caplog.text.split())
    np.testing.assert_array_equal(
        stored_plane(new_lake, "well = 'B03' and channel = 'Alexa 488'"), plane_of(4)
    )


def test_a_value_that_two_maps_contradict_is_refused(tmp_path: Path, new_lake: Lake) -> None:
    maps = map_of(*(entry_of(c, about(c)) for c in NAMES))
    maps += map_of(entry_of(2, "<ChannelName>Cy5</ChannelName>"))
    write_export(tmp_path / "M", maps=f"<Maps>{maps}</Maps>", in_images=False)
    with pytest.raises(InputError, match="two values of ChannelName: 'Alexa 488' and 'Cy5'"):
        ingest(new_lake, tmp_path / "M", "harmony")


@pytest.mark.parametrize("url", ["", "<URL/>", "<URL>  </URL>", "<URL>http://server/1</URL>"])
@pytest.mark.sample(1)
def test_a_plane_without_a_file_costs_its_field(tmp_path: Path, new_lake: Lake, url: str) -> None:
    export = tmp_path / "M"
    last = f"<URL>{name_of(2, 3, 2)}</URL>"
    write_export(export / "Images", change=lambda text: text.replace(last, url))
    with pytest.raises(InputError, match=r"Index.idx.xml' has an image with.*URL") as caught:
        ingest(new_lake, export, "harmony")
    assert "plate BAR1, well B03, field 1, channel 2" in str(caught.value)
    assert "\n" not in str(caught.value)
    done = ingest(new_lake, export, "harmony", allow_incomplete=True)
    assert (done.num_wells, done.num_images, len(done.problems)) == (1, 2, 1)
    assert "well B03" in done.problems[0]
    other = Lake.create(new_lake.path.parent / "other")
    done = ingest(other, export, "harmony", choice=Choice(drop_channels=["Alexa*"]))
    assert (done.num_images, done.problems) == (2, ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<Col>3</Col>", "<Col>x</Col>", "an image with Col 'x' instead of a whole number"),
        ("<Col>3</Col>", "<Col>49</Col>", "an image with Col 49 instead of 1 to 48"),
        ("<Col>3</Col>", "<Col/>", "an image without Col"),
        ("<Col>3</Col>", "<Col>0</Col>", "an image with Col 0 instead of 1 to 48"),
    ],
)
@pytest.mark.sample(2)
def test_a_damaged_image_of_an_index_costs_its_field(
    tmp_path: Path, new_lake: Lake, old: str, new: str, message: str
) -> None:
    write_export(tmp_path / "M", change=lambda text: text.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, tmp_path / "M", "harmony")
    assert "Index.idx.xml" in str(caught.value)
    done = ingest(new_lake, tmp_path / "M", "harmony", allow_incomplete=True)
    assert (done.num_wells, done.num_images) == (1, 2)
    assert _channels(new_lake) == _DESCRIBED


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<FieldID>1</FieldID>", "<FieldID>one</FieldID>", "FieldID 'one'"),
        ("<ChannelID>2</ChannelID>", "", "without ChannelID"),
        ('Unit="m">5.9338E-07', 'Unit="m">much', "ImageResolutionX 'much' instead of a number"),
        ('Unit="m">5.9338E-07', 'Unit="px">1', "ImageResolutionX in 'px' instead of one of m, mm"),
        ("<PlateRows>16", "<PlateRows>many", "has a plate with PlateRows 'many'"),
        (
            "</Plate></Plates>",
            "</Plate><Plate><PlateID>BAR2</PlateID></Plate></Plates>",
            "has the plates BAR1, BAR2, and does not say",
        ),
        ("EvaluationInputData", "Evaluation", "lists no image"),
        ("<Images>", "<Pictures>", "not a valid Harmony index"),
    ],
)
@pytest.mark.sample(4)
def test_an_index_that_does_not_fit_is_named(
    tmp_path: Path, new_lake: Lake, old: str, new: str, message: str
) -> None:
    change = (
        (lambda text: "<Other/>")
        if "lists no" in message
        else (lambda text: text.replace(old, new))
    )
    write_export(tmp_path / "M", change=change)
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, tmp_path / "M", "harmony")
    assert "Index.idx.xml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_units_of_lengths_are_heeded(tmp_path: Path, new_lake: Lake) -> None:
    def change(text: str) -> str:
        return text.replace('Unit="m">5.9338E-07', 'Unit="µm">0.59338').replace(
            'Unit="m">0.0001', 'Unit="m">NaN'
        )

    write_export(tmp_path / "M", change=change)
    ingest(new_lake, tmp_path / "M", "harmony")
    assert new_lake.query("select distinct pixel_size_um, position_x_um from field").rows() == [
        (0.59338, None)
    ]


@pytest.mark.parametrize("text", ["", "<EvaluationInputData>", "PK\x03"])
def test_a_damaged_index_costs_its_plate(tmp_path: Path, new_lake: Lake, text: str) -> None:
    write_export(tmp_path / "screen" / "M1", plate="P1", change=lambda _: text)
    write_export(tmp_path / "screen" / "M2", plate="P2")
    with pytest.raises(InputError, match=r"M1.*Index.idx.xml' is not a valid Harmony index"):
        ingest(new_lake, tmp_path / "screen", "harmony")
    choice = Choice(channels=["Alexa*", "HOECHST*"])
    done = ingest(new_lake, tmp_path / "screen", "harmony", choice=choice, allow_incomplete=True)
    assert (done.landed, len(done.problems)) == (("P2",), 1)
    assert "M1" in done.problems[0]


@pytest.mark.parametrize(
    ("raw", "corrected"),
    [
        ("Index.idx.xml", "Index.ref.xml"),
        ("Index.idx.xml", "Index.xml"),
        ("../Index.idx.xml", "Index.ref.xml"),
        ("../Index.xml", "Index.xml"),
    ],
)
@pytest.mark.sample(2)
def test_two_indexes_are_not_merged(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture, raw: str, corrected: str
) -> None:
    images = tmp_path / "M" / "Images"
    write_export(images, index=raw)
    write_export(images, index=corrected, prefix="flex/flex_", add=100)
    ingest(new_lake, tmp_path / "M", "harmony")
    said = " ".join(caplog.text.split())
    assert "has 2 indexes: " in said
    assert "to take another index, pass it as PATH" in said
    taken = 1 if raw.endswith("idx.xml") else 101
    np.testing.assert_array_equal(
        stored_plane(new_lake, "well = 'B02' and channel_index = 0"), plane_of(taken)
    )
    for index, value in ((images / raw, 1), (images / corrected, 101)):
        lake = Lake.create(tmp_path / f"lake of {index.name} {value}")
        ingest(lake, index, "harmony")
        assert lake.query("select distinct dataset from plate").rows() == [("M",)]
        np.testing.assert_array_equal(
            stored_plane(lake, "well = 'B02' and channel_index = 0"), plane_of(value)
        )


def test_two_measurements_of_a_plate_are_refused(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        write_export(tmp_path / "screen" / f"BAR1 - Measurement {number}" / "Images", add=number)
    for allowed in (False, True):
        with pytest.raises(InputError, match=r"plate BAR1 is in .*Measurement 1.*Measurement 2"):
            ingest(new_lake, tmp_path / "screen", "harmony", allow_incomplete=allowed)
    second = tmp_path / "screen" / "BAR1 - Measurement 2"
    (second / "Images" / "Index.idx.xml").write_text(
        (second / "Images" / "Index.idx.xml").read_text().replace("<Row>2", "<Row>3")
    )
    ingest(new_lake, tmp_path / "screen", "harmony")
    assert "plate BAR1 is put together from" in " ".join(caplog.text.split())
    assert new_lake.query("select count(*) from well").item() == 4


@pytest.mark.parametrize(
    ("end", "timepoint"), [("sk1fk1fl1", 1), ("t01", 1), ("t02", 2), ("sk3fk1fl1", 3)]
)
@pytest.mark.parametrize("inner", ["Images", ""])
@pytest.mark.sample(4)
def test_names_of_each_version_without_an_index(
    tmp_path: Path,
    new_lake: Lake,
    caplog: pytest.LogCaptureFixture,
    end: str,
    timepoint: int,
    inner: str,
) -> None:
    caplog.set_level("INFO", "unidino")
    folder = tmp_path / "PlateX" / inner
    for row, column in WELLS:
        for channel in (1, 2):
            write_plane(folder / name_of(row, column, channel, end), 10 * column + channel)
    write_plane(folder / ("._" + name_of(2, 2, 1, end)), 7)
    choice = Choice(timepoint=timepoint)
    ingest(new_lake, tmp_path / "PlateX", "harmony", choice=choice)
    assert new_lake.query("select distinct plate, field from image").rows() == [("PlateX", 1)]
    assert _channels(new_lake) == [("ch1", None, None), ("ch2", None, None)]
    np.testing.assert_array_equal(
        stored_plane(new_lake, "well = 'B03' and channel = 'ch2'"), plane_of(32)
    )
    assert "4 images are read by their names" in " ".join(caplog.text.split())


def test_a_well_that_no_plate_has_is_named_with_its_file(tmp_path: Path, new_lake: Lake) -> None:
    write_plane(tmp_path / "P" / "r33c01f01p01-ch1t01.tiff", 1)
    write_plane(tmp_path / "P" / "r32c48f01p01-ch1t01.tiff", 1)
    with pytest.raises(InputError, match=r"r33c01f01p01-ch1t01.tiff' has the row '33'"):
        ingest(new_lake, tmp_path / "P", "harmony")
    ingest(new_lake, tmp_path / "P", "harmony", allow_incomplete=True)
    assert new_lake.query("select well from well").rows() == [("AF48",)]


def test_images_that_no_index_lists_are_named(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    write_export(tmp_path / "screen" / "M1" / "Images")
    write_plane(tmp_path / "screen" / "lost" / "Images" / name_of(2, 2, 1), 1)
    ingest(new_lake, tmp_path / "screen", "harmony")
    assert new_lake.query("select plate_id from plate").rows() == [("BAR1",)]
    assert "1 images under" in caplog.text
    assert "no index that is read lists them" in " ".join(caplog.text.split())


@pytest.mark.parametrize("height", ["5.9338E-07", "9E-07"])
def test_pixels_that_are_not_square_have_no_size(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture, height: str
) -> None:
    size = '<ImageResolutionX Unit="m">5.9338E-07</ImageResolutionX>'
    more = f'<ImageResolutionY Unit="m">{height}</ImageResolutionY>'
    write_export(tmp_path / "M", change=lambda text: text.replace(size, size + more))
    ingest(new_lake, tmp_path / "M", "harmony")
    known = height == "5.9338E-07"
    assert new_lake.query("select distinct pixel_size_um from field").item() == (
        pytest.approx(0.59338) if known else None
    )
    assert ("not square" in caplog.text) != known


def test_no_wavelength_and_no_plate_of_no_rows(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    def change(text: str) -> str:
        return text.replace(">399<", ">0<").replace("<PlateRows>16", "<PlateRows>0")

    write_export(tmp_path / "M", change=change)
    with pytest.raises(InputError, match="has a plate with PlateRows 0 instead of 1 to 32"):
        ingest(new_lake, tmp_path / "M", "harmony")
    ingest(new_lake, tmp_path / "M", "harmony", allow_incomplete=True)
    assert new_lake.query("select emission_nm from channel order by 1").rows() == [(499,), (None,)]
    assert "the emission of 2 images is 0 nm" in caplog.text
