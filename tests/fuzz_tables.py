"""Random tables, as CSV and Parquet, and random choices of options."""

import csv
import decimal
import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz_nasty import mutate_bytes, mutate_rows, mutate_xml


def some(rng: random.Random, *options: list[str], chance: float = 0.15) -> list[str]:
    """The words of some of these options."""
    return [word for option in options if rng.random() < chance for word in option]


def write_csv(path: Path, rows: list[list[str]], separator: str = ",") -> None:
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


def any_table(rng: random.Random, path: Path, rows: list[list[str]]) -> Path:
    """Write a table as CSV, TSV or Parquet, with mutations of its cells or bytes."""
    rows = mutate_rows(rng, rows)
    draw = rng.random()
    if draw < 0.15:
        return _parquet(rng, path.with_suffix(".parquet"), rows)
    path = path.with_suffix(rng.choice((".csv", ".csv", ".tsv", ".txt")))
    write_csv(path, rows, "\t" if path.suffix == ".tsv" else ",")
    if draw > 0.85:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    elif draw > 0.8:
        path.write_bytes(rng.choice((b"", b"\xff\xfea", b"\0" * 50, b"a,b\n" + b"x" * 300_000)))
    return path


def any_text(rng: random.Random, text: str) -> str:
    return mutate_xml(rng, text) if text.startswith("<") else text
