"""Random exports of instruments: indexes and names of files; and random manifests."""

import os
import random
from pathlib import Path

import numpy as np
import tifffile
from fuzz_nasty import NUMBERS, mutate_bytes, mutate_file, mutate_text, mutate_xml, value
from fuzz_tables import any_table, any_text, some, write_csv
from harmony_exports import write_export
from planes import plane_of, write_plane

_BTS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
_OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def manifest(rng: random.Random, folder: Path) -> list[str]:
    header = ["path", "plate", "well", "field", "channel", "compound", "concentration", "moa"]
    rows = [header]
    for well in ("A01", "A02"):
        for channel in ("DNA", "Actin"):
            name = f"{well}_{channel}.tif"
            write_plane(folder / name, len(rows))
            rows.append([name, "f1", well, "1", channel, "c1", "10 uM", "m"])
    options = some(
        rng,
        ["--channels", value(rng)],
        ["--channel-names", value(rng)],
        ["--drop-channels", value(rng)],
        ["--z", value(rng)],
        ["--dataset", value(rng)],
        ["--negcon", value(rng)],
        ["--unit", value(rng)],
        ["--plate-names", f"f1={value(rng)}"],
        ["--convert", rng.choice(("exact", f"linear:{value(rng)}:{value(rng)}", value(rng)))],
        ["--allow-incomplete"],
        ["--absent-channels"],
        ["--metadata-only"],
        ["--images", value(rng)],
        ["--illumination", rng.choice(("estimate", value(rng)))],
        ["--pyramid", rng.choice(("1", "7", "40"))],
        ["--ngff", "0.4"],
        ["--max-pixels", rng.choice(NUMBERS)],
        chance=0.06,
    )
    if rng.random() < 0.3:
        annotation = [["plate", "well", "compound"], ["f1", "A01", "x"], ["f1", "A02", "y"]]
        table = any_table(rng, folder / "map", annotation)
        options += [rng.choice(("--platemap", "--metadata")), str(table)]
        path = folder / "m.csv"
        write_csv(path, rows)
    else:
        path = any_table(rng, folder / "m", rows)
    return ["ingest", str(path), *options]


def harmony(rng: random.Random, folder: Path) -> list[str]:
    write_export(folder / "in", space=rng.choice(("", "urn:x")))
    if rng.random() < 0.1:
        name = value(rng).replace("/", "_").replace("\0", "")[:200] or "n"
        (folder / "in" / f"r01c01f01p01-ch{name}sk1fk1fl1.tiff").write_bytes(b"II*\0")
    mutate_file(rng, folder / "in" / "Index.idx.xml", mutate_xml)
    more = some(rng, ["--allow-incomplete"], ["--illumination", "harmony"], ["--timepoint", "0"])
    return ["ingest", str(folder / "in"), "--layout", "harmony", *more]


def imagexpress(rng: random.Random, folder: Path) -> list[str]:
    home = folder / "in"
    lines = ['"HTSInfoFile", Version 1.0', '"XWells", 12', '"YWells", 8', '"NWavelengths", 2']
    lines += ['"WaveName1", "DAPI"', '"WaveName2", "FITC"', '"EndFile"']
    for well in ("A01", "A02"):
        for wave in (1, 2):
            write_plane(home / f"P_{well}_s1_w{wave}.TIF", wave)
    (home / "P.HTD").write_text("\r\n".join(lines))
    mutate_file(rng, home / "P.HTD", lambda r, t: mutate_text(r, t, r'"(\w+)"|, ([^\r\n]*)|\d+'))
    if rng.random() < 0.2:
        plane = home / "P_A01_s1_w1.TIF"
        plane.write_bytes(mutate_bytes(rng, plane.read_bytes()))
    more = some(rng, ["--allow-incomplete"], ["--timepoint", rng.choice(NUMBERS)])
    return ["ingest", str(home), "--layout", "imagexpress", *more]


