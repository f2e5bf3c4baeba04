"""Commands say what they did on standard output, and what is wrong in one line."""

import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import registry
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder


def test_help_starts_without_torch() -> None:
    code = (
        "import sys\nfrom unidino import cli\n"
        "try:\n    cli.app(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("ingest", "train", "embed", "profile", "score", "sql", "report", "demo"):
        assert command in done.stdout


@pytest.mark.slow
def test_the_lane_from_plates_to_a_report(run_cli, tiny_export: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    at = ("--lake", lake, "--json")
    status, out, _ = run_cli(
        "ingest",
        tiny_export,
        "--layout",
        "harmony",
        "--platemap",
        tiny_export / "platemap.csv",
        "--metadata",
        tiny_export / "plates.csv",
        "--channel-names",
        "DNA, Actin, Tubulin",
        *at,
    )
    assert status == 0
    done = json.loads(out)
    assert done.pop("account")["channels"] == ["0 DNA, 1 Actin, 2 Tubulin (2 plates)"]
    assert done == {
        "plates": 2,
        "skipped": 0,
        "wells": 12,
        "fields": 24,
        "images": 72,
        "problems": 0,
    }
    config = tmp_path / "config.json"
    config.write_text(
        '{"architecture_options": {"depth": 1}, "local_crop_size_px": 32, "head_hidden": 64}'
    )
    status, out, err = run_cli(
        "train",
        "--model",
        "vit",
        "--recipe",
        "small",
        "--config",
        config,
        "--epochs",
        1,
        "--crop-size",
        48,
        "--batch-size",
        8,
        *at,
    )
    assert status == 0, err
    assert json.loads(out)["epoch"] == 0
    status, out, _ = run_cli("embed", "--model", "vit", "--plate", "tiny_b1_p1", *at)
    assert (status, json.loads(out)["images"]) == (0, 36)
    status, out, err = run_cli("embed", "--model", "vit", "--plate", "tiny_b1_p1", *at)
    assert (status, json.loads(out)["images"]) == (0, 0)
    assert "nothing to do: model vit has already embedded tiny_b1_p1" in err
    assert run_cli("embed", "--model", "vit", "--all", *at)[0] == 0
    assert run_cli("profile", *at)[0] == 0
    status, out, _ = run_cli("score", "--metric", "nsc", *at)
    line = json.loads(out)
    assert (status, line["n"], line["metric"], line["label"]) == (0, 8, "nsc", "moa")
    assert set(line) >= {
        "model",
        "normalization",
        "metric",
        "rules",
        "label",
        "level",
        "accuracy",
        "interval_95",
        "n",
        "num_classes",
        "num_without_neighbour",
        "ceiling",
        "chance",
        "dropped",
    }
    status, out, _ = run_cli("attribute", "--model", "vit", *at)
    assert (status, len(out.splitlines())) == (0, 6)
    page = tmp_path / "report.html"
    status, out, _ = run_cli("report", "-o", page, *at)
    assert (status, json.loads(out)["bytes"]) == (0, page.stat().st_size)
    assert run_cli("models", *at)[1].count("\n") == 1
    status, _, err = run_cli("check", "--lake", lake)
    assert (status, err) == (0, "the lake has no problems\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("embed", "--model", "vit", "--all"), "unknown model 'vit'"),
        (("embed", "--model", "vit"), "choose plates with --plate NAME"),
        (("score", "--metric", "nsbc"), "unknown metric 'nsbc'; choose one of any, nsb, nsc"),
        (("score",), "no rule; give --metric"),
        (("ingest", "nowhere"), "no such file or folder: 'nowhere'"),
        (("ingest", ".", "--layout", "omero"), "unknown layout 'omero'; choose one of bbbc021"),
        (("sql", "drop table well"), "drop statements are refused: a query only reads"),
        (("sql", "from nowhere"), "nowhere does not exist"),
        (("train", "--model", "m", "--samples", "nowhere"), "nowhere does not exist"),
        (("train", "--model", "m", "--recipe", "small", "--architecture", "x"), "architecture 'x'"),
        (("attribute", "--model", "m"), "unknown model 'm'"),
    ],
)
@pytest.mark.sample(7)
def test_a_mistake_is_one_line_and_exit_1(run_cli, lake: Lake, arguments, message: str) -> None:
    before = {t: lake.query(f"from {t}") for t in ("plate", "well", "image", "model", "run")}
    status, out, err = run_cli(*arguments, "--lake", lake.path)
    assert status == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert all(lake.query(f"from {t}").equals(rows) for t, rows in before.items())


def test_a_missing_lake_is_one_line(run_cli, tmp_path: Path) -> None:
    status, _, err = run_cli("sql", "from plate", "--lake", tmp_path / "none")
    assert (status, err.count("\n")) == (1, 1)
    assert "no lake at" in err


def test_wrong_usage_is_exit_2(run_cli, lake: Lake) -> None:
    assert run_cli("embed", "--modle", "x")[0] == 2
    for words, allowed in (
        (("sql", "select 1", "--format", "xml"), "'table', 'csv'"),
        (("plot", "pie", "-o", "x.png"), "'map', 'similarity'"),
        (("profile", "--level", "cell"), "'field', 'well'"),
    ):
        status, out, err = run_cli(*words, "--lake", lake.path)
        assert (status, out) == (2, "")
        assert f"is not one of {allowed}" in err
    for option in ("--recipe", "--preset"):
        status, _, err = run_cli("train", "--model", "m", option, "huge")
        assert (status, "'huge' is not one of 'paper', 'published', 'small'" in err) == (2, True)


def test_sql_formats_hold_the_same_rows(lake: Lake) -> None:
    query = "select plate, well, concentration_um, ['a', 'b'] as list from well order by all"
    want = lake.query(query)

    def run(*options: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "unidino", "sql", query, "--lake", str(lake.path), *options],
            capture_output=True,
            check=True,
        )
        return done.stdout

    assert pl.read_parquet(io.BytesIO(run("--format", "parquet"))).equals(want)
    arrow = pa.ipc.open_stream(io.BytesIO(run("--format", "arrow"))).read_all()
    assert pl.from_arrow(arrow).equals(want)
    lines = [json.loads(line) for line in run("--json").splitlines()]
    assert lines == want.to_dicts()
    csv = pl.read_csv(io.BytesIO(run("--format", "csv")))
    assert csv["well"].to_list() == want["well"].to_list()
    assert json.loads(csv["list"][0]) == ["a", "b"]
    table = run().decode()
    assert table.count("tiny_b1_p1") == 6


