"""Simulated planes: determinism, variety, stains that follow their cells, crops that resemble."""

import numpy as np
import pytest
from numpy.typing import NDArray

from unidino.simulation.crowd import HABITS, draw_crowd
from unidino.simulation.planes import FAMILIES, Plane, render_plane
from unidino.simulation.scene import Pen, Scene

SIZE_PX = 96


@pytest.fixture(scope="module")
def planes() -> list[Plane]:
    return [render_plane(5, index, SIZE_PX) for index in range(150)]


def test_a_plane_depends_on_seed_and_index_alone(planes: list[Plane]) -> None:
    again = render_plane(5, 40, SIZE_PX)
    np.testing.assert_array_equal(again.counts, planes[40].counts)
    assert again.traits == planes[40].traits
    assert not np.array_equal(render_plane(6, 40, SIZE_PX).counts, again.counts)


def test_planes_are_counts_of_one_channel(planes: list[Plane]) -> None:
    for plane in planes:
        assert plane.counts.dtype == np.uint16
        assert plane.counts.shape == (SIZE_PX, SIZE_PX)
    assert np.mean([plane.counts.std() > 0 for plane in planes]) > 0.95
    saturated = [np.mean(plane.counts == plane.counts.max()) > 0.05 for plane in planes]
    assert np.mean(saturated) < 0.15


def test_planes_vary(planes: list[Plane]) -> None:
    traits = [plane.traits for plane in planes]
    assert {trait.family for trait in traits} == set(FAMILIES)
    assert len({trait.habit for trait in traits}) == 6
    low, high = np.quantile([trait.occupied for trait in traits], [0.1, 0.9])
    assert low < 0.35
    assert high > 0.85
    low, high = np.quantile([trait.diameter_px for trait in traits], [0.1, 0.9])
    assert low < 35
    assert high > 90
    assert 0.6 < np.mean([trait.artefact == "none" for trait in traits]) < 0.95
    assert np.mean([trait.blank for trait in traits]) < 0.1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_every_stain_shows_in_cells(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = Scene(draw_crowd(rng, 128, HABITS["round"], 40.0, 0.4), 128, rng)
    drawn = FAMILIES[family](Pen(scene, rng))
    inside = scene.cell < scene.crowd.num
    assert 0.05 < inside.mean() < 0.9
    assert drawn[inside].mean() > 0.03
    assert np.corrcoef(drawn[1:].ravel(), drawn[:-1].ravel())[0, 1] > 0.4  # no noise
    if family != "matrix":  # which lies around the cells, too
        assert drawn[inside].mean() > 2 * drawn[~inside].mean()


def test_crops_of_one_plane_resemble_each_other() -> None:
    def spectra(crops: list[NDArray[np.uint16]]) -> NDArray[np.float64]:
        """Relative power of five octaves of each crop, standardized."""
        cut = np.stack(crops).astype(float)
        cut -= cut.mean(axis=(1, 2), keepdims=True)
        power = np.abs(np.fft.rfft2(cut)) ** 2
        at = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(96))
        bands = [(at > edge / 2) & (at <= edge) for edge in (0.03, 0.06, 0.12, 0.25, 0.5)]
        octaves = np.log(np.stack([power[:, band].mean(axis=1) for band in bands], axis=1) + 1e-9)
        steps = np.diff(octaves, axis=1)
        return (steps - steps.mean(axis=0)) / steps.std(axis=0)

    fields = [render_plane(8, index, 200).counts for index in range(60)]
    first = spectra([field[:96, :96] for field in fields])
    second = spectra([field[-96:, -96:] for field in fields])
    gap = np.linalg.norm(first[:, None] - second[None], axis=2)
    closer = (gap < np.diag(gap)[:, None]).mean(axis=1)
    assert np.median(closer) < 0.25
