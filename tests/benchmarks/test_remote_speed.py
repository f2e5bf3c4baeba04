"""Speed of a remote lake on servers of this machine, beside a lake in a folder.

pytest -m benchmark tests/benchmarks/test_remote_speed.py -s
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers import Bucket, Database

import unidino as ud
from unidino.core import assets
from unidino.lake.copying import copy_lake
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts
from unidino.lake.postgres import PostgresCatalog
from unidino.lake.remote import RemoteLake, create_remote
from unidino.lake.runs import Run
from unidino.simulation.screens import SCREENS
from unidino.simulation.simulate import simulate_screen

pytestmark = pytest.mark.benchmark
_NUM_ROUNDS = 5


def _new(served: tuple[Database, Bucket], name: str) -> RemoteLake:
    database, storage = served
    database.create(name)
    return create_remote(f"{storage.url}/{name}", database.address(name))


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _without_copies(lake: RemoteLake) -> None:
    for room in ("plates", "embeddings", "profiles"):
        shutil.rmtree(lake.path / room, ignore_errors=True)


def test_embedding_from_storage(served: tuple[Database, Bucket], tmp_path: Path) -> None:
    export = tmp_path / "export"
    simulate_screen(export, SCREENS["sim3"], plates=["sim3_b1_p1"], size_px=448, num_fields=1)
    folder, remote = Lake.create(tmp_path / "lake"), _new(served, "speed")
    ud.ingest(folder, export, "harmony", dataset="sim", platemap=export / "platemap.csv")
    ud.create_model(folder, "random_vit")
    copy_lake(folder, remote)
    uris = folder.look_up("select distinct uri from training_sample order by 1")["uri"].to_list()

    def read(lake: Lake) -> None:
        from concurrent.futures import ThreadPoolExecutor

        from unidino.lake.pixels import read_plane

        def one(uri: str) -> None:
            path = lake.resolve(uri)
            for channel in range(3):
                read_plane(path, channel)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, uris))

    rates: dict[str, list[float]] = {"folder": [], "cold": [], "warm": []}
    for _ in range(_NUM_ROUNDS):
        rates["folder"].append(3 * len(uris) / _seconds(lambda: read(folder)))
        _without_copies(remote)
        rates["cold"].append(3 * len(uris) / _seconds(lambda: read(remote)))
        rates["warm"].append(3 * len(uris) / _seconds(lambda: read(remote)))
    print(f"\nplanes of 448 px a second, {3 * len(uris)} planes, median of {_NUM_ROUNDS}:")
    print({name: round(statistics.median(values)) for name, values in rates.items()})

    ratios = []
    for _ in range(3):
        took = {}
        for name, lake in (("folder", folder), ("remote", remote)):
            if name == "remote":
                _without_copies(remote)
            took[name] = _seconds(lambda lake=lake: ud.embed(lake, "random_vit", overwrite=True))
        ratios.append(took["folder"] / took["remote"])
    print("embedding ViT-S from cold storage, rate of the folder's:", [round(r, 3) for r in ratios])


def test_a_mean_over_a_hundred_parts(served: tuple[Database, Bucket], tmp_path: Path) -> None:
    folder, remote = Lake.create(tmp_path / "lake"), _new(served, "parts")
    rng = np.random.default_rng(0)
    run = Run("test", {})
    parts = Parts(folder, run)
    for number in range(100):
        uri = f"embeddings/m/p{number:03}.parquet"
        vectors = pa.array(list(rng.standard_normal((1152, 384), dtype=np.float32)))
        rows = pa.table(
            {
                "model": ["m"] * 1152,
                "plate": [f"p{number:03}"] * 1152,
                "well": ["A01"] * 1152,
                "field": pa.array([1] * 1152, pa.int32()),
                "channel_index": pa.array([0] * 1152, pa.int32()),
                "channel": ["DNA"] * 1152,
                "num_crops": pa.array([1] * 1152, pa.int32()),
                "embedding": vectors,
            }
        ).cast(assets.arrow_schema("embedding"))
        with parts.writing(Part(uri, "embedding", "m", plate=f"p{number:03}"), 1152) as path:
            pq.write_table(rows, path, compression="none")
    parts.land()
    copy_lake(folder, remote)
    query = "select avg(embedding[1]) from embedding"

    def ask(lake: Lake) -> None:
        lake.query(query)

    _without_copies(remote)
    print(f"\nmean over 100 parts, cold: {_seconds(lambda: ask(remote)):.2f} s")
    pairs = [(_seconds(lambda: ask(folder)), _seconds(lambda: ask(remote))) for _ in range(9)]
    print("warm, remote / folder:", round(statistics.median(b / a for a, b in pairs), 2), end=" ")
    print([tuple(round(s, 3) for s in pair) for pair in pairs])


def _metadata(num_plates: int, images_of_plate: int) -> dict[str, pa.Table]:
    """Rows of a large lake: plates, wells, fields and images."""
    con = duckdb.connect()
    for statement in assets.ddl():
        con.execute(statement)
    con.execute(
        "insert into plate by name select 'p' || range as plate_id, 'big' as dataset, 'b' ||"
        " (range // 20) as batch, 16 as num_rows, 24 as num_columns, 'f' as fingerprint,"
        " 'c' || range as content_hash, 'r' as run_id from range($n)",
        {"n": num_plates},
    )
    con.execute(
        "insert into well by name select plate_id as plate, chr((65 + w // 24)::int) ||"
        " lpad((w % 24 + 1)::varchar, 2, '0') as well, w // 24 + 1 as well_row, w % 24 + 1 as"
        " well_column, 'c' || w as compound from plate, range(384) as t(w)"
    )
    con.execute(
        "insert into image by name select plate, well, i // 5 as field, i % 5 as channel_index,"
        " 'c' || (i % 5) as channel, 'uint16' as dtype, 100.0 as p0_1, 900.0 as p99_9, 300.0 as"
        " mean, 'ok' as qc, 'origin/of/' || plate || '/' || well || i as origin, 1 as num_slices"
        " from well, range($n) as t(i)",
        {"n": images_of_plate // 384},
    )
    names = ("plate", "well", "image")
    return {name: con.sql(f"from {name}").to_arrow_table() for name in names}


@pytest.mark.parametrize("num_plates", [250, 2000])
def test_a_lake_of_many_images(
    served: tuple[Database, Bucket], tmp_path: Path, num_plates: int
) -> None:
    tables = _metadata(num_plates, 4224)
    num_images = tables["image"].num_rows
    folder, remote = Lake.create(tmp_path / "lake"), _new(served, f"many{num_plates}")
    for lake in (folder, remote):

        def land(lake: Lake = lake) -> None:
            with lake.landing() as landing:
                Run("test", {}).record(landing)
                for name, rows in tables.items():
                    landing.put(name, rows)

        print(f"\n{lake.address}: {num_images} images landed in {_seconds(land):.1f} s")
        for query in (
            "select count(*) from plate",
            "select count(*) from image where plate = 'p7'",
        ):
            code = (
                "import sys, time, resource; from unidino.lake.lake import Lake; t = time.time();"
                " lake = Lake.open(sys.argv[1]); lake.look_up(sys.argv[2], plates=['p7']);"
                " print(round(time.time() - t, 2),"
                " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
            )
            done = subprocess.run(
                [sys.executable, "-c", code, lake.address, query], capture_output=True, text=True
            )
            print(f"  {query}: s, MB: {done.stdout.strip()} {done.stderr[-300:]}")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def snapshot(plates: list[str] | None, lake: Lake = lake) -> None:
            with lake.snapshot(("plate", "well", "image", "part"), plates, of="-"):
                pass

        whole, some = _seconds(lambda: snapshot(None)), _seconds(lambda: snapshot(["p1", "p2"]))
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        print(f"  snapshot of all {whole:.1f} s (+{more} MB), of two plates {some:.2f} s")


def test_landings_of_eight_writers(served: tuple[Database, Bucket], tmp_path: Path) -> None:
    remote = _new(served, "writers")
    address, times = served[0].address("writers"), []
    rows = _metadata(1, 4224)["image"].slice(0, 1000)

    def write(number: int) -> None:
        catalog = PostgresCatalog(address, remote.path)
        for _ in range(10):

            def land() -> None:
                with catalog.landing() as landing:
                    landing.put("image", rows)

            times.append(_seconds(land))
        catalog.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert remote.look_up("select count(*) as n from image").item() == 80_000
    print(
        f"\n8 writers, 10 landings of 1,000 rows each: median {statistics.median(times):.3f} s,"
        f" worst {max(times):.2f} s ({os.cpu_count()} cores)"
    )