def test_sql_writes_only_when_told(run_cli, lake: Lake) -> None:
    query = "update well set moa = 'none' where control_type = 'negcon'"
    assert run_cli("sql", query, "--lake", lake.path)[0] == 1
    assert run_cli("sql", query, "--write", "--lake", lake.path)[0] == 0
    assert lake.query("select count(*) from well where moa = 'none'").item() == 4


def test_the_lake_may_come_from_the_environment(
    run_cli, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIDINO_LAKE", str(lake.path))
    assert json.loads(run_cli("sql", "select count(*) as n from well", "--json")[1]) == {"n": 12}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "0/3"], "--shard is '0/3'; it must be i/n"),
        (["--shard", "4/3"], "--shard is '4/3'"),
        (["--shard", "x"], "--shard is 'x'"),
        (["--keep", "crops"], "'crops' is not one of 'mean'"),
        (["--engine", "tpu"], "'tpu' is not one of 'auto'"),
        (["--precision", "fp8"], "'fp8' is not one of 'fp32'"),
        (["--batch-size", "0"], "--batch-size is 0; it must be at least 1"),
        (["--short-side", "-5"], "--short-side is -5; it must be at least 1"),
        (["--short-side", "9" * 30], f"--short-side is {'9' * 30}; it must be at most 31622"),
    ],
)
def test_what_cannot_be_embedded_so_is_one_line(
    lake: Lake, run_cli, options: list[str], message: str
) -> None:
    config = ModelConfig(
        kind="vit",
        architecture="vit_tiny_patch16_224",
        architecture_options={"depth": 1},
        num_dims=192,
        crop_size_px=32,
        stride_px=32,
    )
    registry.register(lake, Run("test", {}), "toy", config, new_encoder(config))
    status, out, err = run_cli("embed", "--model", "toy", "--all", "--lake", lake.path, *options)
    assert (status, out) == (2 if "is not one of" in message else 1, "")
    assert message in err
    assert "Traceback" not in err
    assert lake.query("select count(*) from part").item() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("score", "--metric", "nsb", "--rules", "text", "--reading", "published"), "--rules is"),
        (("plot", "map", "-o", "m.png", "--color", "moa", "--colour", "plate"), "--color is"),
        (("train", "--model", "m", "--preset", "small", "--recipe", "paper"), "--preset is"),
    ],
)
def test_an_older_spelling_does_not_override_the_new_one(
    run_cli, lake: Lake, words: tuple[str, ...], said: str
) -> None:
    status, out, err = run_cli(*words, "--lake", lake.path)
    assert (status, out) == (1, "")
    assert f"{said} the older spelling of --" in err
