"""Random inputs of every kind that a command takes: each is a command line over mutated files.

A function draws one from a generator: it writes files into a folder and returns the words.
"""

import csv
import decimal
import io
import json
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
import torch
from fuzz_nasty import (
    NUMBERS,
    TEXTS,
    json_value,
    mutate_bytes,
    mutate_file,
    mutate_json_file,
    mutate_rows,
    mutate_text,
    mutate_xml,
    value,
)
from harmony_exports import write_export
from PIL import Image
from planes import plane_of, write_plane
from safetensors.torch import save_file
from zarr_plates import write_zarr_plate

Make = Callable[[random.Random, Path], list[str]]

_BTS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
_OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
VIT = "vit_tiny_patch16_224"


def _some(rng: random.Random, *options: list[str], chance: float = 0.15) -> list[str]:
    """The words of some of these options."""
    return [word for option in options if rng.random() < chance for word in option]


def _write_csv(path: Path, rows: list[list[str]], separator: str = ",") -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", errors="surrogatepass")


def _parquet(rng: random.Random, path: Path, rows: list[list[str]]) -> Path:
    """Write a table as Parquet, with a column of any type."""
    header, *body = rows
    columns = {
        f"{name}{i}" if name in header[:i] else name: [r[i] if i < len(r) else None for r in body]
        for i, name in enumerate(header)
    }
    arrays = {
        name: pa.array([_decodable(cell) for cell in cells], pa.string())
        for name, cells in columns.items()
    }
    num = len(body)
    odd = (
        *(pa.array([1.5] * num), pa.array([None] * num), pa.array([b"\xff\0"] * num)),
        *(pa.array([True] * num), pa.array([["a"]] * num), pa.array([{"a": 1}] * num)),
        *(pa.array([2**63 - 1] * num), pa.array([0] * num, pa.timestamp("us"))),
        *(pa.array([float("nan")] * num), pa.array(["a"] * num).dictionary_encode()),
        pa.array([decimal.Decimal("1e30")] * num),
    )
    if arrays and rng.random() < 0.6:
        arrays[rng.choice(list(arrays))] = rng.choice(odd)
    pq.write_table(pa.table({_decodable(name) or "": a for name, a in arrays.items()}), path)
    if rng.random() < 0.2:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    return path


def _decodable(text: str | None) -> str | None:
    return text and text.encode(errors="replace").decode()


def _table(rng: random.Random, path: Path, rows: list[list[str]]) -> Path:
    """Write a table as CSV, TSV or Parquet, with mutations of its cells or bytes."""
    rows = mutate_rows(rng, rows)
    draw = rng.random()
    if draw < 0.15:
        return _parquet(rng, path.with_suffix(".parquet"), rows)
    path = path.with_suffix(rng.choice((".csv", ".csv", ".tsv", ".txt")))
    _write_csv(path, rows, "\t" if path.suffix == ".tsv" else ",")
    if draw > 0.85:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    elif draw > 0.8:
        path.write_bytes(rng.choice((b"", b"\xff\xfea", b"\0" * 50, b"a,b\n" + b"x" * 300_000)))
    return path


