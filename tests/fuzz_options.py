"""Random options, SQL files and changes of a lake."""

import random
from pathlib import Path

from fuzz_nasty import NUMBERS, mutate_bytes, value

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
