"""What images and wells a manifest holds, for the account of a command."""

from unidino.core import assets
from unidino.core.account import Account
from unidino.core.sql import Connection

_NO_NEGCON = (
    "no well is a negative control (negcon): --normalize with controls=negcon, whiten, spherize and"
    " tvn cannot learn; name the compound by --negcon, or add a column control_type"
)


def say_content(con: Connection, account: Account) -> None:
    """Say the wells by control type, and the channels by index and name, of `image_list`."""
    say_wells(con, account)
    for num_plates, channels in con.execute(assets.sql("queries", "channel_sets")).fetchall():
        named = ", ".join(f"{index} {name}" for index, name in channels)
        plates = "1 plate" if num_plates == 1 else f"{num_plates} plates"
        account.say("channels", f"{named} ({plates})")


def say_wells(con: Connection, account: Account) -> None:
    """Say the wells of `image_list` by control type."""
    wells = con.execute(assets.sql("queries", "wells_by_control")).fetchall()
    account.say("wells", ", ".join(f"{num} {control}" for control, num in wells))
    if "negcon" not in (control for control, _ in wells):
        account.say("controls", _NO_NEGCON)
