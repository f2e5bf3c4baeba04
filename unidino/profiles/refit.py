"""Profiles whose last normalization is fitted anew to the profiles that are selected."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import ProfileError
from unidino.core.sql import scratch
from unidino.profiles.form import REFIT, ProfileForm
from unidino.profiles.harmony import harmonized
from unidino.profiles.selection import Selection
from unidino.profiles.steps import unit_codes

_WELLS = ("well", "field")


def narrows(selection: Selection) -> bool:
    """Whether only some profiles are selected, and their normalization has to be fitted to them."""
    is_narrow = bool(selection.where) or selection.compounds is not None
    return is_narrow and bool(set(REFIT) & set(selection.form.steps))


def before_fit(selection: Selection) -> Selection:
    """The selection with the steps before the one that is fitted anew.

    Raises ProfileError if that is not the last step, or works on wells that are then averaged.
    """
    form = selection.form
    name = form.steps[-1]
    if name not in REFIT or set(REFIT) & set(form.steps[:-1]):
        (name, *_) = [step for step in form.steps if step in REFIT]
        raise ProfileError(
            f"{name} is fitted to the selected profiles, so it must be the last step of"
            f" '{selection.normalize}' where --where or compounds select some"
        )
    if selection.level not in _WELLS or form.select or form.wells:
        raise ProfileError(
            f"{name} is fitted to the selected wells: with --where it needs --level well, and no"
            " select= or wells="
        )
    before = replace(form, steps=form.steps[:-1], clip=None)
    return replace(selection, normalize=str(before))


def fitted(
    table: pa.Table, vectors: NDArray[Any], form: ProfileForm
) -> tuple[pa.Table, NDArray[Any]]:
    """The selected profiles and their vectors (N, D), with the last step of a form fitted to them.

    table: a row for each profile. vectors: (N, D), normalized by the steps before; see
    `before_fit`.
    """
    con = scratch(assets.texts("normalize", "covariates"))
    try:
        con.register("raw_profile", table.append_column("row_id", pa.array(range(len(table)))))
        units, names = unit_codes(con, form)
    finally:
        con.close()
    mixed = harmonized(vectors.astype(np.float64), units, names)
    if form.clip is not None:
        np.clip(mixed, -form.clip, form.clip, out=mixed)
    at = table.column_names.index("normalization")
    named = pa.array([str(form)] * len(table), pa.string())
    table = table.set_column(at, "normalization", named.cast(table["normalization"].type))
    return table, mixed.astype(vectors.dtype)
