"""Files of a lake in object storage (S3, Google Cloud, Azure, or a folder by file://).

Credentials come from the usual variables of the environment, such as AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL. A request that fails is tried again for
half a minute.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from unidino.core.errors import InputError, LakeError
from unidino.lake.ranges import Ranges
from unidino.lake.states import files_below

_PATIENCE = timedelta(seconds=30)
_PAUSE = timedelta(milliseconds=100)
_AT_ONCE = 16
_BUFFER = 1 << 20  # bytes that are read at least
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (AWS_ENDPOINT_URL elsewhere)",
    "gs": "GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


@dataclass(frozen=True)
class Stored:
    """An object: its uri in the lake, and its bytes."""

    uri: str
    num_bytes: int


class Objects:
    """The files of a lake below a URL. Methods raise LakeError with the reason in one line."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @cached_property
    def _store(self) -> Any:
        from obstore.store import from_url

        options: dict[str, Any] = {}
        if not self.url.startswith("file:"):
            is_plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
            options["retry_config"] = {
                "max_retries": 1000,
                "retry_timeout": _PATIENCE,
                "backoff": {"init_backoff": _PAUSE, "max_backoff": 10 * _PAUSE, "base": 2},
            }
            options["client_options"] = {"allow_http": is_plain, "timeout": "60s"}
        try:
            if self.url.startswith("file:"):
                return from_url(self.url, mkdir=True)
            return from_url(self.url, **options)
        except (ValueError, OSError) as error:
            raise InputError(f"'{self.url}' is no place for a lake: {error}") from error

    def read(self, uri: str) -> bytes | None:
        """Bytes of an object; None if there is none."""
        import obstore

        with self._errors(uri):
            try:
                return bytes(obstore.get(self._store, uri).bytes())
            except FileNotFoundError:
                return None

    def write(self, uri: str, data: bytes) -> None:
        """Write an object whole."""
        import obstore

        with self._errors(uri):
            obstore.put(self._store, uri, data)

    def fetch(self, uri: str, path: Path) -> bool:
        """Bring an object to a path; whether there is one."""
        import obstore

        with self._errors(uri):
            try:
                found = obstore.get(self._store, uri)
                with path.open("wb") as file:
                    for piece in found:
                        file.write(piece)
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def opened(self, uri: str, num_bytes: int) -> Iterator[BinaryIO]:
        """An object as an open file, of which only the parts that are read are brought."""
        import obstore

        def read(start: int, end: int) -> bytes:
            with self._errors(uri):
                return bytes(obstore.get_range(self._store, uri, start=start, end=end))

        with BufferedReader(Ranges(read, num_bytes), _BUFFER) as file:
            yield file

    def put(self, uri: str, path: Path) -> None:
        """Write a file, or every file of a folder, whole."""
        import obstore

        if path.is_dir():
            files = [Path(file) for file in files_below(path)]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                names = [f"{uri}/{file.relative_to(path).as_posix()}" for file in files]
                list(pool.map(self.put, names, files))
            return
        with self._errors(uri):
            obstore.put(self._store, uri, path)

    def under(self, prefix: str) -> Iterator[Stored]:
        """The objects whose uris start with this folder."""
        import obstore

        with self._errors(prefix):
            for found in obstore.list(self._store, prefix=prefix or None):
                for item in found:
                    yield Stored(item["path"], item["size"])

    def size(self, uri: str) -> int | None:
        """Bytes of an object; None if there is none."""
        import obstore

        with self._errors(uri):
            try:
                return int(obstore.head(self._store, uri)["size"])
            except FileNotFoundError:
                return None

    def remove(self, uris: Sequence[str]) -> None:
        """Remove objects; those that are not there are passed over."""
        import obstore

        for uri in uris:
            with self._errors(uri):
                try:
                    obstore.delete(self._store, uri)
                except FileNotFoundError:
                    continue

    @contextmanager
    def _errors(self, uri: str) -> Iterator[None]:
        """A block whose errors of the storage become one line."""
        from obstore.exceptions import BaseError

        try:
            yield
        except BaseError as error:
            raise LakeError(f"'{self.url}/{uri}': {self._reason(error)}") from error

    def _reason(self, error: Exception) -> str:
        text = str(error)
        kind = self.url.split(":")[0]
        refused = ("403", "401", "Unauthenticated", "PermissionDenied", "AccessDenied")
        if any(word in text for word in (*refused, "credential", "InvalidAccessKeyId")):
            return (
                "the storage refuses these credentials; set"
                f" {_CREDENTIALS.get(kind, 'those of this storage')}"
            )
        if "NoSuchBucket" in text:
            return "there is no such bucket; make it, or name another"
        first = text.strip().splitlines()[0]
        return f"the storage does not answer as it should ({first[:300]}); run again later"
