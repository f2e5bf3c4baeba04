"""Profiles are the means and normalizations that the paper defines, to the digit."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from unidino import profiles, systems
from unidino.catalog import Lake, scratch
from unidino.embed import embed
from unidino.errors import ProfileError, UnidinoError


def _screen(wells: list[dict[str, object]], vectors: np.ndarray) -> object:
    """A connection with one channel's embeddings, one field and one crop a well."""
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
            "embedding": pa.array(vectors.tolist(), pa.list_(pa.float32())),
        }
    )
    con.register("embedding_rows", embedding)
    con.execute("create table embedding as from embedding_rows")
    con.register("well_rows", rows)
    con.execute(
        "create table plate as select distinct plate as plate_id, 'd' as dataset, 's' as source,"
        " plate as batch from well_rows"
    )
    con.execute("create table model as select 'm' as model, null::varchar[] as channels")
    con.execute("create table channel as select plate_id as plate, 0 as channel_index,"
                " 'DNA' as channel from plate")  # fmt: skip
    con.execute(
        "create table well as select *, null::varchar as perturbation, null::varchar as moa,"
        " null::varchar as target, null::varchar as cell_line from well_rows"
    )
    return con


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


def _compute(con, normalize: str, level: str = "well", **options):
    table, statistic, dropped = profiles.compute(
        con, "m", "d", normalize=normalize, level=level, **options
    )
    return np.array(table["embedding"].to_pylist()), table, statistic, dropped


def test_mad_robustize_equals_pycytominer(parity: Path) -> None:
    data = np.load(parity / "mad_robustize.npz")
    con = _screen(_wells(len(data["profiles"])), data["profiles"])
    got, *_ = _compute(con, "mad_robustize", epsilon=1e-18)
    want = data["normalized"]
    constant = 7
    others = np.delete(np.arange(want.shape[1]), constant)
    np.testing.assert_allclose(got[:, others], want[:, others], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(got[:, constant], want[:, constant], rtol=1e-6)
    plain, *_ = _compute(con, "mad_robustize")
    np.testing.assert_allclose(plain[:, others], want[:, others], rtol=2e-6, atol=1e-6)
    assert not plain[:, constant].any()


def test_plates_are_normalized_apart() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    vectors[20:] = vectors[20:] * 7 + 100
    con = _screen(_wells(20, "p1") + _wells(20, "p2"), vectors)
    got, table, statistic, _ = _compute(con, "mad_robustize")
    for plate, rows in (("p1", vectors[:20]), ("p2", vectors[20:])):
        median = np.median(rows, axis=0)
        mad = np.median(np.abs(rows - median), axis=0)
        mine = np.array(table["plate"].to_pylist()) == plate
        np.testing.assert_allclose(
            got[mine], (rows - median) / (1.4826 * mad), rtol=1e-4, atol=1e-5
        )
        row = statistic.filter(pa.array([p == plate for p in statistic["plate"].to_pylist()]))
        np.testing.assert_allclose(row["center"].to_pylist()[0], median, rtol=1e-6)
        np.testing.assert_allclose(row["spread"].to_pylist()[0], 1.4826 * mad, rtol=1e-6)


def test_standardize_gives_controls_mean_0_and_sd_1() -> None:
    vectors = np.random.default_rng(1).normal(5, 3, size=(30, 4)).astype(np.float32)
    con = _screen(_wells(30, controls=12), vectors)
    got, table, *_ = _compute(con, "standardize")
    controls = got[np.array(table["control_type"].to_pylist()) == "negcon"]
    np.testing.assert_allclose(controls.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(controls.std(axis=0), 1, atol=1e-6)


def test_standardize_without_controls_names_the_plate() -> None:
    con = _screen(_wells(6, "bare", controls=0), np.ones((6, 3), np.float32))
    with pytest.raises(ProfileError, match="plate 'bare' has no negcon well"):
        _compute(con, "standardize")


def test_levels_average_what_they_say() -> None:
    vectors = np.random.default_rng(2).normal(size=(20, 3)).astype(np.float32)
    wells = _wells(20)
    con = _screen(wells, vectors)
    got, table, *_ = _compute(con, "none", "treatment")
    for row, vector in zip(table.to_pylist(), got, strict=True):
        members = [
            v
            for w, v in zip(wells, vectors, strict=True)
            if (w["compound"], w["concentration_um"]) == (row["compound"], row["concentration_um"])
        ]
        assert row["num_members"] == len(members)
        assert (row["well"] is None) == (len(members) > 1)
        np.testing.assert_allclose(vector, np.mean(members, axis=0), rtol=1e-5, atol=1e-6)
    assert table.num_rows == len({(w["compound"], w["concentration_um"]) for w in wells})


def test_fields_count_by_their_crops(lake: Lake) -> None:
    systems.create(lake, "gaussian")
    embed(lake, "gaussian")
    with lake.snapshot() as con:
        con.execute("create table weighted as from embedding")
        con.execute("drop view embedding")
        con.execute("alter table weighted rename to embedding")
        con.execute("update embedding set num_crops = field * 3")
        con.execute(
            "update embedding set embedding = list_transform(embedding, lambda x: x * field)"
        )
        table, *_ = profiles.compute(con, "gaussian", "tiny", normalize="none", level="well")
        well = table.to_pylist()[0]
        rows = con.execute(
            "select channel_index, field, embedding from embedding where plate = $plate"
            " and well = $well order by all",
            {"plate": well["plate"], "well": well["well"]},
        ).fetchall()
    vectors = np.array([row[2] for row in rows]).reshape(3, 2, -1)
    want = (vectors * np.array([3, 6])[None, :, None]).sum(axis=1) / 9
    np.testing.assert_allclose(well["embedding"], want.ravel(), rtol=1e-5)
    assert well["channels"] == ["DNA", "Actin", "Tubulin"]


def test_profiles_are_made_once_and_anew_when_their_inputs_change(lake: Lake) -> None:
    systems.create(lake, "gaussian")
    embed(lake, "gaussian", plates=["tiny_b1_p1"])
    first = profiles.profile(lake)
    assert [(p.num_profiles, p.is_new) for p in first] == [(6, True)]
    assert [(p.num_profiles, p.is_new) for p in profiles.profile(lake)] == [(6, False)]
    embed(lake, "gaussian")
    assert [(p.num_profiles, p.is_new) for p in profiles.profile(lake)] == [(12, True)]
    assert lake.query("select count(*), count(distinct plate) from profile").row(0) == (12, 2)
    assert lake.query("select count(*) from statistic").item() == 2


def test_wells_that_lack_a_channel_are_left_out_and_counted(lake: Lake) -> None:
    systems.create(lake, "gaussian")
    lake.execute("update image set qc = 'blank' where plate = 'tiny_b1_p1' and well = 'B02'"
                 " and channel = 'Actin'")  # fmt: skip
    embed(lake, "gaussian")
    made = profiles.profile(lake)
    assert (made[0].num_profiles, made[0].dropped) == (11, {"missing_channel": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalize": "zscore"}, "unknown normalization 'zscore'; choose one of mad_robustize"),
        ({"level": "cell"}, "unknown level 'cell'"),
        ({"models": ["dino"]}, "unknown model 'dino'"),
        ({}, "nothing is embedded yet"),
        ({"models": ["gaussian"]}, "unidino embed --model gaussian --all"),
    ],
)
def test_what_cannot_be_profiled_is_named(lake: Lake, options, message: str) -> None:
    systems.create(lake, "gaussian")
    with pytest.raises(UnidinoError, match=message):
        profiles.profile(lake, **options)
