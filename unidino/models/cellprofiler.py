"""Classical features of segmented nuclei and cells, named as by CellProfiler.

Shapes: C channels, H rows, W columns of a field in pixels; N objects; D entries of a vector.
Source: Carpenter et al. 2006, "CellProfiler: image analysis software for identifying and
quantifying cell phenotypes", doi 10.1186/gb-2006-7-10-r100; measured with Muñoz et al. 2025,
"cp_measure: API-first feature extraction for image-based profiling workflows", arXiv 2507.01163.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import expand_labels, watershed

from unidino.core.errors import ModelError
from unidino.core.statistics import median_and_mad
from unidino.models.features import (
    NUM_DIMS,
    OBJECTS,
    TEXTURE_SCALE_PX,
    WITH_SPREAD,
    group_names,
)
from unidino.models.kinds import CORRELATION, SHAPE

Image = NDArray[Any]
Labels = NDArray[np.int32]

Group = dict[str, float]

_MOST_CHANNELS = 8
_NUCLEAR = r"dna|dapi|hoechst|nucle(?!ol)|draq|h2b|sytox|histone"
# The place of an object in the field, and its rotation, say nothing about a cell.
_PLACE = re.compile(r"Location|Center|BoundingBox(M|_)|Orientation|Moment|Inertia|Phase|Slope")


def segment(nuclear: Image, cellular: Image | None) -> tuple[Labels, Labels]:
    """Labels 1..N (H, W) of nuclei and of their cells, 0 elsewhere; a cell has its nucleus's label.

    nuclear, cellular: (H, W), any type and scale; without `cellular`, cells are nuclei grown by
    half a diameter. Nuclei cut by the field's border are kept. Both are 0 where there is no object.
    """
    nuclei, diameter = segment_nuclei(nuclear)
    if cellular is None or not nuclei.any():
        return nuclei, expand_labels(nuclei, diameter / 2).astype(np.int32)
    smooth = ndimage.gaussian_filter(_scaled(cellular), max(1.0, diameter / 15))
    # Cytoplasm is far dimmer than its brightest parts, so the threshold is found on logarithms.
    logarithm = np.log(smooth + 0.02)
    lit = logarithm > threshold_otsu(logarithm)
    near = ndimage.distance_transform_edt(nuclei == 0) < 2 * diameter
    inside = (lit & near) | (nuclei > 0)
    return nuclei, watershed(-smooth, nuclei, mask=inside).astype(np.int32)


def segment_nuclei(nuclear: Image) -> tuple[Labels, float]:
    """Labels 1..N (H, W) of nuclei, 0 elsewhere, and the diameter of the usual one in pixels."""
    plane = _scaled(nuclear)
    diameter = nuclear_diameter(plane)
    mask = _foreground(ndimage.gaussian_filter(plane, max(1.0, diameter / 15)))
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(mask, iterations=1))
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), diameter / 20) * mask
    # A lobe counts as a separate nucleus where the neck is narrower by this share of a diameter.
    markers = label(h_maxima(depth, 0.04 * diameter)) if mask.any() else np.zeros_like(mask, int)
    return _large(watershed(-depth, markers, mask=mask)), diameter


def nuclear_diameter(plane: Image) -> float:
    """Diameter of the usual nucleus of a plane (H, W), in pixels; 1 if it shows none."""
    return _diameter(_foreground(ndimage.gaussian_filter(_scaled(plane), 1.5)))


def _scaled(plane: Image) -> NDArray[np.float64]:
    """A plane in [0, 1]: 0.1st..99.9th percentile, clamped; 0 if these percentiles are equal."""
    low, high = np.percentile(plane, [0.1, 99.9])
    if high <= low:
        return np.zeros(plane.shape)
    scaled: NDArray[np.float64] = np.clip((plane - low) / (high - low), 0, 1)
    return scaled


def _foreground(plane: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a plane (H, W) is brighter than Otsu's threshold; nowhere if it is only noise."""
    mask: NDArray[np.bool_] = plane > threshold_otsu(plane)
    if not mask.any():
        return mask
    background = plane[~mask]
    middle, spread = median_and_mad(background)
    # Halves of Gaussian noise or of a ramp are 2.3 and 2.7 spreads apart.
    return mask if np.median(plane[mask]) - middle > 4 * spread else np.zeros_like(mask)


