"""Profiles are the means and normalizations that the paper defines, to the digit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.core.sql import scratch
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.models.config import ModelConfig
from unidino.profiles import files, profile
from unidino.profiles.compute import Computed
from unidino.profiles.compute import compute as compute_dataset
from unidino.profiles.form import ProfileForm
from unidino.profiles.normalize import Learnt
from unidino.profiles.select import select_features
from unidino.profiles.selection import Selection

Compute = Callable[..., Computed]


CONFIG = ModelConfig(kind="gaussian", num_dims=3)


@pytest.fixture
def screen(tmp_path: Path) -> Callable[..., Compute]:
    """A function that makes one channel's embeddings, one field and crop a well, to compute on."""

    def make(wells: list[dict[str, object]], vectors: np.ndarray) -> Compute:
        con = scratch()
        rows = pa.Table.from_pylist(wells)
        embedding = pa.table(
            {
                "model": ["m"] * len(wells),
                "plate": rows["plate"],
                "well": rows["well"],
                "field": pa.array([1] * len(wells), pa.int32()),
                "channel_index": pa.array([0] * len(wells), pa.int32()),
                "channel": ["DNA"] * len(wells),
                "num_crops": pa.array([1] * len(wells), pa.int32()),
                "embedding": pa.array(vectors.tolist(), pa.list_(pa.float64())),
            }
        )
        files = {}
        for plate in sorted(set(rows["plate"].to_pylist())):
            files[plate] = tmp_path / f"{plate}.parquet"
            pq.write_table(embedding.filter(pc.equal(rows["plate"], plate)), files[plate])
        con.register("embedding", embedding)
        con.register("well_rows", rows)
        con.execute(
            "create table plate as select distinct plate as plate_id, 'd' as dataset, 's' as"
            " source, left(plate, 1) as batch from well_rows"
        )
        con.execute("create table model as select 'm' as model, null::varchar[] as channels")
        con.execute(
            "create table channel as select plate_id as plate, 0 as channel_index,"
            " 'DNA' as channel from plate"
        )
        con.execute(
            "create table well as select *, null::varchar as perturbation, null::varchar as moa,"
            " null::varchar as target, null::varchar as cell_line, null::integer as num_cells,"
            " null::json as extra"
            " from well_rows"
        )

        def compute(normalize: str, level: str = "well", known: Sequence[Learnt] = ()) -> Computed:
            form = ProfileForm.parse(normalize)
            with compute_dataset(con, files, "m", "d", CONFIG, form, level, known) as made:
                return replace(made, vectors=np.array(made.vectors))

        return compute

    return make


def _wells(num: int, plate: str = "p", controls: int = 2) -> list[dict[str, object]]:
    return [
        {
            "plate": plate,
            "well": f"A{i + 1:02d}",
            "compound": "DMSO" if i < controls else f"c{i % 3}",
            "concentration_um": float(i % 2),
            "control_type": "negcon" if i < controls else "trt",
        }
        for i in range(num)
    ]


def test_mad_robustize_equals_pycytominer(parity: Path, screen) -> None:
    data = np.load(parity / "mad_robustize.npz")
    compute = screen(_wells(len(data["profiles"])), data["profiles"])
    got = compute("mad_robustize,epsilon=1e-18").vectors
    want = data["normalized"]
    # The published program computed in float32.
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6)
    constant = 7
    others = np.delete(np.arange(want.shape[1]), constant)
    plain = compute("mad_robustize")
    np.testing.assert_array_equal(plain.vectors[:, others], got[:, others])
    assert not plain.vectors[:, constant].any()
    assert plain.dropped == {"constant_feature": 1}


@pytest.mark.parametrize("method", ["mad_robustize", "standardize"])
def test_normalization_equals_pycytominer_run_here(method: str, screen) -> None:
    from pycytominer import normalize

    rng = np.random.default_rng(3)
    wells, vectors = _wells(60, controls=20), rng.gamma(2, 3, size=(60, 5))
    names = [f"f{i}" for i in range(5)]
    frame = pd.DataFrame(vectors, columns=names).assign(
        Metadata_control=[w["control_type"] for w in wells]
    )
    want = normalize(
        frame,
        features=names,
        meta_features=["Metadata_control"],
        method=method,
        samples="all" if method == "mad_robustize" else "Metadata_control == 'negcon'",
    )[names].to_numpy()
    got = screen(wells, vectors)(method).vectors
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_plates_are_normalized_apart(screen) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6))
    vectors[20:] = vectors[20:] * 7 + 100
    made = screen(_wells(20, "p1") + _wells(20, "p2"), vectors)("mad_robustize")
    for plate, rows in (("p1", vectors[:20]), ("p2", vectors[20:])):
        median = np.median(rows, axis=0)
        mad = np.median(np.abs(rows - median), axis=0)
        mine = np.array(made.table["plate"].to_pylist()) == plate
        np.testing.assert_allclose(made.vectors[mine], (rows - median) / (1.4826 * mad), rtol=1e-12)
        (learnt,) = (k for k in made.learnt if k.unit == plate)
        np.testing.assert_allclose(learnt.map.centre, median)
        np.testing.assert_allclose(learnt.map.spread, 1.4826 * mad)
        assert learnt.num_teaching == 20


