"""The raw profiles that a user's query of `wells=` chooses, as rows of the table `raw_profile`."""

import pyarrow as pa
import pyarrow.compute as pc

from unidino.core.errors import InputError

# A query may change these columns or leave them out; the others say which profile a row is.
_ANNOTATION = {
    *("perturbation", "compound", "concentration_um", "control_type", "moa", "target"),
    *("cell_line", "source", "batch"),
}

_ADVICE = "start from `select * from raw_profile`"


def chosen_rows(profiles: pa.Table, chosen: pa.Table, what: str) -> pa.Table:
    """The chosen rows in the types of all profiles.

    what: the option that gave the query, for messages.
    Raises InputError if the query gave other columns, or rows that are no profiles.
    """
    for name in chosen.column_names:
        if name not in profiles.column_names:
            raise InputError(f"{what}: its result has another column, '{name}'; {_ADVICE}")
    columns = {}
    for field in profiles.schema:
        if field.name not in chosen.column_names:
            if field.name in _ANNOTATION:
                continue
            raise InputError(f"{what}: its result lacks the column '{field.name}'; {_ADVICE}")
        try:
            columns[field.name] = chosen[field.name].cast(field.type)
        except pa.ArrowException as error:
            kind = chosen[field.name].type
            raise InputError(f"{what}: {field.name} is {kind}, not {field.type}") from error
    rows = columns["row_id"]
    if len(rows.unique()) < len(rows) or not _are_in(rows, profiles["row_id"]):
        raise InputError(f"{what}: row_id must stay as it is in raw_profile, each at most once")
    for name, column in columns.items():
        is_identity = name not in _ANNOTATION and not profiles[name].null_count
        if is_identity and column.null_count:
            raise InputError(f"{what}: {name} is missing in a row of its result")
    return pa.table(columns)


def _are_in(values: pa.ChunkedArray, known: pa.ChunkedArray) -> bool:
    return pc.all(pc.is_in(values, known.combine_chunks())).as_py() is not False
