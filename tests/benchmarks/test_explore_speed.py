"""How soon the page answers on 100,000 wells: plates, points, neighbours and a click in a browser.

Run with `python -m pytest -m benchmark tests/benchmarks/test_explore_speed.py -s`. The wells, their
images' figures and their vectors are random; no pixels are written.
"""

import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unidino.core import assets
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.explore import explore
from unidino.explorer.views import map_view, plate_view
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts
from unidino.lake.runs import Run
from unidino.scores.question import Question

pytestmark = pytest.mark.benchmark

_PLATES = 261
_CHANNELS = ("DNA", "RNA", "ER", "AGP", "Mito")


def big_lake(folder: Path, num_dims: int, num_plates: int = _PLATES) -> Lake:
    """A lake of 384-well plates with five channels, one field and random profiles."""
    lake = Lake.create(folder)
    num_wells = 384 * num_plates
    with lake.write() as con:
        con.execute(
            "insert into plate by name select 'plate_' || lpad(range::varchar, 4, '0') as plate_id,"
            " 'big' as dataset, 's' as source, 'b' || (range // 30) as batch, 16 as num_rows,"
            " 24 as num_columns, '' as fingerprint, range::varchar as content_hash, 'r' as run_id"
            " from range($num)",
            {"num": num_plates},
        )
        con.execute(
            "insert into well by name select plate_id as plate, chr((65 + w // 24)::integer) ||"
            " lpad((w % 24 + 1)::varchar, 2, '0') as well, w // 24 + 1 as well_row,"
            " w % 24 + 1 as well_column, 'c' || (hash(plate_id, w) % 3000) as compound,"
            " 10.0 as concentration_um, if(w % 24 < 2, 'negcon', 'trt') as control_type,"
            " 'm' || (hash(plate_id, w) % 60) as moa from plate, range(384) t(w)"
        )
        con.execute(
            "insert into channel by name select plate_id as plate, i as channel_index,"
            " $names[i + 1] as channel from plate, range(5) t(i)",
            {"names": list(_CHANNELS)},
        )
        con.execute(
            "insert into field by name select plate, well, 1 as field, 1080 as height_px,"
            " 1080 as width_px from well"
        )
        con.execute(
            "insert into image by name select plate, well, 1 as field, i as channel_index,"
            " $names[i + 1] as channel, 'uint16' as dtype, 100.0 as p0_1, 4000.0 as p99_9,"
            " 500 + 100 * random() as mean, 0.0 as saturation, random() as focus, 'absent' as qc,"
            " '' as origin, 1 as num_slices from well, range(5) t(i)",
            {"names": list(_CHANNELS)},
        )
        con.execute(
            "insert into model by name select 'vit' as model, 'vit' as kind, 384 as num_dims,"
            " '{}' as preprocessing, '' as weights_hash, now()::timestamp as created, 'r' as run_id"
        )
        wells = con.sql(
            "select plate, well, compound, concentration_um, control_type, moa, batch, source"
            " from well join plate on plate_id = plate order by plate, well"
        ).to_arrow_table()
    uri = "profiles/vit/mad_robustize/well/big.parquet"
    path = lake.resolve(uri)
    path.parent.mkdir(parents=True)
    schema = assets.arrow_schema("profile")
    same = {
        "model": "vit",
        "level": "well",
        "normalization": "mad_robustize",
        "dataset": "big",
        "num_members": 1,
    }
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(path, schema, use_dictionary=["plate", "compound"]) as writer:
        for start in range(0, num_wells, 4096):
            rows = wells.slice(start, 4096)
            num = rows.num_rows
            values = rng.normal(size=(num, num_dims)).astype(np.float32)
            offsets = np.arange(num + 1, dtype=np.int32) * num_dims
            made = {
                **{name: pa.array([value] * num) for name, value in same.items()},
                "profile_id": pa.array(np.arange(start, start + num)),
                "key": pa.array(
                    [
                        [p, w]
                        for p, w in zip(
                            rows["plate"].to_pylist(), rows["well"].to_pylist(), strict=True
                        )
                    ]
                ),
                "channels": pa.array([list(_CHANNELS)] * num),
                "embedding": pa.ListArray.from_arrays(offsets, values.ravel()),
            }
            columns = {
                n: made[n]
                if n in made
                else rows[n]
                if n in rows.column_names
                else pa.nulls(num, schema.field(n).type)
                for n in schema.names
            }
            writer.write_table(pa.table(columns).cast(schema))
    part = Part(uri, "profile", "vit", "", "big", normalization="mad_robustize", level="well")
    parts = Parts(lake, Run("profile", {}))
    with parts.writing(part, num_wells, details={}) as temporary:
        path.rename(temporary)
    parts.land()
    return lake


def _ms(action: Callable[[], object], rounds: int = 1) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@pytest.mark.parametrize("num_dims", [384, 1920])
def test_functions_on_100_000_wells(
    tmp_path: Path, num_dims: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = CachedLake(big_lake(tmp_path / "lake", num_dims))
    names = ("vit", "mad_robustize", "big")
    file = cached.file(*names)
    chosen = {"plate": "plate_0100", "well": "C04"}
    lines = {
        "wells read": _ms(lambda: cached.wells("big")),
        "profiles read": _ms(lambda: cached.sets(file)),
        "map by PCA": _ms(lambda: cached.map(file, None, "pca")),
        "plate, first": _ms(lambda: plate_view(cached, "big", "plate_0100", "moa", "", chosen)),
        "plate": _ms(lambda: plate_view(cached, "big", "plate_0101", "moa", "", chosen), 5),
        "map": _ms(lambda: map_view(cached, names, None, "pca", "moa", ""), 5),
        "map by an expression": _ms(
            lambda: map_view(cached, names, None, "pca", "focus_DNA / mean_DNA", "")
        ),
    }
    profiles = cached.sets(file)[0]
    for question in (Question("nscb"), Question("nscp")):
        for name, well, rounds in (("first", "C04", 1), ("again", "C05", 5)):
            find = partial(profiles.neighbours, "plate_0100", well, question)
            lines[f"neighbours {question.rule}, {name}"] = _ms(find, rounds)
    with capsys.disabled():
        print(f"\n{len(profiles.vectors):,} wells x {num_dims} dims, ms:")
        for what, ms in lines.items():
            print(f"  {what:28s} {ms:8.0f}")


def test_a_click_on_100_000_wells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = pytest.importorskip("playwright.sync_api")
    lake = big_lake(tmp_path / "lake", 384)
    server = explore(lake, port=0)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        with api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            start = time.perf_counter()
            page.goto(server.url)
            page.locator("#legend .entry").first.wait_for()
            plate_s = time.perf_counter() - start
            page.get_by_text("100,224 wells").wait_for()
            map_s = time.perf_counter() - start
            clicks = []
            box = page.locator("#plate-map .nsewdrag").bounding_box()
            assert box
            for step in range(8):
                page.wait_for_timeout(500)
                start = time.perf_counter()
                page.mouse.click(box["x"] + (2.5 + step) * box["width"] / 24, box["y"] + 40)
                well = page.locator("#well-head h2", has_text=f"{step + 3:02d}")
                well.wait_for()
                page.locator("#neighbours .row").first.wait_for()
                clicks.append(time.perf_counter() - start)
            browser.close()
    finally:
        server.close()
    with capsys.disabled():
        print(
            f"\nfirst plate {plate_s:.2f} s, map {map_s:.2f} s, a click"
            f" {1000 * statistics.median(clicks[1:]):.0f} ms"
            f" (first {1000 * clicks[0]:.0f})"
        )
