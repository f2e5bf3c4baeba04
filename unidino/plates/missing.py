"""Images that fields lack: not taken, or not chosen by --z or --timepoint; absent if asked."""

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection

# What can be done about fields that lack channels.
NEXT_STEP = (
    "; mend it, leave channels out by --drop-channels, pass --absent-channels to land these fields"
    " with the missing images as absent, or --allow-incomplete to land the fields that are whole"
)
Parameters = dict[str, int | None]


def find_single_slices(con: Connection, chosen: Parameters) -> None:
    """Create the table `single_slice`: see `single_slice.sql`; says which channels are in it.

    chosen: z and timepoint, or None.
    """
    con.execute(f"create table single_slice as {assets.sql('queries', 'single_slice')}", chosen)
    for plate, channel, num in con.execute(
        "select plate, channel, count(*) from single_slice group by all order by all"
    ).fetchall():
        log.warning(
            f"plate {plate}: channel {channel} has no slice {chosen['z']}; its one slice a field is"
            f" kept beside that of the other channels ({num} images)"
        )


def find_unchosen(con: Connection, chosen: Parameters, *, absent_channels: bool) -> None:
    """Create the table `unchosen`: see `unchosen_image.sql`; says what of it no check refuses.

    chosen: z and timepoint, or None. absent_channels: leave out a channel that no field of its
    plate has, with a warning.
    Raises InputError for such a channel otherwise.
    """
    con.execute(f"create table unchosen as {assets.sql('queries', 'unchosen_image')}", chosen)
    _check_whole_channels(con, absent_channels=absent_channels)
    lost = con.execute(
        "select distinct on (plate, well, field) plate, well, field, lacks from unchosen"
        " anti join manifest using (plate, well, field) order by all"
    ).fetchall()
    if lost:
        plate, well, field, lacks = lost[0]
        log.warning(
            f"{len(lost)} fields are left out, such as plate {plate} well {well} field {field},"
            f" which has no {lacks}"
        )


def _check_whole_channels(con: Connection, *, absent_channels: bool) -> None:
    """Refuse or say channels of which no field of their plate has an image left."""
    gone = con.execute(
        "select plate, channel, min(lacks) from unchosen semi join manifest using (plate)"
        " anti join (select distinct plate, channel from manifest) using (plate, channel)"
        " group by all order by all"
    ).fetchall()
    if gone and not absent_channels:
        plate, channel, lacks = gone[0]
        more = f" (and {len(gone) - 1} more channels)" if len(gone) > 1 else ""
        raise InputError(
            f"channel {channel} of plate {plate} has no {lacks}{more}; leave it out by"
            f" --drop-channels '{channel}', or choose another --z or --timepoint"
        )
    for plate, channel, lacks in gone:
        log.warning(f"plate {plate}: channel {channel} is left out; it has no {lacks}")


def add_absent(con: Connection) -> None:
    """Add a row without a file to `manifest` for each image that a field lacks; says how many."""
    con.execute(f"create temp table absent as {assets.sql('queries', 'absent_image')}")
    found = con.execute("select plate, well, field, channel from absent order by all").fetchall()
    if found:
        plate, well, field, channel = found[0]
        num_fields = len({row[:3] for row in found})
        log.warning(
            f"{len(found)} images of {num_fields} fields are absent, such as channel {channel} of"
            f" plate {plate} well {well} field {field}"
        )
        con.execute("insert into manifest from absent")
    con.execute("drop table absent")


def say_uneven_stacks(con: Connection) -> None:
    """Say which images of `manifest` lack slices that others of their channel have."""
    for plate, channel, num, num_all, well, field, lacks in con.execute(
        assets.sql("queries", "uneven_stack")
    ).fetchall():
        log.warning(
            f"plate {plate}: {num} of {num_all} images of channel {channel} lack slices that others"
            f" have, such as well {well} field {field}, which has {lacks}; they are kept as they"
            " are"
        )


def say_same_planes(con: Connection) -> None:
    """Say which planes of `manifest` several fields list."""
    found = con.execute(
        f"select path, fields, count(*) over () from ({assets.sql('queries', 'same_plane')})"
        " order by path limit 1"
    ).fetchall()
    if found:
        path, fields, num = found[0]
        log.warning(
            f"{num} images are listed for several fields, so they count more than once: '{path}'"
            f" is of {' and '.join(fields[:2])}"
        )