@pytest.mark.parametrize(
    ("per", "units"), [("plate", ["a1", "a2", "b1"]), ("batch", ["s/a", "s/b"]), ("dataset", ["d"])]
)
def test_what_is_normalized_apart_is_chosen(screen, per: str, units: list[str]) -> None:
    vectors = np.random.default_rng(0).normal(size=(24, 2))
    compute = screen(_wells(8, "a1") + _wells(8, "a2") + _wells(8, "b1"), vectors)
    made = compute(f"mad_robustize,per={per}")
    assert [k.unit for k in made.learnt] == units
    plates = np.array(made.table["plate"].to_pylist())
    of_unit = np.array(
        [p if per == "plate" else f"s/{p[0]}" if per == "batch" else "d" for p in plates]
    )
    for unit in units:
        np.testing.assert_allclose(np.median(made.vectors[of_unit == unit], axis=0), 0, atol=1e-12)


def test_standardize_gives_controls_mean_0_and_sd_1(screen) -> None:
    vectors = np.random.default_rng(1).normal(5, 3, size=(30, 4))
    made = screen(_wells(30, controls=12), vectors)("standardize")
    controls = made.vectors[np.array(made.table["control_type"].to_pylist()) == "negcon"]
    np.testing.assert_allclose(controls.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(controls.std(axis=0), 1)


def _covariance_of_controls(made: Computed) -> np.ndarray:
    controls = np.array(made.table["control_type"].to_pylist()) == "negcon"
    return np.cov(made.vectors[controls], rowvar=False)


def test_spherize_whitens_controls_and_turns_back(screen) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(90, 5)) @ rng.normal(size=(5, 5)) + 10
    compute = screen(_wells(90, controls=60), vectors)
    made = compute("spherize,epsilon=0")
    np.testing.assert_allclose(_covariance_of_controls(made), np.eye(5), atol=1e-9)
    # Whitening that turns back moves the profiles least: a symmetric matrix with positive values.
    matrix = made.learnt[0].map.matrix
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert (np.linalg.eigvalsh(matrix) > 0).all()
    chained = compute("mad_robustize+spherize,epsilon=0")
    np.testing.assert_allclose(_covariance_of_controls(chained), np.eye(5), atol=1e-9)
    assert [k.step for k in chained.learnt] == [1, 2]
    assert made.channels == (("DNA",),)


def test_whiten_learns_from_the_controls_of_the_whole_dataset_with_a_ridge(screen) -> None:
    wells, vectors = _two_batches()
    compute = screen(wells, vectors)
    made = compute("whiten")
    control = np.array([w["control_type"] == "negcon" for w in wells])
    values, axes = np.linalg.eigh(np.cov(vectors[control].T))
    whole = axes @ np.diag((values + 1) ** -0.5) @ axes.T
    want = (vectors - vectors[control].mean(axis=0)) @ whole
    np.testing.assert_allclose(made.vectors, want, atol=1e-9)
    same = compute("whiten,controls=negcon,per=dataset,epsilon=1")
    np.testing.assert_array_equal(same.vectors, made.vectors)
    chained = compute("mad_robustize+whiten,controls=negcon,per=dataset,epsilon=1")
    # Options hold for every step.
    assert [k.method for k in chained.learnt] == ["median_mad", "whiten"]
    assert [k.unit for k in chained.learnt] == ["d", "d"]
    assert chained.learnt[0].map.epsilon == 1


def _two_batches() -> tuple[list[dict[str, object]], np.ndarray]:
    rng = np.random.default_rng(4)
    first = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4))
    second = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) + 3
    wells = _wells(50, "a", controls=30) + _wells(50, "b", controls=30)
    return wells, np.concatenate([first, second])


