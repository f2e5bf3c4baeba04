"""A page over a lake: plates, a map of profiles, wells with their images and neighbours, SQL.

`wells`, `profile_sets`, `images` and `query` read the data, and `cached_lake` keeps it in memory.
`colours`, `figures`, `panels` and `layout` make the page. `views` computes what is shown,
`callbacks` connects it to the page, and `server` answers requests of this machine only.
"""

from typing import TYPE_CHECKING

from unidino.lake.lake import Lake

if TYPE_CHECKING:
    from unidino.explorer.server import Server


def explore(lake: Lake, *, model: str | None = None, port: int = 8050) -> "Server":
    """A server of the page: `url` is its address, and `run` serves until it is interrupted.

    model: shown first; default the first that has profiles. port: 0 takes any free port.
    Raises UnidinoError for an unknown model, InputError for a port that is in use.
    """
    from unidino.explorer.server import Server

    return Server(lake, model, port)
