"""Names of plates become names of files: they land, or are refused with a way to rename them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sampled import slow

from unidino.core.errors import InputError
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates import odd_names
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

Write = Callable[..., Path]


def _plates(lake: Lake) -> list[str]:
    return lake.query("select plate_id from plate order by all")["plate_id"].to_list()


@pytest.mark.parametrize(
    "odd",
    [
        ["Plate #3", "a?b", "a*", "[1]", "it's", 'say "x"', "~a", "日本", "x" * 150],
        *slow(["{x}", "100%", "end.", "CON", "a=b", "a,b", "a::b", "$HOME"]),
        *slow(["a;b", "Zo\u0308e", "&amp;", "a?b", "[1]"]),
    ],
)
def test_names_land_and_their_vectors_are_read(
    new_lake: Lake, write_manifest: Write, odd: list[str]
) -> None:
    from unidino.embeddings.embed import embed
    from unidino.models import baselines

    # No name may be a pattern that also matches the files of another plate.
    names = [*odd, "ax", "axb", "1", "x"]
    manifest = write_manifest(*({"channel": "DNA", "plate": name} for name in names))
    ingest(new_lake, manifest)
    assert len(_plates(new_lake)) == len(names)
    assert ingest(new_lake, manifest).landed == ()
    baselines.create_model(new_lake, "gaussian")
    embed(new_lake, "gaussian")
    found = new_lake.query("select plate from embedding order by all")["plate"].to_list()
    assert found == _plates(new_lake)
    assert check(new_lake) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../p", "may not be named '../../p'"),
        ("a\\b", r"may not be named 'a\\b'"),
        ("old~", "may not be named 'old~'"),
        *slow(
            ("a/b", "may not be named 'a/b'"),
            (".hidden", "may not be named '.hidden'"),
            ("..", "may not be named '..'"),
        ),
        ("a\tb", r'may not be named "a\\tb": marks that do not show'),
        ("a\u200bb", r'may not be named "a\?b": marks that do not show'),
        ("x" * 300, "has 300 bytes; 150 are allowed"),
        ("é" * 80, "has 160 bytes; 150 are allowed"),
    ],
)
def test_a_name_that_cannot_be_a_file_is_refused_and_renamed(
    name: str, shown: str, new_lake: Lake, write_manifest: Write, tmp_path: Path
) -> None:
    manifest = write_manifest({"channel": "DNA", "plate": name}, {"channel": "RNA", "plate": name})
    with pytest.raises(InputError, match=shown) as no:
        ingest(new_lake, manifest)
    assert "--plate-names OLD=NEW" in str(no.value)
    assert "\n" not in str(no.value)
    assert no.value.details == ()
    assert not list(tmp_path.glob("*.zarr"))
    ingest(new_lake, manifest, choice=Choice(plate_names=[f"{name}=good"]))
    assert _plates(new_lake) == ["good"]


def test_plates_of_good_names_land_if_asked(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest(
        *({"channel": "DNA", "plate": "a/b", "well": f"A0{n}"} for n in (1, 2, 3)),
        {"channel": "DNA", "plate": "fine"},
    )
    done = ingest(new_lake, manifest, allow_incomplete=True)
    assert done.landed == ("fine",)
    assert len(done.problems) == 1


def test_a_dataset_that_cannot_be_a_file_is_refused(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest({"channel": "DNA"})
    with pytest.raises(InputError, match=r"column dataset.*'\.\./up'.*by --dataset"):
        ingest(new_lake, manifest, dataset="../up")


def test_several_plates_are_renamed_at_once(
    new_lake: Lake, write_manifest: Write, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    manifest = write_manifest(*({"channel": "DNA", "plate": p} for p in ("a", "b", "c,=d", "e")))
    status, _, said = run_cli(
        *("ingest", manifest, "--lake", new_lake.path),
        *("--plate-names", "a=b, b=a", "--plate-names", "c,=d=f"),
    )
    assert (status, said.count("error")) == (0, 0)
    files = new_lake.query("select plate, origin from image order by all").rows()
    assert [(plate, Path(file).name) for plate, file in files] == [
        ("a", "1.tif"),
        ("b", "0.tif"),
        ("e", "3.tif"),
        ("f", "2.tif"),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nix=X", "--plate-names nix=X: no plate and no folder of images.*the plates are a, b"),
        ("a", "--plate-names 'a': write OLD=NEW"),
        ("a=", "--plate-names 'a=': write OLD=NEW"),
        ("a=b", "would make one plate 'b' of a and b"),
        ("a=x/y", "may not be named 'x/y'"),
    ],
)
def test_a_renaming_that_cannot_be_is_refused(
    given: str, message: str, new_lake: Lake, write_manifest: Write
) -> None:
    manifest = write_manifest(*({"channel": "DNA", "plate": p} for p in ("a", "b")))
    with pytest.raises(InputError, match=message):
        ingest(new_lake, manifest, choice=Choice(plate_names=[given]))
    assert _plates(new_lake) == []


def test_two_measurements_of_a_plate_are_refused_and_one_is_renamed_by_its_folder(
    new_lake: Lake, write_manifest: Write
) -> None:
    rows = [
        {"channel": c, "well": w, "path": f"{m}/Images/{w}{c}.tif"}
        for m in ("first", "second")
        for w in ("A01", "A02")
        for c in ("DNA", "RNA")
    ]
    manifest = write_manifest(*rows)
    with pytest.raises(InputError, match="plate 'p' has the same wells and fields in two") as no:
        ingest(new_lake, manifest)
    assert "two folders, 'first' and 'second'" in str(no.value)
    assert "--plate-names 'second=p_2'" in str(no.value)
    ingest(new_lake, manifest, choice=Choice(plate_names=["second=p_2"]))
    assert _plates(new_lake) == ["p", "p_2"]
    origins = new_lake.query("select distinct plate, split(origin, '/')[-3] from image order by 1")
    assert origins.rows() == [("p", "first"), ("p_2", "second")]


def test_rows_that_are_repeated_in_a_folder_are_no_measurement(
    new_lake: Lake, write_manifest: Write
) -> None:
    manifest = write_manifest({"channel": "DNA"}, {"channel": "DNA"}, {"channel": "DNA"})
    with pytest.raises(InputError, match="is named 3 times"):
        ingest(new_lake, manifest)


def test_names_that_differ_by_case_are_said(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest(*({"channel": "DNA", "plate": p} for p in ("P1", "p1")))
    ingest(new_lake, manifest)
    assert "plate 'p1' is new, beside a plate 'P1'" in caplog.text
    assert "some disks take such names for one" in caplog.text
    assert _plates(new_lake) == ["P1", "p1"]


def test_names_that_differ_by_case_are_refused_on_a_disk_that_confuses_them(
    new_lake: Lake, write_manifest: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(new_lake, write_manifest({"channel": "DNA", "plate": "P1"}))
    monkeypatch.setattr(odd_names, "_ignores_case", lambda folder: True)
    manifest = write_manifest({"channel": "DNA", "plate": "p1"}, folder="other")
    with pytest.raises(InputError, match=r"takes such names for one.*--plate-names"):
        ingest(new_lake, manifest)
    assert _plates(new_lake) == ["P1"]


def test_plates_written_as_floats_are_those_of_the_lake(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest({"channel": "DNA", "plate": "1053601756"})
    table = manifest.parent / "batches.csv"
    table.write_text("plate,batch\n1053601756.0,b7\n")
    ingest(new_lake, manifest, metadata=[table])
    assert new_lake.query("select plate_id, batch from plate").rows() == [("1053601756", "b7")]
    assert "every plate is a number with a fraction, such as 1053601756.0" in caplog.text