def test_tvn_equals_its_steps_written_out(screen) -> None:
    wells, vectors = _two_batches()
    made = screen(wells, vectors)("tvn")
    control = np.array([w["control_type"] == "negcon" for w in wells])
    batch = np.array([w["plate"] for w in wells])
    values, axes = np.linalg.eigh(np.cov(vectors[control].T, ddof=0))
    want = (vectors - vectors[control].mean(axis=0)) @ axes @ np.diag((values + 1) ** -0.5)
    target = want[control].T @ want[control] / control.sum() + np.eye(4)
    for name in ("a", "b"):
        mine = want[control & (batch == name)]
        own = mine.T @ mine / len(mine) + np.eye(4)
        want[batch == name] = want[batch == name] @ np.real(
            fractional_matrix_power(own, -0.5) @ fractional_matrix_power(target, 0.5)
        )
    # Axes are right up to order and sign, which no distance between profiles sees.
    np.testing.assert_allclose(made.vectors @ made.vectors.T, want @ want.T, atol=1e-9)
    assert made.channels == (("mixed",),)


def test_tvn_of_efaar_equals_its_steps_written_out(screen) -> None:
    wells, vectors = _two_batches()
    made = screen(wells, vectors)("tvn_efaar")
    control = np.array([w["control_type"] == "negcon" for w in wells])
    batch = np.array([w["plate"] for w in wells])
    want = StandardScaler().fit(vectors[control]).transform(vectors)
    want = PCA().fit(want[control]).transform(want)
    for name in ("a", "b"):
        mine = batch == name
        want[mine] = StandardScaler().fit(want[mine & control]).transform(want[mine])
    target = np.cov(want[control].T) + 0.5 * np.eye(4)
    for name in ("a", "b"):
        own = np.cov(want[control & (batch == name)].T) + 0.5 * np.eye(4)
        want[batch == name] = want[batch == name] @ np.real(
            fractional_matrix_power(own, -0.5) @ fractional_matrix_power(target, 0.5)
        )
    np.testing.assert_allclose(made.vectors @ made.vectors.T, want @ want.T, atol=1e-8)


def test_too_few_controls_name_the_plate(screen) -> None:
    compute = screen(_wells(6, "bare", controls=0), np.ones((6, 3)))
    with pytest.raises(ProfileError, match="'bare' has 0 of the wells that mean_sd learns from"):
        compute("standardize")
    compute = screen(_wells(6, "bare", controls=1), np.ones((6, 3)))
    with pytest.raises(ProfileError, match="'s/b' has 1 of the wells that whiten learns from"):
        compute("spherize")


def test_clipping_limits_profiles(screen) -> None:
    vectors = np.random.default_rng(0).standard_t(1, size=(50, 3))
    compute = screen(_wells(50), vectors)
    free, clipped = compute("mad_robustize").vectors, compute("mad_robustize,clip=3").vectors
    assert np.abs(free).max() > 3
    np.testing.assert_array_equal(clipped, np.clip(free, -3, 3))


def test_missing_features_stay_missing_and_do_not_spoil_the_others(screen) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    vectors[4, 1] = np.nan
    made = screen(_wells(20), vectors)("mad_robustize")
    assert np.isnan(made.vectors).sum() == 1
    rest = np.delete(vectors[:, 1], 4)
    mad = np.median(np.abs(rest - np.median(rest)))
    np.testing.assert_allclose(
        np.delete(made.vectors[:, 1], 4), (rest - np.median(rest)) / (1.4826 * mad)
    )
    with pytest.raises(ProfileError, match="not finite, which whiten cannot use"):
        screen(_wells(20, controls=9), vectors)("spherize")


@pytest.mark.parametrize("average", ["mean", "median"])
def test_levels_average_what_they_say(screen, average: str) -> None:
    vectors = np.random.default_rng(2).normal(size=(20, 3))
    wells = _wells(20)
    made = screen(wells, vectors)(f"none,aggregate={average}", "treatment")
    for row, vector in zip(made.table.to_pylist(), made.vectors, strict=True):
        members = [
            v
            for w, v in zip(wells, vectors, strict=True)
            if (w["compound"], w["concentration_um"]) == (row["compound"], row["concentration_um"])
        ]
        assert row["num_members"] == len(members)
        assert (row["well"] is None) == (len(members) > 1)
        np.testing.assert_allclose(vector, getattr(np, average)(members, axis=0))
    assert len(made.vectors) == len({(w["compound"], w["concentration_um"]) for w in wells})


