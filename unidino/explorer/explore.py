"""A page over a lake: plates, a map of profiles, wells with their images and neighbours, SQL.

`wells`, `vectors`, `images` and `query` say what is shown, `held` keeps it between requests,
`colors`, `figures`, `panels` and `layout` how it looks; `where`, `close_up` and `ask` are the
callbacks, thin over functions that need no browser; `server` answers to this machine only.
"""

from typing import TYPE_CHECKING

from unidino.lake.lake import Lake

if TYPE_CHECKING:
    from unidino.explorer.server import Server


def explore(lake: Lake, *, model: str | None = None, port: int = 8050) -> "Server":
    """A server of the page; its `url` is known, and `run` serves until it is interrupted.

    model: shown first; default the first that has profiles. port: 0 takes any that is free.
    Raises UnidinoError for an unknown model, InputError for a port that is taken.
    """
    from unidino.explorer.server import Server

    return Server(lake, model, port)
