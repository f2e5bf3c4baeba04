"""A page over a lake: plates, a map, wells with images and neighbours, dose, quality, cells, SQL.

`wells`, `profile_sets`, `images` and `query` read the data, and `cached_lake` keeps it in memory.
`colours`, `composite`, `figures`, `panels`, `pictures`, `tables` and `layout` make the page.
`views`, `beside`, `dose`, `quality`, `cells` and `picked` compute what is shown,
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
