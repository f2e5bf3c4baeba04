"""What a straight line in a covariate explains is subtracted from raw profiles.

Shapes: N profiles, D features.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import ProfileError
from unidino.core.sql import Connection
from unidino.profiles.form import ProfileForm
from unidino.profiles.methods import Affine, Array
from unidino.profiles.normalize import Learnt

STEP = 0
METHOD = "line"
_LEAST = 3  # teaching profiles; two lie on a line


def without_covariate(
    con: Connection, raw: Array, form: ProfileForm, known: Sequence[Learnt]
) -> tuple[Array, list[Learnt]]:
    """Residuals (N, D) of a line in the covariate of the form, and the line of each unit.

    con: has the table raw_profile. raw: (N, D), changed in place; NaN where a value is missing.
    known: lines that were learnt before and are applied. A line is `centre` at 0 cells and
    `matrix`, (D, 1), the change with each cell; where the covariate does not vary, it is the mean.
    Raises ProfileError if a profile has no covariate, or a unit too few teaching ones.
    """
    assert form.regress is not None
    rows = con.execute(
        f"{assets.sql('covariates', form.regress)} order by row_id",
        {"per": form.per, "controls": form.controls},
    ).fetchnumpy()
    covariate = np.ma.filled(np.ma.asarray(rows["covariate"], dtype=np.float64), np.nan)
    units, teaches = np.asarray(rows["unit"]).astype(str), np.asarray(rows["teaches"], dtype=bool)
    _refuse_missing(form.regress, covariate, units)
    lines = {k.unit: k for k in known if k.step == STEP}
    if known and not lines:
        raise ProfileError(
            f"the statistics were learnt without regress={form.regress}; leave it out, or learn"
            " anew"
        )
    learnt = []
    for unit in np.unique(units):
        of_unit = np.flatnonzero(units == unit)
        if lines:
            found = lines.get(unit) or (next(iter(lines.values())) if len(lines) == 1 else None)
            if found is None:
                have = ", ".join(sorted(lines)[:5])
                raise ProfileError(f"the statistics have no unit '{unit}'; they have {have}")
        else:
            teaching = of_unit[teaches[of_unit]]
            if len(teaching) < _LEAST:
                raise ProfileError(
                    f"'{unit}' has {len(teaching)} of the wells that regress={form.regress} learns"
                    f" from; {_LEAST} are needed; choose other controls, or per=dataset"
                )
            line = _line(covariate[teaching], raw[teaching])
            found = Learnt(STEP, METHOD, str(unit), len(teaching), line)
        assert found.map.matrix is not None
        raw[of_unit] -= found.map.centre + covariate[of_unit, None] * found.map.matrix[:, 0]
        learnt.append(found)
    return raw, learnt


def _refuse_missing(name: str, covariate: Array, units: NDArray[np.str_]) -> None:
    missing = np.isnan(covariate)
    if missing.any():
        unit = units[missing][0]
        raise ProfileError(
            f"regress={name}: {int(missing.sum())} of {len(missing)} wells have no {name}, such as"
            f" one of '{unit}'; count cells by `unidino count-cells`, or import a table that has"
            " them"
        )


def _line(covariate: Array, profiles: Array) -> Affine:
    """The least-squares line of each feature; missing values are left out, feature by feature."""
    there = ~np.isnan(profiles)
    num = np.maximum(there.sum(axis=0), 1)
    x = np.where(there, covariate[:, None], 0.0)
    y = np.where(there, profiles, 0.0)
    mean_x, mean_y = x.sum(axis=0) / num, y.sum(axis=0) / num
    x_from_mean = np.where(there, covariate[:, None] - mean_x, 0.0)
    spread = (x_from_mean**2).sum(axis=0)
    product = (x_from_mean * np.where(there, profiles - mean_y, 0.0)).sum(axis=0)
    # Equal counts have no spread but rounding.
    flat = spread <= 1e-12 * num * np.maximum(mean_x**2, 1.0)
    slope = np.where(flat, 0.0, product / np.where(flat, 1.0, spread))
    centre = mean_y - slope * mean_x
    return Affine(centre, np.ones_like(centre), slope[:, None])