def test_wells_are_chosen_after_normalization(screen, tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).normal(size=(20, 3))
    (tmp_path / "odd.sql").write_text(
        "select * replace ('x' as moa) from raw_profile where compound <> 'DMSO'"
    )
    compute = screen(_wells(20), vectors)
    every, some = compute("mad_robustize"), compute(f"mad_robustize,wells={tmp_path}/odd.sql")
    assert some.dropped == {"not_chosen": 2}
    assert set(some.table["moa"].to_pylist()) == {"x"}
    np.testing.assert_array_equal(some.vectors, every.vectors[2:])


def test_statistics_are_applied_forward(screen, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    old, new = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 3)), rng.normal(size=(10, 3))
    text = "mad_robustize+spherize,controls=all"
    learnt = screen(_wells(40, "p"), old)(text)
    path = tmp_path / "statistics.parquet"
    named = dict.fromkeys(("model", "normalization", "level", "dataset"), "x")
    files.write_statistics(path, learnt.learnt, ["DNA"], named)
    known = files.read_statistics(path)
    got = screen(_wells(10, "p"), new)(text, "well", known)
    first, second = (k.map for k in learnt.learnt)
    np.testing.assert_array_equal(got.vectors, second.apply(first.apply(new)))
    again = screen(_wells(40, "p"), old)(text, "well", known)
    np.testing.assert_array_equal(again.vectors, learnt.vectors)
    # What is known of two plates says nothing of a third.
    two = screen(_wells(20, "p") + _wells(20, "q"), old)("mad_robustize").learnt
    with pytest.raises(ProfileError, match="statistics have no unit 'r'; they have p, q"):
        screen(_wells(10, "r"), new)("mad_robustize", "well", two)
    with pytest.raises(InputError, match="has no statistics"):
        files.read_statistics(Path(__file__))


@given(
    steps=st.lists(st.sampled_from(["mad_robustize", "spherize", "tvn"]), min_size=1, max_size=2),
    per=st.sampled_from([None, "plate", "batch"]),
    epsilon=st.one_of(st.none(), st.floats(0, 10)),
    select=st.lists(st.sampled_from(["na", "variance"]), unique=True),
)
def test_a_form_is_its_text(steps, per, epsilon, select) -> None:
    form = ProfileForm(tuple(steps), per=per, epsilon=epsilon, select=tuple(select))
    assert ProfileForm.parse(str(form)) == form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zscore", "unknown normalization 'zscore'; choose one of harmony, inverse_normal"),
        ("none+tvn", "combines none with a normalization"),
        ("mad_robustize,per=well", "unknown per 'well'; choose one of plate, batch, dataset"),
        ("mad_robustize,per", "write each option once, as key=value"),
        ("mad_robustize,colour=red", "unknown option of a normalization 'colour'"),
        ("mad_robustize,clip=-3", "clip is '-3'; it must be a positive number"),
        ("mad_robustize,controls=dmso", "unknown controls 'dmso'; choose one of all, trt, negcon"),
        ("mad_robustize,select=best", "unknown selection 'best'"),
        ("mad_robustize,wells=mine.sql", "no such file: 'mine.sql'"),
    ],
)
def test_a_text_that_names_no_form_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UnidinoError, match=message):
        ProfileForm.parse(text).wells_sql()