def cellvoyager(rng: random.Random, folder: Path) -> list[str]:
    home = folder / "CV"
    records = ""
    for column in (2, 3):
        for channel in (1, 2):
            write_plane(home / f"i{column}{channel}.tif", 10 * column + channel)
            records += (
                f'<bts:MeasurementRecord bts:Type="IMG" bts:Row="2" bts:Column="{column}"'
                f' bts:FieldIndex="1" bts:ZIndex="1" bts:TimePoint="1" bts:X="-5.5" bts:Y="1"'
                f' bts:Ch="{channel}">i{column}{channel}.tif</bts:MeasurementRecord>'
            )
    (home / "MeasurementData.mlf").write_text(
        f"<bts:MeasurementData {_BTS}>{records}</bts:MeasurementData>"
    )
    channels = "".join(
        f'<bts:MeasurementChannel bts:Ch="{c}" bts:HorizontalPixelDimension="0.3"/>' for c in (1, 2)
    )
    (home / "MeasurementDetail.mrf").write_text(
        f'<bts:MeasurementDetail bts:MeasurementSettingFileName="S.mes" bts:RowCount="8"'
        f' bts:ColumnCount="12" {_BTS}>{channels}</bts:MeasurementDetail>'
    )
    (home / "S.mes").write_text(
        f'<bts:MeasurementSetting {_BTS}><bts:ChannelList><bts:Channel bts:Ch="1"'
        ' bts:Acquisition="BP445/45"><bts:LightSourceName>405nm</bts:LightSourceName>'
        "</bts:Channel></bts:ChannelList></bts:MeasurementSetting>"
    )
    mutate_file(rng, home / rng.choice([*sorted(os.listdir(home))[:2], "S.mes"]), any_text)
    for name in ("MeasurementData.mlf", "MeasurementDetail.mrf"):
        if rng.random() < 0.6:
            mutate_file(rng, home / name, mutate_xml)
    return ["ingest", str(home), "--layout", "cellvoyager", *some(rng, ["--allow-incomplete"])]


def ome_tiff(rng: random.Random, folder: Path) -> list[str]:
    home = folder / "in"
    home.mkdir()
    images = "".join(
        f'<Image ID="Image:{i}"><Pixels ID="P:{i}" Type="uint16" DimensionOrder="XYCZT" SizeX="32"'
        f' SizeY="32" SizeC="2" SizeZ="1" SizeT="1" PhysicalSizeX="0.3"><Channel ID="C:0"'
        f' Name="DNA"/><Channel ID="C:1" Name="Actin" EmissionWavelength="500"/><TiffData'
        f' FirstC="0" FirstZ="0" FirstT="0" IFD="{2 * i}" PlaneCount="2"/></Pixels></Image>'
        for i in range(2)
    )
    wells = "".join(
        f'<Well ID="Well:{i}" Row="0" Column="{i}"><WellSample ID="WellSample:{i}"><ImageRef'
        f' ID="Image:{i}"/></WellSample></Well>'
        for i in range(2)
    )
    text = f'<OME {_OME}><Plate ID="Plate:0" Name="P" Rows="8" Columns="12">{wells}</Plate>{images}'
    text = mutate_xml(rng, f"{text}</OME>")
    planes = np.stack([plane_of(10 * i) for i in range(4)])
    path = home / "p.ome.tif"
    description = text.encode(errors="replace").replace(b"\0", b" ")
    tifffile.imwrite(path, planes, description=description, photometric="minisblack", metadata=None)
    if rng.random() < 0.2:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    if rng.random() < 0.2:
        (home / "p.companion.ome").write_text(mutate_xml(rng, text), errors="replace")
    pattern = ["--pattern", rng.choice(("(?P<well>a)", r"(?P<well>[A-P]\d\d)", "(", value(rng)))]
    more = some(rng, pattern, ["--allow-incomplete"], ["--acquisition", rng.choice(NUMBERS)])
    return ["ingest", str(home), "--layout", "ome-tiff", *more]


def file_names(rng: random.Random, folder: Path) -> list[str]:
    """Odd names of images, and patterns for them."""
    home = folder / "in"
    for well in ("A01", "B02", value(rng)):
        name = f"{well}_s{value(rng)}_w{rng.choice('12x')}".replace("/", "_").replace("\0", "")
        try:
            write_plane(home / f"{name[:200]}.tif", 1)
        except (OSError, ValueError):  # the system takes no such name
            continue
    write_plane(home / "A01_s1_w1.tif", 1)
    patterns = (
        r"(?P<well>[A-P]\d\d)_s(?P<field>\d+)_w(?P<channel>\w+)",
        r"(?P<well>.*)_s(?P<field>.*)_w(?P<channel_index>.*)\.",
        r"(?P<well_row>.)(?P<well_column>.*?)_s(?P<z>.*)_w(?P<timepoint>.*)\.",
        r"(?P<well>x)?",
        r"(?P<well>(\w+)+)$",
        *("(", "(?P<well>", "[", "*", "(?P<well>a{99999999999})", "(?P<1>x)", value(rng)),
    )
    if rng.random() < 0.2:
        return ["ingest", str(home), "--layout", "scanr"]
    return ["ingest", str(home), "--layout", "filename", "--pattern", rng.choice(patterns)]
