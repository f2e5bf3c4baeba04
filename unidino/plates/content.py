"""What images and wells a manifest holds, for the account of a command."""

from difflib import get_close_matches

from unidino.core import assets
from unidino.core.account import Account, listed, number_of
from unidino.core.sql import Connection, first_row

_NO_NEGCON = (
    "no well is a negative control (negcon): --normalize with controls=negcon, whiten, spherize and"
    " tvn cannot learn; name the compound by --negcon, or add a column control_type"
)
_DEFAULT = "DMSO"
_SHOWN_PLATES = 3


def say_content(con: Connection, account: Account) -> None:
    """Say the plates and wells, and the channels by index and name, of `image_list`."""
    say_wells(con, account)
    for num_plates, channels in con.execute(assets.sql("queries", "channel_sets")).fetchall():
        named = ", ".join(f"{index} {name}" for index, name in channels)
        plates = "1 plate" if num_plates == 1 else f"{num_plates} plates"
        account.say("channels", f"{named} ({plates})")


def say_wells(con: Connection, account: Account, *, fields: bool = True) -> None:
    """Say the plates, fields and concentrations of `image_list`, and its wells by control type.

    fields: whether its rows are fields.
    """
    plates, fewest, most, lowest, highest = first_row(con, assets.sql("queries", "extent"))
    account.say("plates", f"{len(plates)}: {_ends(plates)}")
    if fields:
        account.say("fields", f"{fewest if fewest == most else f'{fewest} to {most}'} a well")
    if highest is not None:
        of = f"{lowest:.6g}" if lowest == highest else f"{lowest:.6g} to {highest:.6g}"
        account.say("doses", f"{of} uM")
    wells = con.execute(assets.sql("queries", "wells_by_control")).fetchall()
    account.say("wells", ", ".join(f"{num} {control}" for control, num in wells))
    if "negcon" not in (control for control, _ in wells):
        account.say("controls", _NO_NEGCON)
    differing = con.execute(assets.sql("queries", "differing_extra")).fetchall()
    if differing:
        column, _, example = differing[0]
        account.say(
            "extra",
            "not the same in all rows of a well, which keeps what its first row says:"
            f" {listed(column for column, *_ in differing)} ({column} is {example})",
        )


def _ends(plates: list[str]) -> str:
    """The first names and the last one."""
    if len(plates) <= _SHOWN_PLATES:
        return ", ".join(plates)
    return f"{', '.join(plates[: _SHOWN_PLATES - 1])}, ..., {plates[-1]}"


def say_negcon(con: Connection, account: Account, negcon: str) -> None:
    """Say which wells of `typed` are controls by their compound, and which may be meant to be.

    negcon: the compound that is the negative control where no control type is stated.
    """
    rows = con.execute(assets.sql("queries", "derived_control"), {"negcon": negcon}).fetchall()
    compounds = {compound: num for compound, num, _, _ in rows}
    chosen = {compound: num for compound, num, is_negcon, _ in rows if is_negcon}
    for compound, num in chosen.items():
        account.say(
            "controls", f"{number_of(num, 'well')} of {compound}: negcon by the compound (--negcon)"
        )
    if rows and not chosen and negcon != _DEFAULT:
        folded = {compound.lower(): compound for compound in compounds}
        near = get_close_matches(negcon.lower(), folded, 1, 0.7)
        hint = f"; one has {folded[near[0]]}" if near else ""
        account.warn("controls", f"no well has the compound {negcon} of --negcon{hint}")
    odd = [
        f"{c} ({number_of(num, 'well')})"
        for c, num, is_negcon, may in rows
        if may and not is_negcon
    ]
    if odd:
        account.warn(
            "controls",
            f"{listed(odd)} are read as treatments (trt); if they are controls or empty, state it"
            " in a column control_type, or name the compound by --negcon",
        )
