"""The server of the page: it answers only this machine and its own page, and only reads."""

import logging
import math
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import waitress
from dash import Dash
from flask import Flask, Response, request
from waitress.channel import HTTPChannel
from werkzeug.exceptions import BadRequest

from unidino import __version__
from unidino.core.errors import InputError, LakeError, UnidinoError, choose
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.callbacks import answers, picked, plate_and_map, sql, state, well
from unidino.explorer.guard import Keys, guard, line
from unidino.explorer.images import Layer, nearest_size
from unidino.explorer.layout.page import page
from unidino.explorer.query import FORMATS
from unidino.explorer.requests import malformed
from unidino.lake.lake import Lake

HOST = "127.0.0.1"
_THREADS = 16  # more than `apart` lets wait for SQL
# Of waitress. Connections that say nothing, or speak slowly, take no thread, and are ended.
_LIMITS = {
    "connection_limit": 500,
    "channel_timeout": 30,
    "cleanup_interval": 5,
    "max_request_header_size": 1 << 16,
    "max_request_body_size": 1 << 23,
    "outbuf_high_watermark": 1 << 40,  # no thread waits for a slow reader
    "asyncore_use_poll": True,
    "log_socket_errors": False,
}
_REQUEST_S = 30.0
_MOST = 1e9
_SHOWN = 40
_PIECE = 1 << 20
_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that ends if one request takes long to arrive."""

    _began = 0.0

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._began = time.monotonic()
        elif time.monotonic() - self._began > _REQUEST_S:
            self.will_close = True
        return bool(super().received(data))


class Server:
    """A server of the page over a lake.

    url: address of the page, with its token.
    """

    def __init__(self, lake: Lake, model: str | None, port: int) -> None:
        self.cached = CachedLake(lake)
        if model is not None:
            choose("model", model, self.cached.models())
        self._keys = Keys()
        self.app = make_app(self.cached, model, self._keys)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            self.app.server, sockets=[_bound(port)], threads=_THREADS, ident=None, **_LIMITS
        )
        self._server.channel_class = _Channel
        self.url = self._address(self._keys.token)
        self.cached.warm(model)

    def _address(self, token: str) -> str:
        return f"http://{HOST}:{self._server.effective_port}/?token={token}"

    def url_for_one_visit(self) -> str:
        """An address of the page that is of no use after it was opened once."""
        return self._address(self._keys.for_one_visit())

    def run(self) -> None:
        """Serve until the process is interrupted or the server is closed."""
        try:
            self._server.run()
        finally:
            self.cached.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.close()
        self.cached.close()


def _bound(port: int) -> socket.socket:
    """A socket that only this machine can reach.

    Raises InputError for a port that is in use.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
        bound.listen()
    except OSError as error:
        bound.close()
        raise InputError(
            f"port {port} cannot be served ({error.strerror}); choose another --port, or 0 for any"
            " free port"
        ) from error
    return bound


def make_app(cached: CachedLake, model: str | None = None, keys: Keys | None = None) -> Dash:
    """The application with its callbacks, routes and checks of requests.

    keys: the tokens of the page; None answers without one.
    """
    name = cached.lake.path.resolve().name
    server: Any = Flask("unidino.explorer.explore")
    app = Dash(
        "unidino.explorer.explore",
        server=server,
        assets_folder="assets",
        serve_locally=True,
        title=f"{name} – unidino",
        update_title="",
        suppress_callback_exceptions=True,
        add_log_handler=False,
        enable_mcp=False,
        on_error=_show_error,
    )
    app.layout = page(name)
    state.register(app, cached, model)
    plate_and_map.register(app, cached)
    well.register(app, cached)
    sql.register(app, cached)
    answers.register(app, cached)
    picked.register(app, cached)
    guard(server, keys, lambda: malformed(app))
    _routes(server, cached)
    return app


def _show_error(error: Exception) -> None:
    """Show an error on the page: the message of a UnidinoError, else that it is a bug."""
    from dash import set_props

    if isinstance(error, UnidinoError):
        line = str(error)
    else:
        logging.getLogger("unidino.explorer.explore").error("a callback failed", exc_info=error)
        line = f"This is a bug in unidino {__version__}: {error!r}; the terminal shows details."
    set_props("toast", {"children": line})


def _routes(server: Flask, cached: CachedLake) -> None:
    @server.get("/image")
    def image() -> Response:
        try:
            pixels = nearest_size(_number("size", 256, int))
            data = cached.images.png(
                _text("plate"),
                _text("well"),
                _number("field", 0, int),
                _text("channel"),
                size=pixels,
                low=_number("low", None, float),
                high=_number("high", None, float),
            )
        except (InputError, LakeError) as error:
            return line(str(error), 404)
        return _picture(data)

    @server.get("/composite")
    def composite() -> Response:
        try:
            data = cached.images.composite(
                _text("plate"),
                _text("well"),
                _number("field", 0, int),
                [_layer(text) for text in request.args.getlist("layer")],
                size=nearest_size(_number("size", 256, int)),
            )
        except (InputError, LakeError) as error:
            return line(str(error), 404)
        return _picture(data)

    @server.get("/download")
    def download() -> Response:
        try:
            kind = choose("format", _text("format"), FORMATS)
            path = cached.rows_file(_text("query"), kind)
        except UnidinoError as error:
            return line(str(error), 404)
        file = path.open("rb")
        path.unlink()  # the open file is enough
        answer = Response(_pieces(file), mimetype=_TYPES[kind])
        answer.headers.set(
            "Content-Disposition", "attachment", filename=f"query-{_text('query')[:8]}.{kind}"
        )
        return answer


def _picture(data: bytes) -> Response:
    response = Response(data, mimetype="image/png")
    # The address contains the plate's hash, so a changed image has another address.
    lasts = "private, max-age=86400" if request.args.get("v") else "no-cache"
    response.headers["Cache-Control"] = lasts
    return response


def _layer(text: str) -> Layer:
    """Colour, window and channel of a layer, such as `blue:100:2000:DNA`; a window may be empty."""
    colour, low, high, channel = (text.split(":", 3) + [""] * 3)[:4]
    try:
        ends = [float(end) if end else None for end in (low, high)]
    except ValueError as error:
        raise BadRequest(f"layer '{text[:_SHOWN]}' has no window of numbers") from error
    if any(end is not None and not abs(end) <= _MOST for end in ends):
        raise BadRequest(f"layer '{text[:_SHOWN]}' has no window of numbers")
    return channel, colour, ends[0], ends[1]


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _text(name: str) -> str:
    value = request.args.get(name)
    if not value:
        raise BadRequest(f"the address lacks {name}")
    return value


def _number(name: str, default: Any, kind: Callable[[str], Any]) -> Any:
    value = request.args.get(name)
    if value is None:
        return default
    try:
        number = kind(value)
    except ValueError:
        number = math.nan
    if not abs(number) <= _MOST:
        raise BadRequest(f"{name} '{value[:_SHOWN]}' is not a number")
    return number