def manifest(rng: random.Random, folder: Path) -> list[str]:
    header = ["path", "plate", "well", "field", "channel", "compound", "concentration", "moa"]
    rows = [header]
    for well in ("A01", "A02"):
        for channel in ("DNA", "Actin"):
            name = f"{well}_{channel}.tif"
            write_plane(folder / name, len(rows))
            rows.append([name, "f1", well, "1", channel, "c1", "10 uM", "m"])
    options = _some(
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
        table = _table(rng, folder / "map", annotation)
        options += [rng.choice(("--platemap", "--metadata")), str(table)]
        path = folder / "m.csv"
        _write_csv(path, rows)
    else:
        path = _table(rng, folder / "m", rows)
    return ["ingest", str(path), *options]


def harmony(rng: random.Random, folder: Path) -> list[str]:
    write_export(folder / "in", space=rng.choice(("", "urn:x")))
    if rng.random() < 0.1:
        name = value(rng).replace("/", "_").replace("\0", "")[:200] or "n"
        (folder / "in" / f"r01c01f01p01-ch{name}sk1fk1fl1.tiff").write_bytes(b"II*\0")
    mutate_file(rng, folder / "in" / "Index.idx.xml", mutate_xml)
    more = _some(rng, ["--allow-incomplete"], ["--illumination", "harmony"], ["--timepoint", "0"])
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
    more = _some(rng, ["--allow-incomplete"], ["--timepoint", rng.choice(NUMBERS)])
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
    mutate_file(rng, home / rng.choice([*sorted(os.listdir(home))[:2], "S.mes"]), _any_text)
    for name in ("MeasurementData.mlf", "MeasurementDetail.mrf"):
        if rng.random() < 0.6:
            mutate_file(rng, home / name, mutate_xml)
    return ["ingest", str(home), "--layout", "cellvoyager", *_some(rng, ["--allow-incomplete"])]


def _any_text(rng: random.Random, text: str) -> str:
    return mutate_xml(rng, text) if text.startswith("<") else text


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
    more = _some(rng, pattern, ["--allow-incomplete"], ["--acquisition", rng.choice(NUMBERS)])
    return ["ingest", str(home), "--layout", "ome-tiff", *more]


def ome_zarr(rng: random.Random, folder: Path) -> list[str]:
    version = rng.choice(("0.4", "0.5"))
    _copy_zarr(folder / "in" / "p.zarr", version)
    documents = sorted(folder.rglob(".z*")) + sorted(folder.rglob("zarr.json"))
    for _ in range(rng.choice((1, 1, 2))):
        mutate_json_file(rng, rng.choice([d for d in documents if d.is_file()]))
    if rng.random() < 0.15:
        chunks = [f for f in folder.rglob("*") if f.is_file() and f not in documents]
        chunk = rng.choice(chunks)
        chunk.write_bytes(mutate_bytes(rng, chunk.read_bytes()))
    more = _some(
        rng,
        ["--in-place"],
        ["--allow-incomplete"],
        ["--image-name", value(rng)],
        ["--acquisition", rng.choice(NUMBERS)],
        chance=0.25,
    )
    return ["ingest", str(folder / "in"), "--layout", "ome-zarr", *more]


def zarr_shape(rng: random.Random, folder: Path) -> list[str]:
    """An array whose metadata declare another shape, chunk or type."""
    version = rng.choice(("0.4", "0.5"))
    _copy_zarr(folder / "in" / "p.zarr", version)
    name = ".zarray" if version == "0.4" else "zarr.json"
    arrays = [f for f in sorted(folder.rglob(name)) if f.parent.name == "0" and _is_array(f)]
    path = rng.choice(arrays)
    document = json.loads(path.read_text())
    sizes = (1, 0, 2, 32, 33, 64, 1000, 10**5, 10**6, 10**9, 10**12, -1)
    shape = [rng.choice(sizes) if rng.random() < 0.5 else n for n in document["shape"]]
    document["shape"] = shape[: rng.choice((3, 3, 3, 3, 2, 1, 0))] + [1] * rng.choice((0, 0, 0, 1))
    if rng.random() < 0.4:
        chunks = [rng.choice(sizes) for _ in document["shape"]]
        if version == "0.4":
            document["chunks"] = chunks
        else:
            document["chunk_grid"]["configuration"]["chunk_shape"] = chunks
    path.write_text(json.dumps(document))
    more = _some(rng, ["--in-place"], ["--allow-incomplete"], chance=0.4)
    return ["ingest", str(folder / "in"), "--layout", "ome-zarr", *more]


def _is_array(path: Path) -> bool:
    return "shape" in json.loads(path.read_text())


@cache
def _zarr_template(version: str) -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="fuzz-")) / "p.zarr"
    write_zarr_plate(folder, {"A/1": ["0"], "A/2": ["0"]}, version=version)
    return folder


def _copy_zarr(folder: Path, version: str) -> None:
    shutil.copytree(_zarr_template(version), folder)


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


