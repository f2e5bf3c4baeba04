"""The public names: quick to import, complete, and each with an example that runs."""

import ast
import doctest
import inspect
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest

import unidino as ud

ROOT = Path(__file__).resolve().parents[1]
VERBS = sorted(name for name in ud.__all__ if name[0].islower())
# They need weights, hours, a browser or a server: the tests of their rooms run them.
WITHOUT_EXAMPLE = {"explore", "fetch_model"}


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, unidino; heavy = {'torch', 'duckdb', 'numpy', 'polars', 'pyarrow'};"
        " print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there_and_listed() -> None:
    assert set(ud.__all__) <= set(dir(ud))
    for name in ud.__all__:
        assert getattr(ud, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'scores_of'"):
        _ = ud.scores_of


def test_the_typed_names_are_those_that_load() -> None:
    tree = ast.parse((ROOT / "unidino" / "__init__.py").read_text())
    (typed,) = [n for n in tree.body if isinstance(n, ast.If)]
    homes = {
        alias.name: node.module.removeprefix("unidino.")
        for node in typed.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert homes == ud._HOMES
    assert files("unidino").joinpath("py.typed").is_file()


@pytest.fixture
def scope(profiled: Path, tmp_path: Path) -> dict[str, object]:
    """What examples may use: a lake with a model and its profiles, and an empty folder."""
    shutil.copytree(profiled, tmp_path / "lake")
    (tmp_path / "files").mkdir()
    return {"lake": ud.Lake.open(tmp_path / "lake"), "folder": tmp_path / "files", "ud": ud}


@pytest.mark.parametrize("name", sorted(set(ud.__all__) - {"__version__", "UnidinoError"}))
def test_every_name_has_an_example_that_runs(
    name: str, scope: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    thing = getattr(ud, name)
    examples = doctest.DocTestFinder(recurse=False).find(thing, name, globs=scope)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    runner = doctest.DocTestRunner(optionflags=flags)
    num = 0
    for example in examples:
        example.globs = dict(vars(sys.modules[thing.__module__])) | scope
        num += len(example.examples)
        runner.run(example)
    assert runner.failures == 0, capsys.readouterr().out
    assert num > 0 or name in WITHOUT_EXAMPLE, f"{name} has no example"


@pytest.mark.parametrize("name", VERBS)
def test_verbs_take_the_lake_first_and_few_things_by_position(name: str) -> None:
    parameters = list(inspect.signature(getattr(ud, name)).parameters.values())
    assert parameters[0].name == "lake"
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(positional) <= 4


def test_results_print_as_tables(scope: dict[str, object]) -> None:
    scores = ud.score(scope["lake"], ["nsb", "nspw"])
    assert isinstance(scores.frame, pl.DataFrame)
    lines = repr(scores).splitlines()
    assert lines[0].split()[:3] == ["dataset", "model", "metric"]
    assert len(lines) == 4
    page = scores._repr_html_()
    assert page.startswith("<table>")
    assert page.count("<tr>") == 3
    assert repr(scores[:1]).count("\n") == 2


def test_the_repr_of_a_lake_tells_what_it_holds(scope: dict[str, object], tmp_path: Path) -> None:
    assert repr(scope["lake"]).endswith("lake'): 1 dataset, 2 plates, 12 wells, 1 model")
    assert "does not exist" in repr(ud.Lake(tmp_path / "nowhere"))


def frames() -> list[Callable[[pl.DataFrame], object]]:
    return [lambda frame: frame, lambda frame: frame.to_pandas(), lambda frame: frame.to_arrow()]


@pytest.mark.parametrize("of", frames())
def test_low_functions_work_on_frames_without_a_lake(
    scope: dict[str, object], of: Callable[[pl.DataFrame], object]
) -> None:
    from unidino.profiles.groups import groups
    from unidino.profiles.steps import normalize_profiles
    from unidino.scores.accuracy import score_profiles
    from unidino.scores.labels import label_classes

    lake = scope["lake"]
    assert isinstance(lake, ud.Lake)
    (raw,) = groups(lake, ud.Selection(normalize="none"))
    (done,) = groups(lake, ud.Selection())
    frame = of(pl.DataFrame(raw.metadata).drop("key", "channels", "normalization", "profile_id"))
    vectors = normalize_profiles(frame, raw.vectors, "mad_robustize")
    assert abs(vectors.astype("float32") - done.vectors).max() == 0
    (want,) = ud.score(lake, "nsb")
    got = score_profiles(frame, vectors, "nsb")
    assert (got.accuracy, got.n, got.interval_95) == (want.accuracy, want.n, want.interval_95)
    (labels,) = ud.score_labels(lake, "map", "nsb")
    _, classes = label_classes(frame, vectors, "map", "nsb")
    assert classes.equals(labels.classes)


def test_one_name_may_be_a_text(scope: dict[str, object]) -> None:
    assert ud.Selection("gaussian", channels="DNA") == ud.Selection(["gaussian"], channels=["DNA"])
    assert ud.embed(scope["lake"], "gaussian", plates="tiny_b1_p1").skipped == ("tiny_b1_p1",)
    with pytest.raises(ud.UnidinoError, match="unknown model 'gauss'; choose one of gaussian"):
        ud.score(scope["lake"], "nsb", ud.Selection("gauss"))


@pytest.mark.parametrize("shard", [(0, 2), (3, 2)])
def test_a_shard_that_cannot_be_is_refused(
    scope: dict[str, object], shard: tuple[int, int]
) -> None:
    with pytest.raises(ud.UnidinoError, match="it must be part i of n"):
        ud.embed(scope["lake"], "gaussian", shard=shard)


def test_what_selects_nothing_is_named(scope: dict[str, object]) -> None:
    for selection, said in (
        (ud.Selection(where="plate = 'x'"), "no profile fits --where \"plate = 'x'\""),
        (ud.Selection(compounds=["x"]), "none is of the selected compounds"),
    ):
        with pytest.raises(ud.UnidinoError, match=said):
            ud.export_profiles(scope["lake"], scope["folder"] / "out.csv", selection)
