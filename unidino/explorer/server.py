"""The server of the page: it answers only this machine and its own page, and only reads."""

import logging
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import waitress
from dash import Dash
from flask import Flask, Response, request

from unidino import __version__
from unidino.core.errors import InputError, LakeError, UnidinoError, choose
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.callbacks import plate_and_map, sql, state, well
from unidino.explorer.images import nearest_size
from unidino.explorer.layout.page import page
from unidino.explorer.query import FORMATS, file_of
from unidino.lake.lake import Lake

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_THREADS = 8
# Dash would answer every other path with the page.
_PATHS = ("/", "/image", "/download", "/_favicon.ico")
_FOLDERS = ("/assets/", "/_dash-")
# Dash starts from a script inside the page; plotly compiles functions from text for WebGL.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
    " worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self';"
    " form-action 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Server:
    """A server of the page over a lake.

    url: address of the page.
    """

    def __init__(self, lake: Lake, model: str | None, port: int) -> None:
        self.cached = CachedLake(lake)
        if model is not None:
            choose("model", model, self.cached.models())
        self.app = make_app(self.cached, model)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            self.app.server, sockets=[_bound(port)], threads=_THREADS, ident=None
        )
        self.url = f"http://{HOST}:{self._server.effective_port}/"
        self.cached.warm(model)

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


def make_app(cached: CachedLake, model: str | None = None) -> Dash:
    """The application with its callbacks, routes and checks of requests."""
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
    _guard(server)
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


def _guard(server: Flask) -> None:
    """Refuse requests from elsewhere, and send headers that keep browsers to this page."""

    @server.before_request
    def refuse() -> Response | None:
        host = urlsplit(f"//{request.host}").hostname or ""
        if host not in ("127.0.0.1", "localhost", "::1"):
            return _line(f"host '{host}' is not served; use one of {', '.join(_NAMES)}", 403)
        if not (request.path in _PATHS or request.path.startswith(_FOLDERS)):
            return _line(f"there is nothing at '{request.path}'", 404)
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return _line("requests from other pages are refused", 403)
        is_visit = request.method == "GET" and request.path == "/"
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            is_visit = is_visit and request.headers.get("Sec-Fetch-Mode") == "navigate"
            if not is_visit:
                return _line("requests from other pages are refused", 403)
        return None

    @server.after_request
    def keep(response: Response) -> Response:
        for header, value in _HEADERS.items():
            response.headers.setdefault(header, value)
        return response

    @server.errorhandler(404)
    def missing(_error: Exception) -> Response:
        return _line(f"there is nothing at '{request.path}'", 404)


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
            return _line(str(error), 404)
        response = Response(data, mimetype="image/png")
        # The address contains the plate's hash, so a changed image has another address.
        lasts = "private, max-age=86400" if request.args.get("v") else "no-cache"
        response.headers["Cache-Control"] = lasts
        return response

    @server.get("/download")
    def download() -> Response:
        try:
            kind = choose("format", _text("format"), FORMATS)
            query = cached.query(_text("query"))
            pieces = file_of(cached.lake, query, kind)
            first = next(pieces, b"")
        except UnidinoError as error:
            return _line(str(error), 404)

        def stream() -> Any:
            yield first
            yield from pieces

        types = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
        name = f"query-{_text('query')[:8]}.{kind}"
        return Response(
            stream(),
            mimetype=types[kind],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def _text(name: str) -> str:
    value = request.args.get(name)
    if not value:
        raise InputError(f"the address lacks {name}")
    return value


def _number(name: str, default: Any, kind: Callable[[str], Any]) -> Any:
    value = request.args.get(name)
    if value is None:
        return default
    try:
        number = kind(value)
    except ValueError as error:
        raise InputError(f"{name} '{value}' is not a number") from error
    if number != number or abs(number) == float("inf"):
        raise InputError(f"{name} '{value}' is not a number")
    return number


def _line(text: str, status: int) -> Response:
    return Response(f"{text}\n", status=status, mimetype="text/plain")