def _image_bytes(rng: random.Random, folder: Path) -> bytes:
    """The bytes of an image file of some form, with mutations, or declared too large."""
    grey = (np.arange(32 * 32, dtype=np.uint16) % 97).reshape(32, 32)
    path = folder / "made"
    match rng.randrange(6):
        case 0:
            width, height = (rng.choice((1, 0, 2**31 - 1, 100_000, 10**6, 32)) for _ in "ab")
            tags = [(256, width), (257, height), (258, 16), (259, rng.choice((1, 5, 8, 32773)))]
            tags += [(262, 1), (273, 8), (277, rng.choice((1, 1, 3, 65535))), (278, height)]
            tags += [(279, rng.choice((0, 8, 2**31 - 1)))]
            entries = b"".join(struct.pack("<HHII", t, 4, 1, v & 0xFFFFFFFF) for t, v in tags)
            body = zlib.compress(b"\0" * 1000)[:200]
            start = 8 + len(body)
            return (
                b"II*\0" + struct.pack("<I", start) + body + struct.pack("<H", len(tags)) + entries
                + b"\0\0\0\0"
            )  # fmt: skip
        case 1:
            Image.fromarray(grey.astype(np.uint8)).save(path, rng.choice(("PNG", "JPEG", "BMP")))
        case 2:
            head = struct.pack(
                ">IIBBBBB",
                *(rng.choice((1, 0, 10**5, 2**31 - 1)) for _ in "ab"),
                rng.choice((8, 16)),
                rng.choice((0, 2, 3, 4, 6)),
                0,
                0,
                0,
            )
            chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 4096)), (b"IEND", b""))
            return b"\x89PNG\r\n\x1a\n" + b"".join(
                struct.pack(">I", len(data))
                + name
                + data
                + struct.pack(">I", zlib.crc32(name + data))
                for name, data in chunks
            )
        case 3:
            tifffile.imwrite(path, grey, compression=rng.choice(("deflate", "lzw", "packbits")))
        case 4:
            tifffile.imwrite(path, np.stack([grey, grey]), imagej=rng.random() < 0.5)
        case _:
            tifffile.imwrite(path, grey, tile=(16, 16), bigtiff=rng.random() < 0.5)
    data = path.read_bytes()
    if rng.random() < 0.2:
        return rng.choice((b"", data[: len(data) // 2], data[:10], b"\0" * 100, b"PK\3\4" + data))
    head = data[:200] if rng.random() < 0.5 else data
    return mutate_bytes(rng, head) + data[len(head) :]


def images(rng: random.Random, folder: Path) -> list[str]:
    rows = [
        ["path", "plate", "well", "field", "channel", *(["page"] if rng.random() < 0.3 else [])]
    ]
    for well in ("A01", "A02"):
        for channel in ("DNA", "Actin"):
            name = f"{well}{channel}{rng.choice(('.tif', '.png', '.jpg', '.bmp', '.tiff'))}"
            draw = rng.random()
            if draw < 0.06:
                name = rng.choice(("/dev/zero", "/dev/full", "/dev/tty", "/proc/self/mem", "d"))
                (folder / "d").mkdir(exist_ok=True)
            elif draw < 0.09:
                os.mkfifo(folder / name)
            elif draw < 0.6:
                (folder / name).write_bytes(_image_bytes(rng, folder))
            else:
                write_plane(folder / name, 3)
            rows.append(
                [name, "i1", well, "1", channel, rng.choice(("0", "1", *NUMBERS))][: len(rows[0])]
            )
    _write_csv(folder / "m.csv", rows)
    more = _some(
        rng,
        ["--convert", rng.choice(("luminance", "exact", "lossy,luminance", "index"))],
        ["--allow-incomplete"],
        ["--illumination", "estimate"],
        ["--pyramid", "2"],
        ["--max-pixels", rng.choice(("100", "1024", "0", "-5", "1e9"))],
        ["--jobs", "2"],
        chance=0.2,
    )
    return ["ingest", str(folder / "m.csv"), *more]


def _h5ad(rng: random.Random, path: Path, rows: list[list[str]]) -> Path:
    import anndata
    import pandas as pd

    obs = pd.DataFrame([r[:3] for r in rows[1:]], columns=rows[0][:3]).astype(str)
    values = np.array([r[3:] for r in rows[1:]], dtype=np.float64)
    made = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=rows[0][3:]))
    made.layers["l"] = values.copy()
    if rng.random() < 0.3:
        path = path.with_suffix(".zarr")
        made.write_zarr(path)
        documents = [f for f in path.rglob("*") if f.is_file()]
        if rng.random() < 0.7:
            file = rng.choice(documents)
            if file.suffix == ".json" or file.name.startswith(".z"):
                mutate_json_file(rng, file)
            else:
                file.write_bytes(mutate_bytes(rng, file.read_bytes()))
        return path
    path = path.with_suffix(".h5ad")
    made.write_h5ad(path)
    if rng.random() < 0.7:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    return path


def features(rng: random.Random, folder: Path) -> list[str]:
    rows = [["Metadata_Plate", "Metadata_Well", "Metadata_compound", "f1", "f2", "f3"]]
    for i in range(8):
        numbers = [f"{rng.gauss(0, 1):.4f}" for _ in range(3)]
        rows.append(["q0", f"{'AB'[i // 4]}{i % 4 + 1:02d}", f"c{i % 3}", *numbers])
    if rng.random() < 0.12:
        path = _h5ad(rng, folder / "t", rows)
    else:
        path = _table(rng, folder / "t", rows)
    if rng.random() < 0.05:
        import pyarrow as pa
        import pyarrow.ipc

        path = folder / "t.arrow"
        with pa.ipc.new_file(path, pa.schema([("Metadata_Plate", pa.string())])) as writer:
            writer.write_table(pa.table({"Metadata_Plate": ["a"]}))
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    level = rng.choice(("field", "treatment", "compound"))
    options = _some(
        rng,
        ["--features", rng.choice(("(", "f.*", "[", "f{9999999999}", "", value(rng)))],
        ["--map", f"{rng.choice(('plate', 'well', 'batch', 'x'))}={value(rng)}"],
        ["--map", rng.choice(("plate=1/0", "plate=repeat('a', 1000)", "well=getenv('HOME')"))],
        ["--dataset", value(rng)],
        ["--level", level],
        ["--layer", rng.choice(("X", "l", "raw", "obsm:a", value(rng)))],
        ["--negcon", value(rng)],
        ["--unit", value(rng)],
        ["--overwrite"],
        ["--dry-run"],
        chance=0.12,
    )
    if rng.random() < 0.2:
        annotation = [["plate", "well", "moa"], ["q0", "A01", "x"], ["q0", "A02", "y"]]
        options += ["--metadata", str(_table(rng, folder / "a", annotation))]
    model = rng.choice(("m1", "m2", "m1", value(rng)))
    return ["import-profiles", str(path), "--model", model, *options]


@cache
def _state() -> dict[str, torch.Tensor]:
    import timm

    network = timm.create_model(VIT, num_classes=0, depth=1)
    return dict(network.state_dict())


def weights(rng: random.Random, folder: Path) -> list[str]:
    state = dict(_state())
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.choice([*state, "pos_embed", "patch_embed.proj.weight"])
        tensor = state.get(name, torch.zeros(1))
        match rng.randrange(9):
            case 0:
                state.pop(name, None)
            case 1:
                state[name] = torch.full_like(tensor, rng.choice((float("nan"), float("inf"))))
            case 2:
                state[name] = torch.zeros([rng.choice((0, 1, 2, 7)) for _ in tensor.shape])
            case 3:
                state[name] = torch.zeros(rng.choice(((), (0,), (1, 0, 192), (1, 3, 3, 3, 3))))
            case 4:
                state[value(rng)] = tensor.clone()
            case 5:
                state[name] = tensor.to(rng.choice((torch.int8, torch.bool, torch.complex64)))
            case 6:
                state[name] = tensor.reshape(-1)
            case 7:
                state[name] = torch.zeros(1).expand(10**6 if tensor.dim() == 1 else 3)
            case _:
                state[name] = tensor.to_sparse() if tensor.dim() == 2 else tensor.half()
    path = folder / rng.choice(("w.pth", "w.pth", "w.safetensors", "w.pt", "w.bin"))
    document: object = state
    match rng.randrange(10):
        case 0:
            itself: dict[str, object] = {}
            itself[rng.choice(("model", "teacher", "state_dict", "x"))] = itself
            document = itself
        case 1:
            document = rng.choice(({}, [], 1, None, "x", {"model": None}, {"model": {}}, {1: 2}))
        case 2:
            document = {rng.choice(("model", "teacher", "state_dict")): state, "epoch": 3}
        case 3:
            deep: object = state
            for _ in range(rng.choice((5, 200))):
                deep = {"model": deep}
            document = deep
        case 4:
            document = {1: torch.zeros(2), None: torch.zeros(3), ("a",): torch.zeros(1)}
    if path.suffix == ".safetensors":
        try:
            save_file({str(k): v.contiguous().clone() for k, v in state.items()}, path)
        except Exception:  # of mutated tensors
            path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    else:
        torch.save(document, path)
    draw = rng.random()
    if draw < 0.2:
        data = path.read_bytes()
        path.write_bytes(mutate_bytes(rng, data[:400]) + data[400:])
    elif draw < 0.3:
        head = json.dumps({"a": json_value(rng), "__metadata__": json_value(rng)}).encode()
        path.write_bytes(
            rng.choice(
                (
                    b"",
                    b"\0",
                    b"PK\3\4",
                    b"\x80\x02}",
                    b"\xff" * 8,
                    b"cos\nsystem\n(S'echo'\ntR.",
                    struct.pack("<Q", len(head)) + head,
                    struct.pack("<Q", 2**63),
                    b"\x80\x04\x95" + b"\xff" * 8,
                )
            )
        )
    return [
        *("models", "import", str(path), "--model", rng.choice(("imp", value(rng)))),
        *_some(rng, ["--architecture", VIT], chance=0.8),
        *_some(
            rng,
            ["--architecture", rng.choice(("resnet18", "microsnoop", "subcell", value(rng)))],
            ["--crop-size", rng.choice(NUMBERS)],
            ["--input-channels", rng.choice(("DNA,Actin", "a,b,c", value(rng)))],
            ["--normalization", "imagenet"],
            ["--licence", value(rng)],
            chance=0.15,
        ),
    ]


_SMALL = {
    "architecture_options": {"depth": 1, "embed_dim": 32, "num_heads": 2},
    "crop_size_px": 32,
    "local_crop_size_px": 16,
    "num_local_crops": 1,
    "epochs": 1,
    "steps_per_epoch": 1,
    "batch_size": 2,
    "num_outputs": 8,
    "head_hidden": 16,
    "head_bottleneck": 8,
}


def training(rng: random.Random, folder: Path) -> list[str]:
    from unidino.training.recipe import TrainConfig

    config = dict(_SMALL)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        name = rng.choice([*TrainConfig.model_fields, *config])
        config[name] = json_value(rng)
    if rng.random() < 0.3:
        name = rng.choice(list(_SMALL))
        config[name] = rng.choice((10**6, 10**9, 10**30, 0, -1, 1.5, "7", 999_983))
    path = folder / "c.json"
    path.write_text(json.dumps(config), encoding="utf-8", errors="surrogatepass")
    if rng.random() < 0.25:
        mutate_json_file(rng, path)
    name = f"t{rng.randrange(10**6)}" if rng.random() < 0.9 else value(rng)
    options = _some(
        rng,
        ["--epochs", rng.choice(NUMBERS)],
        ["--batch-size", rng.choice(NUMBERS)],
        ["--crop-size", rng.choice(NUMBERS)],
        ["--seed", rng.choice(NUMBERS)],
        ["--architecture", rng.choice(("resnet18", value(rng)))],
        ["--samples", rng.choice(("select 1", "from well", "(", value(rng)))],
        ["--probe", rng.choice(("select 1", "from well", value(rng)))],
        ["--start", rng.choice(("gaussian", "vit", value(rng)))],
        ["--device", rng.choice(("cuda", "cuda:99", "tpu", value(rng)))],
        ["--precision", "bf16"],
        ["--resume"],
        chance=0.07,
    )
    if rng.random() < 0.1:
        path = folder
    return ["train", "--model", name, "--recipe", "small", "--config", str(path), *options]


_QUERIES = (
    *("1 = 1", "plate = 'x'", "1/0 = 1", "(", "true; drop table plate", "'a", "moa", "no_column"),
    *("read_csv('/etc/passwd')", "cast('x' as int) = 1", "batch = '1'", "exists (select 1)", "--"),
)


def _options(rng: random.Random, folder: Path) -> dict[str, list[list[str]]]:
    """Command lines of each command with one or more of these options."""
    number, text = rng.choice(NUMBERS), value(rng)
    out = rng.choice((str(folder / "o.csv"), "/", str(folder), f"{folder}/a/b.png", text))
    figure = rng.choice((str(folder / "o.png"), str(folder / "o.svg"), out))
    steps = rng.choice(
        (
            "spherize",
            "whiten",
            "tvn",
            "none",
            "mad_robustize+spherize",
            f"mad_robustize,clip={number}",
            f"whiten,regularization={number}",
            f"standardize,controls={text}",
            f"none,select={text}",
            text,
            f"mad_robustize,per={text}",
            f"spherize,{text}={number}",
            "none,wells=1/0",
            f"none,wells={text}",
        )
    )
    where = rng.choice((*_QUERIES, text))
    selection = [
        *(["--model", rng.choice(("gaussian", text))], ["--normalize", steps], ["--where", where]),
        *(["--dataset", text], ["--level", rng.choice(("well", "field", "compound", "plate"))]),
    ]
    return {
        "embed --model gaussian --all --overwrite": [
            *(
                ["--batch-size", number],
                ["--short-side", number],
                ["--shard", f"{number}/{number}"],
            ),
            *(
                ["--shard", f"1/{number}"],
                ["--where", where],
                ["--plate", text],
                ["--keep", "crop"],
            ),
            *(["--device", text], ["--model", text], ["--cover"]),
        ],
        "embed --model vit --all --overwrite": [
            *(["--batch-size", number], ["--short-side", number]),
            *(["--device", text], ["--keep", "crop"], ["--precision", "bf16"]),
        ],
        "profile": [
            *selection[:2],
            *(["--controls", text], ["--per", text], ["--channels", text]),
            ["--statistics", rng.choice((str(folder), text))],
        ],
        "score --metric nsc": [
            *(*selection, ["--neighbours", number], ["--seed", number], ["--channels", text]),
            *(["--metric", text], ["--not-same", text], ["--measure", "map"], ["--device", text]),
            *(["--measure", "replicates"], ["--label", "target"], ["--label-filter", "rows"]),
        ],
        f"export {out} --model gaussian": [*selection, ["--channels", text]],
        f"plot map -o {figure} --method pca": [
            *(*selection, ["--colour", text], ["--seed", number], ["--width-mm", number]),
            ["--dpi", number],
        ],
        f"plot plate -o {figure}": [
            *(["--value", rng.choice(("avg(focus)", *_QUERIES, text))], ["--plate", text]),
            *(["--width-mm", number], ["--dpi", number]),
        ],
        f"plot {rng.choice(('scores', 'labels', 'similarity', 'replicates'))} -o {figure}": [
            *(*selection, ["--metric", text], ["--width-mm", number], ["--dpi", number]),
        ],
        "attribute --model gaussian --jobs 1 --seeds 1": [
            *(*selection[1:3], ["--top", number], ["--seeds", number], ["--seed", number]),
            *(["--scores", text], ["--jobs", number], ["--label", "target"]),
        ],
        "sql": [
            *(
                [text],
                ["select 1", "--format", "parquet"],
                ["--file", text],
                ["--file", str(folder)],
            ),
            *(["select repeat('a', 100)"], [f"select {number}"], ["select 1/0"], ["select 'a"]),
        ],
        "models create": [
            *(["random_vit", "--model", text], ["gaussian", "--seed", number, "--model", "g2"]),
            *([text], ["codebook", "--samples", text], ["gaussian", "--like", text]),
            *(
                ["random_vit", "--like", "gaussian", "--model", "x1"],
                ["random_vit", "--seed", number],
            ),
            *(["cellprofiler", "--nuclei", text, "--model", "x2"], ["resnet18", "--weights", text]),
        ],
        "models show": [[text], ["gaussian"]],
        "models fetch": [[text], ["--table", text], ["--table", str(folder)]],
        "explore --no-browser": [["--port", rng.choice(("-1", "65536", "x", "nan"))]],
        "report": [["-o", rng.choice((str(folder), "/", f"{folder}/x/y.html", text))]],
        "check": [["--lake", text], []],
        "demo": [[str(folder.parent), "--seed", number]],
    }


def options(rng: random.Random, folder: Path) -> list[str]:
    lines = _options(rng, folder)
    command = rng.choice(list(lines))
    chosen = rng.sample(lines[command], min(len(lines[command]), rng.choice((1, 1, 1, 2, 3))))
    if command.split()[0] in ("sql", "models", "report", "check", "demo", "explore"):
        chosen = chosen[:1]
    return [*command.split(" "), *(word for option in chosen for word in option)]


def readouts(rng: random.Random, folder: Path) -> list[str]:
    rows = [["compound", "r1", "r2"]]
    rows += [[f"c{i}", f"{rng.random():.3f}", f"{rng.random():.3f}"] for i in range(6)]
    table = _table(rng, folder / "r", rows)
    number = rng.choice(NUMBERS)
    more = _some(
        rng,
        ["--by", rng.choice(("compound", "well", value(rng)))],
        ["--readouts", rng.choice(("(", "r.", "[", value(rng)))],
        ["--folds", number],
        ["--seed", number],
        ["--stratum", value(rng)],
        ["--map", f"compound={value(rng)}"],
        ["-o", rng.choice((str(folder), "/x.csv", value(rng)))],
        chance=0.2,
    )
    return ["readouts", "--table", str(table), "--model", "gaussian", "--jobs", "1", *more]


def sql_files(rng: random.Random, folder: Path) -> list[str]:
    """Rules, layouts and queries in files of SQL."""
    path = folder / "r.sql"
    texts = (
        *("select 1", "from candidate", "", ";", "drop table plate", "(", "select * from nowhere"),
        *("from candidate unpivot include nulls (key for reason in (compound, batch))", "--", "'"),
        *(
            "\0",
            "select 'a' as path",
            "from read_csv('/etc/passwd')",
            "from 'x.csv'",
            "\ufeffselect 1",
        ),
    )
    path.write_text(rng.choice(texts))
    if rng.random() < 0.3:
        path.write_bytes(mutate_bytes(rng, path.read_bytes() + b" select 1"))
    return rng.choice((
        ["score", "--metric", str(path)],
        ["ingest", str(folder), "--layout", str(path)],
        ["sql", "--file", str(path)],
        ["score", "--metric", str(folder)],
        ["ingest", str(folder), "--layout", str(folder / "none.sql")],
    ))  # fmt: skip


_CHANGES = (
    "alter table plate drop column dataset",
    "drop table well",
    "drop table part cascade",
    "delete from plate",
    "delete from well",
    "delete from model",
    "delete from field",
    "update part set uri = '../x'",
    "update plate set uri = 'x'",
    "update model set num_dims = 7",
    "update part set details = '{'",
    "update part set dropped = '['",
    "update image set dtype = null",
    "alter table image rename column qc to q",
    "drop table run",
    "create table x as select 1",
    "alter table well add column y int",
    "update well set well = 'Z99'",
    "drop view profile",
    "update image set channel_index = 99",
    "update part set normalization = '('",
    "drop table model",
    "update image set p0_1 = null, p99_9 = null",
    "update well set moa = null, compound = null",
    "update plate set content_hash = null",
    "delete from part",
    "truncate image",
    "drop table image",
    "update model set kind = 'vit'",
    "update model set channels = ['a', 'b']",
    "drop table channel",
    "alter table plate alter num_rows type varchar",
    "update field set path = 'A/1/9'",
    "update channel set channel = 'DNA'",
    "update well set concentration_um = 'nan'::float",
)
_AFTER = (
    "score --metric nsc --model gaussian",
    "profile",
    "embed --model gaussian --all --overwrite",
    "check",
    "models",
    "models show gaussian",
    "plot plate -o {}/p.png --value avg(focus)",
    "sql from|well",
    "report -o {}/r.html",
    "export {}/e.csv --model gaussian --normalize none",
    "plot map -o {}/m.png --method pca",
    "attribute --model gaussian --jobs 1 --seeds 1",
)


def changed_catalog(rng: random.Random, folder: Path) -> list[str]:
    """A command after the user has changed the catalog; the first words are the change."""
    after = rng.choice(_AFTER).format(folder).split(" ")
    return [f"!{rng.choice(_CHANGES)}", *(word.replace("|", " ") for word in after)]


def damaged_lake(rng: random.Random, folder: Path) -> list[str]:
    """A command after a file of the lake was damaged; the first word is a seed of the damage."""
    after = rng.choice(_AFTER).format(folder).split(" ")
    return [f"?{rng.randrange(10**9)}", *(word.replace("|", " ") for word in after)]


KINDS: dict[str, tuple[Make, int]] = {
    "manifest": (manifest, 4),
    "harmony": (harmony, 4),
    "imagexpress": (imagexpress, 2),
    "cellvoyager": (cellvoyager, 3),
    "ome-tiff": (ome_tiff, 4),
    "ome-zarr": (ome_zarr, 4),
    "zarr-shape": (zarr_shape, 2),
    "file names": (file_names, 2),
    "images": (images, 5),
    "features": (features, 5),
    "weights": (weights, 4),
    "training": (training, 4),
    "options": (options, 6),
    "readouts": (readouts, 2),
    "SQL files": (sql_files, 1),
    "changed catalog": (changed_catalog, 2),
    "damaged lake": (damaged_lake, 2),
}
assert TEXTS
