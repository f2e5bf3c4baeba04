"""Profiles whose last normalization is fitted anew to the profiles that are selected."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import ProfileError
from unidino.core.sql import scratch
from unidino.core.vectors import matrix_of, vector_column
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


def fitted(table: pa.Table, form: ProfileForm) -> pa.Table:
    """The selected profiles, with the last step of their form fitted to them.

    table: a row for each profile, normalized by the steps before; see `before_fit`.
    """
    con = scratch(assets.texts("normalize", "covariates"))
    try:
        rows = table.drop_columns(["embedding"])
        con.register("raw_profile", rows.append_column("row_id", pa.array(range(len(rows)))))
        units, names = unit_codes(con, form)
    finally:
        con.close()
    vectors = matrix_of(table["embedding"]).astype(np.float64)
    mixed = harmonized(vectors, units, names)
    if form.clip is not None:
        np.clip(mixed, -form.clip, form.clip, out=mixed)
    place = table.column_names.index("embedding")
    kept = mixed.astype(table["embedding"].type.value_type.to_pandas_dtype())
    table = table.set_column(place, "embedding", vector_column(kept))
    at = table.column_names.index("normalization")
    named = pa.array([str(form)] * len(table), pa.string())
    return table.set_column(at, "normalization", named.cast(table["normalization"].type))
