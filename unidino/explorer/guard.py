"""Who is answered: the page itself, in a browser that knows its token; all others get one line.

The token is in the address that the command shows. The first visit keeps it as a cookie, so that
other users of this machine, and other sites in the same browser, are not answered.
"""

from collections.abc import Callable
from secrets import compare_digest, token_urlsafe
from urllib.parse import urlsplit

from dash.exceptions import DependencyException
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from unidino.core.text import cell

_NAMES = ("127.0.0.1", "localhost", "[::1]")
_HOSTS = ("127.0.0.1", "localhost", "::1")
# Dash would answer every other path with the page.
_PATHS = ("/", "/image", "/composite", "/download", "/_favicon.ico")
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
_UNKNOWN = "open the address that `unidino explore` printed: it has the token of this page"


class Keys:
    """The token of a page, and tokens for one visit each.

    Other users see the command line of a browser that is started, so a token in it must be worth
    nothing after the first visit.
    """

    def __init__(self) -> None:
        self.token = token_urlsafe(24)
        self._for_one_visit: set[str] = set()

    def for_one_visit(self) -> str:
        """A new token that opens the page once."""
        token = token_urlsafe(24)
        self._for_one_visit.add(token)
        return token

    def fit(self, given: str | None) -> bool:
        """Whether a token opens the page."""
        if not given:
            return False
        if given in self._for_one_visit:
            self._for_one_visit.discard(given)
            return True
        return compare_digest(given.encode(errors="replace"), self.token.encode())


def line(text: str, status: int) -> Response:
    """An answer of one line of text."""
    return Response(f"{cell(text)}\n", status=status, mimetype="text/plain")


def guard(server: Flask, keys: Keys | None, malformed: Callable[[], str | None]) -> None:
    """Refuse requests from elsewhere, and send headers that keep browsers to this page.

    keys: None answers without a token. malformed: what is wrong with the present request, if its
    form is.
    """

    @server.before_request
    def refuse() -> Response | None:
        try:
            return _refused(keys) or _said(malformed())
        except ValueError as error:  # of urlsplit
            return line(f"a header is malformed: {error}", 400)

    @server.after_request
    def keep(response: Response) -> Response:
        for header, value in _HEADERS.items():
            response.headers.setdefault(header, value)
        if keys is not None and g.get("is_first_visit"):
            response.set_cookie(_cookie(), keys.token, httponly=True, samesite="Strict")
        return response

    @server.errorhandler(HTTPException)
    def said(error: HTTPException) -> Response:
        if error.code == 404:
            return _nothing()
        return line(error.description or error.name, error.code or 500)

    @server.errorhandler(DependencyException)  # a file that is no part of Dash
    def missing(_error: Exception) -> Response:
        return _nothing()


def _said(wrong: str | None) -> Response | None:
    return line(wrong, 400) if wrong else None


def _cookie() -> str:
    # A browser sends cookies to all ports of a host, and several pages may be open.
    return f"unidino-{request.environ.get('SERVER_PORT', '')}"


def _refused(keys: Keys | None) -> Response | None:
    host = urlsplit(f"//{request.host}").hostname or ""
    if host not in _HOSTS:
        return line(f"host '{host}' is not served; use one of {', '.join(_NAMES)}", 403)
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return line("requests from other pages are refused", 403)
    is_visit = request.method == "GET" and request.path == "/"
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        is_visit = is_visit and request.headers.get("Sec-Fetch-Mode") == "navigate"
        if not is_visit:
            return line("requests from other pages are refused", 403)
    if keys is not None and not keys.fit(request.cookies.get(_cookie())):
        if not keys.fit(request.args.get("token")):
            return line(_UNKNOWN, 403)
        g.is_first_visit = True
    if not (request.path in _PATHS or request.path.startswith(_FOLDERS)):
        return _nothing()
    return None


def _nothing() -> Response:
    return line(f"there is nothing at '{request.path}'", 404)
