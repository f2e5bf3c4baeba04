"""Random tables of features and of readouts."""

import random
from pathlib import Path

import numpy as np
from fuzz_nasty import NUMBERS, mutate_bytes, mutate_json_file, value
from fuzz_tables import any_table, some


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
        path = any_table(rng, folder / "t", rows)
    if rng.random() < 0.05:
        import pyarrow as pa
        import pyarrow.ipc

        path = folder / "t.arrow"
        with pa.ipc.new_file(path, pa.schema([("Metadata_Plate", pa.string())])) as writer:
            writer.write_table(pa.table({"Metadata_Plate": ["a"]}))
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    level = rng.choice(("field", "treatment", "compound"))
    options = some(
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
        options += ["--metadata", str(any_table(rng, folder / "a", annotation))]
    model = rng.choice(("m1", "m2", "m1", value(rng)))
    return ["import-profiles", str(path), "--model", model, *options]


def readouts(rng: random.Random, folder: Path) -> list[str]:
    rows = [["compound", "r1", "r2"]]
    rows += [[f"c{i}", f"{rng.random():.3f}", f"{rng.random():.3f}"] for i in range(6)]
    table = any_table(rng, folder / "r", rows)
    number = rng.choice(NUMBERS)
    more = some(
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
