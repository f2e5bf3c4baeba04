"""Channels of the images: which name each has, in every field of a plate the same."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from unicodedata import normalize

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection

if TYPE_CHECKING:
    from unidino.plates.manifest import Choice

Slot = tuple[int | None, list[str]]  # index of a channel, and the names that the images give it


def name_channels(con: Connection, choice: "Choice") -> None:
    """Create the table `named_channel` of the rows in `typed`: see `manifest_channel.sql`.

    Raises InputError if --channel-names does not fit the channels, or if a name or an index means
    two channels.
    """
    slots: list[Slot] = con.execute(assets.sql("queries", "channel_slot")).fetchall()
    names = _composed(choice.channel_names)
    con.execute(
        f"create table named_channel as {assets.sql('queries', 'manifest_channel')}",
        {
            "channel_names": names,
            "by_rank": _counts_channels(names, slots),
            "channels": _patterns(choice.channels),
            "drop_channels": _patterns(choice.drop_channels),
            "keep_index": choice.keep_index,
        },
    )
    if names:
        _check_names_of_indices(con, names)
    _refuse_equal_names(con, slots)
    _check_order(con, keep_index=choice.keep_index)
    _say_unmatched(con, "--channels", choice.channels)
    _say_unmatched(con, "--drop-channels", choice.drop_channels)
    _say_lost_fields(con)


def two_names_hint(con: Connection) -> str:
    """Advice if an index of a plate has several names, which may mean one channel; else empty."""
    slots: list[Slot] = con.execute(assets.sql("queries", "channel_slot")).fetchall()
    found = con.execute(
        "select plate, given_index, list(distinct channel order by channel) as names"
        " from named_channel where is_kept and given_index is not null"
        " group by plate, given_index having len(names) > 1 order by all limit 1"
    ).fetchall()
    if not found:
        return ""
    plate, index, names = found[0]
    return (
        f" (channel {index} of plate {plate} is named {' and '.join(names)}; if these are one"
        f" channel, name it by {_naming(slots)})"
    )


def _composed(names: Iterable[str]) -> list[str]:
    """Names as the manifest has them: trimmed, and in Unicode's composed form."""
    return [normalize("NFC", name.strip()) for name in names]


def _counts_channels(names: list[str], slots: list[Slot]) -> bool:
    """Whether there is a name for each channel, else for each index from the first to the last.

    Raises InputError if there is neither, or if a name is empty or given twice.
    """
    indices = [index for index, _ in slots if index is not None]
    if not names or len(names) == len(slots):
        fits = True
    else:
        fits = len(indices) == len(slots) and len(names) == max(indices) - min(indices) + 1
    if not fits:
        raise InputError(
            f"--channel-names has {len(names)} names ({', '.join(names)}), but the images have"
            f" {len(slots)} channels: {_listed(slots)}; give one name for each, in this order"
        )
    for name in names:
        if not name or names.count(name) > 1:
            what = f"the name '{name}' twice" if name else "an empty name"
            raise InputError(f"--channel-names has {what}; give each channel a name of its own")
    return len(names) == len(slots)


def _check_names_of_indices(con: Connection, names: list[str]) -> None:
    """Raise InputError if the images name their channels, but by other indices here and there.

    A new name goes by index, so it would then be given to different channels.
    """
    by_index: dict[int, set[str]] = {}
    by_name: dict[str, set[int]] = {}
    given = con.execute(
        "select distinct given_index, given_channel from named_channel"
        " where given_index is not null and given_channel is not null order by all"
    ).fetchall()
    for index, name in given:
        by_index.setdefault(index, set()).add(name)
        by_name.setdefault(name, set()).add(index)
    for index, found in by_index.items():
        listed = " and ".join(sorted(found))
        moved = next((name for name in sorted(found) if len(by_name[name]) > 1), None)
        if len(found) > 1 and moved is not None:
            raise InputError(
                f"--channel-names goes by index, but channel {index} is named {listed} in different"
                f" fields or plates, and {moved} has the indices"
                f" {' and '.join(map(str, sorted(by_name[moved])))}; leave --channel-names out, so"
                " that channels are matched by their names, or ingest plates of one order at a time"
            )
        if len(found) > 1:
            log.warning(
                f"channel {index} is named {listed} by the images; --channel-names makes it one"
                " channel"
            )


