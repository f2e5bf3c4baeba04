"""The simulator: names and tables, determinism, one planted channel a mechanism, doses, batches."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from simulated_files import csv_rows, tiff_pixels

from unidino.core.errors import InputError, UnidinoError
from unidino.simulation.optics import batch_optics
from unidino.simulation.screens import SCREENS, Screen, Treatment
from unidino.simulation.simulate import image_name, render_field, simulate_screen

SMALL = Screen(
    name="small",
    channels=("DNA", "Actin", "Tubulin"),
    mechanisms={"topoisomerase inhibitor": "DNA", "rho activator": "Actin"},
    compounds_per_mechanism=1,
    concentrations_um=(10.0,),
    num_controls=1,
    plates_per_batch=1,
    rows="BC",
    columns=(2, 3),
)
SIZE_PX = 96


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    simulate_screen(folder, SMALL, seed=3, jobs=1, size_px=SIZE_PX)
    return folder


def test_screens_plant_every_mechanism_in_one_channel() -> None:
    for screen in SCREENS.values():
        assert len(screen.compounds) == 12
        assert len(screen.treatments) == len(screen.wells) == 30
        assert set(screen.mechanisms.values()) == set(screen.channels)
        assert list(screen.plates.values()) == [1, 1, 2, 2]
        per_moa = [sum(c.moa == moa for c in screen.compounds) for moa in screen.mechanisms]
        assert per_moa == [2] * 6


def test_files_are_named_like_an_export_and_hold_16_bits(export: Path) -> None:
    assert image_name("B02", 1, 1) == "r02c02f01p01-ch1sk1fk1fl1.tiff"
    files = sorted(export.rglob("*.tiff"))
    assert len(files) == 2 * 3 * 2 * 3  # plates, used wells, fields, channels
    assert {path.parent.relative_to(export).as_posix() for path in files} == {
        "small_b1_p1/Images",
        "small_b2_p1/Images",
    }
    for path in files:
        plane = tifffile.imread(path)
        assert plane.dtype == np.uint16
        assert plane.shape == (SIZE_PX, SIZE_PX)
        assert plane.min() < 1000 < plane.max() < 65535


def test_tables_name_every_well_and_the_truth(export: Path) -> None:
    wells = csv_rows(export / "platemap.csv")
    assert list(wells[0]) == [
        "plate",
        "well",
        "compound",
        "concentration_um",
        "control_type",
        "moa",
    ]
    assert len(wells) == 6
    controls = [row for row in wells if row["control_type"] == "negcon"]
    assert {(r["compound"], r["concentration_um"], r["moa"]) for r in controls} == {
        ("DMSO", "0", "")
    }
    assert {r["moa"] for r in wells if r["control_type"] == "trt"} == set(SMALL.mechanisms)
    assert csv_rows(export / "plates.csv") == [
        {"plate": "small_b1_p1", "batch": "1", "source": "simulator"},
        {"plate": "small_b2_p1", "batch": "2", "source": "simulator"},
    ]
    truth = json.loads((export / "truth.json").read_text(encoding="utf-8"))
    assert truth["mechanisms"] == dict(SMALL.mechanisms)
    assert truth["batch_optics"]["1"]["DNA"] == asdict(batch_optics(SMALL, 3)[1]["DNA"])


def test_pixels_depend_on_the_seed_alone(export: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    simulate_screen(
        tmp_path / "again",
        SMALL,
        seed=3,
        jobs=3,
        size_px=SIZE_PX,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert tiff_pixels(tmp_path / "again") == tiff_pixels(export)
    assert calls == [(done, 12) for done in range(1, 13)]
    plates = ["small_b2_p1"]
    count = simulate_screen(
        tmp_path / "one", SMALL, seed=3, size_px=SIZE_PX, plates=plates, num_fields=1
    )
    assert count == 9
    assert tiff_pixels(tmp_path / "one").items() <= tiff_pixels(export).items()
    simulate_screen(tmp_path / "other", SMALL, seed=4, size_px=SIZE_PX, plates=plates)
    other, same = tiff_pixels(tmp_path / "other"), tiff_pixels(export)
    assert all(other[name] != same[name] for name in other.keys() & same.keys())


@pytest.mark.parametrize("name", SCREENS)
def test_a_mechanism_changes_its_own_channel_and_no_other(name: str) -> None:
    screen = SCREENS[name]
    plate = f"{name}_b1_p1"
    control = render_field(screen, plate, "C04", 1, Treatment(), size_px=128)
    for compound in screen.compounds:
        treated = render_field(screen, plate, "C04", 1, Treatment(compound, 10.0), size_px=128)
        changed = [
            c
            for c, a, b in zip(screen.channels, control, treated, strict=True)
            if not np.array_equal(a, b)
        ]
        assert changed == [screen.mechanisms[compound.moa]]


def test_the_effect_grows_with_the_dose() -> None:
    screen = SCREENS["sim3"]
    compound = next(c for c in screen.compounds if c.moa == "rho activator")
    actin = screen.channels.index("Actin")
    doses = [Treatment(), *(Treatment(compound, um) for um in (1.0, 10.0, 100.0))]
    planes = [render_field(screen, "sim3_b1_p1", "C04", 1, dose)[actin] for dose in doses]
    change = [float(np.std(plane - planes[0].astype(float))) for plane in planes]
    assert change == sorted(change)
    assert change[2] > 1.3 * change[1] > 0
    assert [round(dose.strength, 2) for dose in doses] == [0.0, 0.4, 0.87, 0.99]


def test_batches_differ_for_any_seed_and_can_be_switched_off() -> None:
    for seed in range(3):
        first, second = batch_optics(SCREENS["sim3"], seed).values()
        assert all(abs(first[c].blur_px - second[c].blur_px) > 0.9 for c in first)
    first, second = batch_optics(replace(SCREENS["sim3"], batch_effect=0.0), 0).values()
    assert first == second


def test_what_cannot_be_simulated_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnidinoError, match="unknown plate 'small_b9_p1'; choose one of small_b1"):
        simulate_screen(tmp_path, SMALL, plates=["small_b9_p1"])
    with pytest.raises(InputError, match="30 treatments and controls in 6 wells of 'sim3'"):
        simulate_screen(tmp_path, replace(SCREENS["sim3"], rows="B"))