def test_fields_count_by_their_crops_or_alike(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    uri = lake.query("select uri from part where plate = 'tiny_b1_p1'").item()
    table = pq.read_table(lake.resolve(uri))
    field = table["field"].to_numpy()
    vectors = np.array(table["embedding"].to_pylist()) * field[:, None]
    schema = table.schema
    table = table.set_column(
        schema.get_field_index("num_crops"), "num_crops", pa.array(field * 3, pa.int32())
    ).set_column(
        schema.get_field_index("embedding"), "embedding", pa.array(list(vectors.astype(np.float32)))
    )
    pq.write_table(table, lake.resolve(uri))
    for fields, weights in (("crops", [3, 6]), ("equal", [1, 1])):
        (made,) = profile.profile(lake, Selection(normalize=f"none,fields={fields}"))
        well = files.load(lake, "gaussian", made.normalization, "well", "tiny").to_pylist()[0]
        mine = np.array([w == well["well"] for w in table["well"].to_pylist()])
        order = np.lexsort((field[mine], table["channel_index"].to_numpy()[mine]))
        own = vectors.astype(np.float32)[mine][order].reshape(3, 2, -1)
        want = (own * np.array(weights)[None, :, None]).sum(axis=1) / sum(weights)
        np.testing.assert_allclose(well["embedding"], want.ravel(), rtol=1e-6)
        assert well["channels"] == ["DNA", "Actin", "Tubulin"]


@pytest.mark.anywhere(remote="slow")
def test_any_channels_without_embedding_again(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    vectors = {}
    for text in ("mad_robustize", "mad_robustize,channels=DNA+Tubulin"):
        (made,) = profile.profile(lake, Selection(normalize=text))
        table = files.load(lake, "gaussian", made.normalization, "well", "tiny")
        vectors[text] = np.array(table["embedding"].to_pylist())
    assert table["channels"][0].as_py() == ["DNA", "Tubulin"]
    every, two = vectors.values()
    np.testing.assert_array_equal(two, np.delete(every, np.s_[384:768], axis=1))
    assert lake.query("select distinct normalization from profile order by 1").rows() == [
        ("mad_robustize",),
        ("mad_robustize,channels=DNA+Tubulin",),
    ]
    with pytest.raises(UnidinoError, match="unknown channel 'RNA'; choose one of DNA, Actin"):
        profile.profile(lake, Selection(normalize="mad_robustize,channels=RNA"))


@pytest.mark.anywhere
def test_profiles_are_made_once_and_anew_when_their_inputs_change(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian", plates=["tiny_b1_p1"])
    first = profile.profile(lake)
    assert [(p.num_profiles, p.is_new) for p in first] == [(6, True)]
    assert [(p.num_profiles, p.is_new) for p in profile.profile(lake)] == [(6, False)]
    embed(lake, "gaussian")
    assert [(p.num_profiles, p.is_new) for p in profile.profile(lake)] == [(12, True)]
    assert lake.query("select count(*), count(distinct plate) from profile").row(0) == (12, 2)
    assert lake.query("select count(*) from statistic").item() == 2


def test_wells_that_lack_a_channel_are_left_out_and_counted(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    lake.execute(
        "update image set qc = 'blank' where plate = 'tiny_b1_p1' and well = 'B02'"
        " and channel = 'Actin'"
    )
    embed(lake, "gaussian")
    made = profile.profile(lake)
    assert (made[0].num_profiles, made[0].dropped) == (11, {"missing_channel": 1})


@pytest.mark.anywhere(remote="slow")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalize": "zscore"}, "unknown normalization 'zscore'; choose one of harmony"),
        ({"level": "cell"}, "unknown level 'cell'"),
        ({"models": ["dino"]}, "unknown model 'dino'"),
        ({}, "nothing is embedded yet"),
        ({"models": ["gaussian"]}, "unidino embed --model gaussian --all"),
    ],
)
def test_what_cannot_be_profiled_is_named(lake: Lake, options, message: str) -> None:
    baselines.create_model(lake, "gaussian")
    with pytest.raises(UnidinoError, match=message):
        profile.profile(lake, Selection(**options))


@pytest.mark.parametrize(
    "selections",
    [
        ["na"],
        ["variance"],
        ["correlation"],
        ["blocklist"],
        ["na", "variance", "correlation", "blocklist"],
    ],
)
def test_selected_features_are_pycytominers(selections: list[str]) -> None:
    import pandas as pd
    from pycytominer import feature_select

    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 30))
    values[:, 5] = values[:, 4] + 0.1 * rng.normal(size=60)
    values[:, 9] = 2 * values[:, 8] + 0.3 * values[:, 4] + 0.1 * rng.normal(size=60)
    values[:, 10] = values[:, 8] + 0.3 * rng.normal(size=60)
    values[:, 12] = 3.0
    values[:, 13] *= 1e-4
    values[:4, 20], values[:3, 21] = np.nan, np.nan
    names = [f"Nuclei_AreaShape_{i}" for i in range(30)]
    names[25], names[26] = "Nuclei_Correlation_RWC_DNA_ER", "Nuclei_Granularity_14_ER"
    kept, dropped = select_features(values, names, selections)
    theirs = feature_select(
        pd.DataFrame(values, columns=names),
        features=names,
        operation=[
            {
                "na": "drop_na_columns",
                "variance": "variance_threshold",
                "correlation": "correlation_threshold",
            }.get(s, s)
            for s in selections
        ],
    )
    assert [names[k] for k in kept] == list(theirs.columns)
    assert list(dropped) == selections
    assert sum(dropped.values()) == 30 - len(kept) > 0