def _refuse_equal_names(con: Connection, slots: list[Slot]) -> None:
    """Raise InputError if a field has a name twice."""
    found = con.execute(assets.sql("queries", "equal_channel_name")).fetchall()
    if found:
        plate, name, well, field, indices = found[0]
        raise InputError(
            f"plate {plate} has {len(indices)} channels of the name {name} (indices"
            f" {', '.join(map(str, indices))}; well {well} field {field}); tell them apart by"
            f" {_naming(slots)}"
        )


def _check_order(con: Connection, *, keep_index: bool) -> None:
    """Say if an index of a plate has several names, or a name several indices; names count.

    keep_index: raise InputError instead, because the index says where the pixels are.
    """
    found = con.execute(assets.sql("queries", "channel_order")).fetchall()
    if found and keep_index:
        plate, index = found[0][:2]
        places = [
            f"{name} in {num} fields (such as well {well} field {number})"
            for other, where, name, num, well, number in found
            if (other, where) == (plate, index)
        ]
        raise InputError(
            f"--in-place needs the same channels at the same index in every field; channel {index}"
            f" of plate {plate} is {' and '.join(places)}; copy the plate, without --in-place"
        )
    indices: dict[tuple[str, str], set[int]] = {}
    names: dict[tuple[str, int], set[str]] = {}
    for plate, index, name, *_ in found:
        indices.setdefault((plate, name), set()).add(index)
        names.setdefault((plate, index), set()).add(name)
    moved = {key for key, listed in indices.items() if len(listed) > 1}
    for plate in dict.fromkeys(plate for plate, _ in sorted(moved)):
        listed = ", ".join(sorted(name for other, name in moved if other == plate))
        log.warning(
            f"plate {plate}: the index of {listed} differs between fields; channels are matched by"
            " their names"
        )
    for (plate, index), given in names.items():
        if len(given) > 1 and not any((plate, name) in moved for name in given):
            log.warning(
                f"plate {plate}: index {index} is of the channels {' and '.join(sorted(given))};"
                " they are told apart by their names"
            )


def _patterns(names: Iterable[str]) -> list[str]:
    """Patterns of names in which `*` and `?` alone stand for others."""
    return [re.sub(r"[\[\\]", r"[\g<0>]", name) for name in _composed(names)]


def _say_unmatched(con: Connection, option: str, names: Sequence[str]) -> None:
    """Say which names or patterns of an option no channel has, and which channels there are."""
    unmatched = [
        name
        for name, pattern in zip(_composed(names), _patterns(names), strict=True)
        if not con.execute(
            "select 1 from named_channel where channel glob $pattern limit 1", {"pattern": pattern}
        ).fetchall()
    ]
    if unmatched:
        found = con.execute(
            "select distinct channel from named_channel where channel is not null order by all"
        ).fetchall()
        log.warning(
            f"{option}: the images have no channel {', '.join(unmatched)}; they have"
            f" {', '.join(name for (name,) in found)}"
        )


def _say_lost_fields(con: Connection) -> None:
    """Say which fields are left out, because none of their channels is kept."""
    found = con.execute(
        f"select *, count(*) over () from ({assets.sql('queries', 'lost_field')}) order by all"
        " limit 1"
    ).fetchall()
    if found:
        plate, well, field, names, num = found[0]
        log.warning(
            f"{num} fields are left out, because none of their channels is kept, such as plate"
            f" {plate} well {well} field {field} ({names})"
        )


def _listed(slots: list[Slot]) -> str:
    """Channels as `1 DAPI, 2 FITC/Cy5, 3`."""
    return ", ".join(
        " ".join(([] if index is None else [str(index)]) + (["/".join(names)] if names else []))
        for index, names in slots
    )


def _naming(slots: list[Slot]) -> str:
    example = ",".join(f"NAME{number}" for number in range(1, len(slots) + 1))
    return f"--channel-names {example}, one name for each of {_listed(slots)}"
