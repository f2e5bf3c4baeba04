"""A file from an address: continued where a connection breaks, and checked by its hash.

The client is Python's own urllib: a file or two need no other package. Addresses are https; http is
for this machine only.
"""

import http.client
import math
import time
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from unidino.core.errors import InputError
from unidino.core.files import file_sha256
from unidino.core.log import log
from unidino.core.progress import progress_bar

_PAUSES_S = (1.0, 2.0, 4.0)  # between tries
_TIMEOUT_S = 60
_BUSY = (429, 500, 502, 503, 504)  # answers of a server that may answer otherwise later
_PIECE_BYTES = 1 << 20
_MB = 1_000_000


def download(address: str, file: Path, *, sha256: str, size_bytes: int | None = None) -> None:
    """Download a file of a known SHA-256; a broken connection is continued where it ended.

    size_bytes: the file's size, if it is known; another size is refused before the download.
    Raises InputError if the address is not allowed or cannot be read, the file is another one, or
    the disk is full.
    """
    opener = _opener(address)
    try:
        with file.open("wb") as out:
            _receive_all(opener, address, out, size_bytes)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {address} to '{file.parent}': {reason}") from error
    actual = file_sha256(file)
    if actual != sha256.lower():
        raise InputError(
            f"{address} is another file than expected: its SHA-256 is {actual}, not {sha256}"
        )


def check_address(address: str) -> None:
    """Raise InputError unless files may be downloaded from an address."""
    parts = _split(address)
    if not parts.hostname or not (parts.scheme == "https" or _is_local(address)):
        raise InputError(
            f"'{address}' is not an https address; http is for this machine only (127.0.0.1)"
        )


def _split(address: str) -> SplitResult:
    """The parts of an address. Raises InputError if it is malformed."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # is parsed when it is read
    except ValueError as error:
        raise InputError(f"'{address}' is not an address: {error}") from error
    return parts


def _is_local(address: str) -> bool:
    parts = _split(address)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to allowed addresses of the same scheme."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        try:
            if _split(newurl).scheme != _split(req.full_url).scheme:
                raise InputError(f"{req.full_url} redirects to another scheme, {newurl}; refused")
            check_address(newurl)
        except InputError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError as error:  # the base class parses the address first
            fp.close()
            to = headers.get("location")
            raise InputError(f"{req.full_url} redirects to '{to}': {error}") from error

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener(address: str) -> OpenerDirector:
    check_address(address)
    return build_opener(_Redirects, *([ProxyHandler({})] if _is_local(address) else []))


class _UnreachableError(InputError):
    """A server does not answer now; it may later."""


class _Received(NamedTuple):
    """What has arrived of a file. total_bytes: its size, if it is known. broken: why it ended."""

    num_bytes: int
    total_bytes: int | None
    broken: str | None

    @property
    def so_far(self) -> str:
        """What has arrived, in words, and why it ended."""
        total = "" if self.total_bytes is None else f" of {self.total_bytes:,}"
        return f"{self.num_bytes:,}{total} bytes ({self.broken})"


def _receive_all(
    opener: OpenerDirector, address: str, out: IO[bytes], size_bytes: int | None
) -> None:
    """Read a whole file; a connection that breaks is made again, after a pause.

    Without a known size, only the hash can tell a file that a server ends early.
    """
    received = None
    for pause_s in (*_PAUSES_S, None):
        try:
            received = _receive(opener, address, out, size_bytes)
        except _UnreachableError as error:
            if received is None:
                raise
            received = received._replace(broken=str(error))
        if received.broken is None:
            return
        if pause_s is None:
            raise InputError(
                f"{address} broke off {len(_PAUSES_S) + 1} times, after {received.so_far};"
                " try again later"
            )
        log.info(f"the connection broke off after {received.so_far}; continuing in {pause_s:g} s")
        time.sleep(pause_s)


def _receive(
    opener: OpenerDirector, address: str, out: IO[bytes], size_bytes: int | None
) -> _Received:
    """Read from an address until its end, or until the connection breaks, to the end of a file."""
    start = out.tell()
    response = _open(opener, address, start)
    with response:
        if start and response.status != 206:  # the server sends the whole file again
            start = 0
            out.seek(0)
            out.truncate()
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else size_bytes
        if size_bytes is not None and total != size_bytes:
            raise InputError(f"{address} has {total:,} bytes, not {size_bytes:,}: another file")
        num_bytes, broken = start, None
        with progress_bar("download", math.ceil((total or 0) / _MB), "MB") as advance:
            advance(start // _MB)
            while broken is None:
                piece, broken = _read(response)
                if not piece:
                    break
                out.write(piece)
                advance((num_bytes + len(piece)) // _MB - num_bytes // _MB)
                num_bytes += len(piece)
                if total is not None and num_bytes > total:
                    raise InputError(f"{address} sends more than {total:,} bytes: another file")
    if broken is None and total not in (None, num_bytes):
        broken = "the server closed the connection"
    return _Received(num_bytes, total, broken)


def _open(opener: OpenerDirector, address: str, start: int) -> Any:
    """The response to a request for a file from its byte `start`."""
    headers = {"User-Agent": "unidino", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    # The scheme was checked.
    request = Request(address, headers=headers)  # noqa: S310
    try:
        response = opener.open(request, timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        reason = " ".join(str(error.reason).split())
        message = f"{address} answers {error.code} {reason}"
        raise (_UnreachableError if error.code in _BUSY else InputError)(message) from error
    except (URLError, OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        raise _UnreachableError(f"cannot reach {urlsplit(address).netloc}: {cause}") from error
    except ValueError as error:  # such as a letter that an address may not have
        raise InputError(f"'{address}' cannot be asked for: {error}") from error
    begins = str(response.headers.get("Content-Range", "")).removeprefix("bytes ").split("-")[0]
    if response.status == 206 and begins != str(start):
        response.close()
        raise InputError(f"{address} does not continue at byte {start:,}; try again")
    return response


def _read(response: Any) -> tuple[bytes, str | None]:
    """The next piece, nothing at the end; and why the connection broke, if it did."""
    try:
        return response.read(_PIECE_BYTES), None
    except http.client.HTTPException as error:
        return getattr(error, "partial", b""), str(error) or type(error).__name__
    except OSError as error:
        return b"", str(error) or type(error).__name__
