"""A file from an address: continued where a connection breaks, and checked by its hash.

The client is Python's own urllib: a file or two need no other package. Addresses are https; http is
for this machine only.
"""

import http.client
import math
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
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

_TRIES = 3
_TIMEOUT_S = 60
_PIECE_BYTES = 1 << 20
_MB = 1_000_000


def download(address: str, file: Path, *, sha256: str, size_bytes: int | None = None) -> None:
    """Download a file of a known SHA-256; a broken connection is continued where it ended.

    size_bytes: the file's size, if it is known; another size is refused before the download.
    Raises InputError if the address is not allowed or cannot be read, or the file is another one.
    """
    opener = _opener(address)
    with file.open("wb") as out:
        for left in reversed(range(_TRIES)):
            received = _receive(opener, address, out, size_bytes)
            if received.is_complete:
                break
            so_far = f"{received.num_bytes:,} of {received.total_bytes or 0:,} bytes"
            if not left:
                raise InputError(f"{address} broke off {_TRIES} times, after {so_far}; try again")
            log.info(f"the connection broke off after {so_far}; continuing there")
    actual = file_sha256(file)
    if actual != sha256.lower():
        raise InputError(
            f"{address} is another file than expected: its SHA-256 is {actual}, not {sha256}"
        )


def check_address(address: str) -> None:
    """Raise InputError unless files may be downloaded from an address."""
    parts = urlsplit(address)
    if not parts.hostname or not (parts.scheme == "https" or _is_local(address)):
        raise InputError(
            f"'{address}' is not an https address; http is for this machine only (127.0.0.1)"
        )


def _is_local(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to allowed addresses of the same scheme."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        try:
            if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
                raise InputError(f"{req.full_url} redirects to another scheme, {newurl}; refused")
            check_address(newurl)
        except InputError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(address: str) -> OpenerDirector:
    check_address(address)
    return build_opener(_Redirects, *([ProxyHandler({})] if _is_local(address) else []))


class _Received(NamedTuple):
    """What has arrived of a file. total_bytes: its size, if it is known."""

    num_bytes: int
    total_bytes: int | None

    @property
    def is_complete(self) -> bool:
        """Whether the whole file is there; without a known size, the hash must tell."""
        return self.total_bytes in (None, self.num_bytes)


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
        num_bytes = start
        with progress_bar("download", math.ceil((total or 0) / _MB), "MB") as advance:
            advance(start // _MB)
            while piece := _read(response):
                out.write(piece)
                advance((num_bytes + len(piece)) // _MB - num_bytes // _MB)
                num_bytes += len(piece)
                if total is not None and num_bytes > total:
                    raise InputError(f"{address} sends more than {total:,} bytes: another file")
    return _Received(num_bytes, total)


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
        raise InputError(f"{address} answers {error.code} {reason}") from error
    except (URLError, OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        raise InputError(f"cannot reach {urlsplit(address).netloc}: {cause}") from error
    begins = str(response.headers.get("Content-Range", "")).removeprefix("bytes ").split("-")[0]
    if response.status == 206 and begins != str(start):
        response.close()
        raise InputError(f"{address} does not continue at byte {start:,}; try again")
    return response


def _read(response: Any) -> bytes:
    """The next piece; nothing at the end, and where the connection breaks."""
    try:
        piece: bytes = response.read(_PIECE_BYTES)
    except http.client.IncompleteRead as error:
        return error.partial
    except OSError:
        return b""
    return piece
