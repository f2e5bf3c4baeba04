"""Random images and OME-Zarr plates."""

import json
import os
import random
import shutil
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
from fuzz_nasty import NUMBERS, mutate_bytes, mutate_json_file, value
from fuzz_tables import some, write_csv
from PIL import Image
from planes import write_plane
from zarr_plates import write_zarr_plate


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
    more = some(
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
    more = some(rng, ["--in-place"], ["--allow-incomplete"], chance=0.4)
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
    write_csv(folder / "m.csv", rows)
    more = some(
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