def _diameter(mask: NDArray[np.bool_]) -> float:
    """Twice the inscribed radius of the component of the median foreground pixel.

    The median over pixels, not over components, is not misled by specks; the inscribed radius is
    not misled by clumps.
    """
    components, count = ndimage.label(mask)
    if not count:
        return 1.0
    radii = np.zeros(count + 1)
    np.maximum.at(radii, components[mask], ndimage.distance_transform_edt(mask)[mask])
    return 2 * _weighted_median(radii[1:], np.bincount(components.ravel())[1:])


def _weighted_median(values: NDArray[Any], weights: NDArray[Any]) -> float:
    """The value at which half of the weight is reached."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _large(labels: NDArray[Any]) -> Labels:
    """Labels 1..N without objects of less than 16 pixels or a quarter of the median area.

    The median is taken over foreground pixels, so that many specks do not lower it.
    """
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    if not areas.any():
        return np.zeros(labels.shape, np.int32)
    keep = areas >= max(16.0, _weighted_median(areas, areas) / 4)
    numbers = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    large: Labels = numbers[labels]
    return large


def nuclear_channel(
    channels: Sequence[str], option: str = "when you create the model: --nuclei NAME"
) -> str:
    """The channel that shows nuclei, by its name. option: that names it, for messages.

    Raises ModelError if none does, or several do.
    """
    found = [name for name in channels if re.search(_NUCLEAR, name, re.IGNORECASE)]
    if len(found) == 1:
        return found[0]
    problem = (
        f"both {' and '.join(found)} may show nuclei"
        if found
        else f"no channel's name says that it shows nuclei ({', '.join(channels)})"
    )
    raise ModelError(f"{problem}; name the channel {option}")


def measure(
    planes: Image, channels: Sequence[str], nuclei: str
) -> dict[str, NDArray[np.float32]] | None:
    """Vectors (D,) by group: each channel, `Shape`, and `Correlation` of several channels.

    planes: (C, H, W), 8 or 16 bit, of up to 8 channels; nuclei: the channel that shows nuclei;
    cells are segmented on the mean of the others. Entries are medians over the field's objects, in
    the order of `features.group_names`; zeros fill up shorter groups and undefined entries.
    None for a field without objects. Raises ModelError if cp_measure is not installed or measures
    other features, or if the nuclear channel is not among the channels.
    """
    groups = _groups(planes, channels, nuclei)
    if groups is None:
        return None
    vectors = {}
    for group, names in group_names(channels).items():
        features = groups[group]
        if tuple(features) != names:
            other = sorted(set(features) ^ set(names))[:4]
            raise ModelError(
                f"this version of cp_measure has other features of {group}: {', '.join(other)};"
                " install the version that unidino was tested with"
            )
        vector = np.zeros(NUM_DIMS, np.float32)
        vector[: len(features)] = np.nan_to_num(list(features.values()), posinf=0, neginf=0)
        vectors[group] = vector
    return vectors


def _groups(planes: Image, channels: Sequence[str], nuclei: str) -> dict[str, Group] | None:
    """Measured features of each group by name; None for a field without objects."""
    try:
        from cp_measure.bulk import get_core_measurements, get_correlation_measurements
    except ImportError as error:
        raise ModelError(
            "the CellProfiler system needs cp_measure: pip install 'unidino[cellprofiler]'"
        ) from error
    if nuclei not in channels or len(channels) > _MOST_CHANNELS:
        raise ModelError(
            f"CellProfiler features need the nuclear channel and at most {_MOST_CHANNELS} in all;"
            f" the nuclear channel is '{nuclei}', the channels are {', '.join(channels)}"
        )
    others = [_scaled(p) for p, name in zip(planes, channels, strict=True) if name != nuclei]
    labels = segment(planes[list(channels).index(nuclei)], np.mean(others, 0) if others else None)
    if not labels[0].any():
        return None
    # cp_measure expects values in 0..1: CellProfiler divides images by their type's maximum.
    values = planes / np.iinfo(planes.dtype).max
    core = get_core_measurements(sanitize=False)
    pairs = get_correlation_measurements(sanitize=False)
    objects = dict(zip(OBJECTS, labels, strict=True))
    groups: dict[str, Group] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of divisions by 0, whose results are skipped
        for name, plane in zip(channels, values, strict=True):
            measured: Group = {}
            for kind, mask in objects.items():
                measured |= _aggregated(core["intensity"](mask, plane), f"{kind}_", f"_{name}")
                angles = core["texture"](mask, plane, scale=TEXTURE_SCALE_PX)
                measured |= _aggregated(_mean_of_angles(angles), f"{kind}_Texture_", f"_{name}")
                radial = core["radial_distribution"](mask, plane)
                measured |= _aggregated(radial, f"{kind}_", f"_{name}")
            granular = core["granularity"](labels[1], plane)
            groups[name] = measured | _aggregated(granular, "Cells_", f"_{name}")
        shape: Group = {"Nuclei_Count": float(labels[0].max())}
        for kind, mask in objects.items():
            for module in ("sizeshape", "feret", "zernike"):
                shape |= _aggregated(core[module](mask, None), f"{kind}_AreaShape_", "")
        groups[SHAPE] = shape
        if len(channels) > 1:
            correlation: Group = {}
            for (a, first), (b, second) in combinations(
                sorted(zip(channels, values, strict=True), key=lambda c: c[0]), 2
            ):
                for kind, mask in objects.items():
                    both = pairs["pearson"](first, second, mask)
                    both |= {"Correlation_Overlap": _overlap(first, second, mask)}
                    correlation |= _aggregated(both, f"{kind}_", f"_{a}_{b}")
            groups[CORRELATION] = correlation
    return groups


def _aggregated(measured: Mapping[str, Any], prefix: str, suffix: str) -> Group:
    """Medians over objects by name; of some features the median absolute deviation too."""
    aggregated: Group = {}
    for name, values in measured.items():
        if _PLACE.search(name):
            continue
        numbers = np.asarray(values, np.float64)
        numbers = numbers[np.isfinite(numbers)]
        middle = float(np.median(numbers)) if numbers.size else 0.0
        aggregated[f"{prefix}{name}{suffix}"] = middle
        if name in WITH_SPREAD:
            spread = float(np.median(np.abs(numbers - middle))) if numbers.size else 0.0
            aggregated[f"{prefix}{name}_MAD{suffix}"] = spread
    return aggregated


def _mean_of_angles(texture: Mapping[str, Any]) -> dict[str, Any]:
    """Haralick features, as `Contrast_3`, averaged over the angles of `Contrast_3_00_256`."""
    by_name: dict[str, list[Any]] = {}
    for name, values in texture.items():
        by_name.setdefault(name.rsplit("_", 2)[0], []).append(values)
    return {name: np.nanmean(angles, axis=0) for name, angles in by_name.items()}


def _overlap(first: Image, second: Image, mask: Labels) -> NDArray[np.float64]:
    """Manders' overlap of two planes in each object: the cosine of their values."""
    index = np.arange(1, mask.max() + 1)
    product, a, b = (ndimage.sum(v, mask, index) for v in (first * second, first**2, second**2))
    overlap: NDArray[np.float64] = np.divide(product, np.sqrt(a * b))
    return overlap
