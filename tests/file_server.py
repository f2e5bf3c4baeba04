"""A server of files on this machine, whose connections break when a test wants it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CHUNK_BYTES = 1024


class FileServer(ThreadingHTTPServer):
    """Serves files by path.

    breaks: how often a response ends early; ranges: whether the server continues files.
    chunked: whether the size is not told. statuses: what the next answers have, 0 for none at all.
    asked: paths that were asked for, with the range.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.breaks, self.ranges, self.chunked = 0, True, False
        self.statuses: list[int] = []
        self.asked: list[tuple[str, str | None]] = []

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["FileServer"]:
        """A server that runs until the block ends."""
        with cls() as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield server
            server.shutdown()
            thread.join()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.asked.append((self.path, asked))
        if server.statuses and (status := server.statuses.pop(0)) != 200:
            if status:
                self.send_error(status)
            return
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.end_headers()
            return
        if self.path not in server.files:
            self.send_error(404)
            return
        whole = server.files[self.path]
        start = int(asked[6:-1]) if asked and server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        rest = whole[start:]
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        end = b"0\r\n\r\n"
        if server.breaks:
            server.breaks -= 1
            rest, end = rest[: len(rest) // 2], b""
        if server.chunked:
            chunks = [rest[at : at + _CHUNK_BYTES] for at in range(0, len(rest), _CHUNK_BYTES)]
            rest = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass
