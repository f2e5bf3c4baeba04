"""A lake whose files are in object storage and whose catalog is a PostgreSQL database.

`catalog.json` at the root of the storage holds the address of the database, without a password.
The lake has a folder on this machine for copies of its files, which a command reads, and in which
it writes a file before it is put into the storage and registered.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import duckdb

from unidino.core.errors import InputError, LakeError
from unidino.core.sql import CONFIG, Connection
from unidino.lake import records
from unidino.lake.cache import Cache, folder_of
from unidino.lake.catalog import TABLES, Catalog
from unidino.lake.lake import Lake
from unidino.lake.objects import Objects
from unidino.lake.postgres import PostgresCatalog, refuse_password
from unidino.lake.stacks import stack_of
from unidino.lake.states import FileState, state_from
from unidino.lake.views import (
    OVER_PARTS,
    OVER_TABLES,
    create_views_over_parts,
    create_views_over_tables,
)

_URL = re.compile(r"(s3|gs|az|file)://.+")
CATALOG = "catalog.json"  # tells the address of the database
_AT_ONCE = 16
_SHARE_OF_CACHE = 0.1  # that one file may take, of which only parts are needed
_opened: dict[str, "_Place"] = {}
_opening = Lock()


def is_url(path: str | Path) -> bool:
    """Whether a text names a remote lake; a path keeps one slash of the two."""
    return bool(_URL.fullmatch(url_of(path)))


def url_of(path: str | Path) -> str:
    """The URL that a path was made of, without a slash at its end."""
    text = re.sub(r"^(s3|gs|az|file):/+", r"\1://", str(path))
    return re.sub(r"^file://", "file:///", text).rstrip("/")


class _Place:
    """What a process keeps of a remote lake: its catalog, storage and copies."""

    def __init__(self, url: str, address: str) -> None:
        name = f"{re.sub(r'[^A-Za-z0-9]+', '-', url)[-60:]}-{_short_hash(url)}"
        self.objects = Objects(url)
        self.cache = Cache(folder_of(name))
        self.cache.folder.mkdir(parents=True, exist_ok=True)
        self.catalog = PostgresCatalog(address, self.cache.folder)
        self.plates: dict[str, dict[str, list[FileState]]] = {}
        self.lock = Lock()


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def refuse_without_packages() -> None:
    """Raise InputError if the packages for remote lakes are not installed."""
    missing = [name for name in ("obstore", "adbc_driver_postgresql") if not find_spec(name)]
    if missing:
        raise InputError("a remote lake needs more packages: `pip install 'unidino[remote]'`")


def create_remote(url: str, address: str) -> "RemoteLake":
    """The lake at a URL, which is made if there is none; its catalog is the database at `address`.

    Raises UnidinoError if the address holds a password, if either place cannot be used, or if the
    lake has another catalog.
    """
    refuse_without_packages()
    refuse_password(address)
    url = url_of(url)
    objects = Objects(url)
    told = _told(objects)
    if told not in (None, address):
        raise LakeError(f"the lake '{url}' has the catalog {told} already")
    if told is None and next(objects.under(""), None) is not None:
        raise LakeError(f"'{url}' is neither empty nor a lake; choose another place")
    place = _Place(url, address)
    place.catalog.create(url)
    if told is None:
        objects.write(CATALOG, json.dumps({"catalog": address}, indent=1).encode())
    with _opening:
        _opened[url] = place
    return RemoteLake(place.cache.folder, url)


def open_remote(url: str | Path) -> "RemoteLake":
    """The lake at a URL.

    Raises LakeError if there is none, or if its storage or catalog cannot be reached.
    """
    refuse_without_packages()
    url = url_of(url)
    with _opening:
        if url not in _opened:
            address = _told(Objects(url))
            if address is None:
                raise LakeError(
                    f"no lake at '{url}'; make one with `unidino lake create {url} --catalog"
                    " postgresql://HOST/DATABASE`"
                )
            place = _Place(url, address)
            place.catalog.refuse_other_tables()
            _opened[url] = place
    return RemoteLake(_opened[url].cache.folder, url)


def _told(objects: Objects) -> str | None:
    """The address of the catalog that the storage tells; None if it tells nothing."""
    data = objects.read(CATALOG)
    if data is None:
        return None
    try:
        return str(json.loads(data)["catalog"])
    except (ValueError, LookupError, TypeError) as error:
        raise LakeError(f"'{objects.url}/{CATALOG}' is damaged: {error}") from error


@dataclass(frozen=True, repr=False)
class RemoteLake(Lake):
    """A lake in object storage. path: folder of the copies. url: of its root."""

    url: str

    @property
    def address(self) -> str:
        """What names the lake on the command line."""
        return self.url

    @property
    def absolute_address(self) -> str:
        """What names the lake on every machine."""
        return self.url

    @property
    def is_remote(self) -> bool:
        """Whether the files are in object storage."""
        return True

    @property
    def exists(self) -> bool:
        """Whether there is a catalog."""
        return True

    @cached_property
    def _place(self) -> _Place:
        open_remote(self.url)
        return _opened[self.url]

    @property
    def objects(self) -> Objects:
        """The files of the lake in its storage."""
        return self._place.objects

    @property
    def tables(self) -> Catalog:
        """The catalog."""
        return self._place.catalog

    @property
    def state(self) -> int:
        """What changes when a command writes to the catalog."""
        return self._place.catalog.state

    @property
    def is_writable(self) -> bool:
        """Whether this user may write to the catalog."""
        return self._place.catalog.is_writable

    def __getstate__(self) -> dict[str, object]:
        """The fields alone; another process opens the lake itself."""
        return {"path": self.path, "url": self.url}

    def resolve(self, uri: str) -> Path:
        """Path of a copy of a file, or of the group of a field, that is whole; see `Lake.resolve`.

        What the catalog does not name, and the folder of a plate, are not brought here.
        """
        place = self.place_of(uri)
        room, *names = uri.split("/")
        if room == "plates":
            if len(names) > 1:
                self._bring_field(uri)
        elif state := self._states([uri]).get(uri):
            self._bring([state])
        return place

    @contextmanager
    def opened(self, uri: str) -> Iterator[Path | BinaryIO]:
        """A copy of a file; or, if it is large beside the cache, the object, read in ranges."""
        state = self._states([uri]).get(uri)
        cache = self._place.cache
        is_large = state and state.num_bytes > _SHARE_OF_CACHE * cache.limit
        if not state or not is_large or cache.is_whole(state):
            yield self.resolve(uri)
            return
        with self.objects.opened(uri, state.num_bytes) as file:
            yield file

    def bring(self, uris: Sequence[str]) -> list[Path]:
        """Paths of copies of these files, which are brought at once."""
        self._bring(list(self._states(uris).values()))
        return [self.place_of(uri) for uri in uris]

    def kept(self, uri: str) -> None:
        """Put a file or folder into the storage; it is registered next."""
        self.objects.put(uri, self.place_of(uri))

    def remove(self, uri: str) -> None:
        """Remove a file from the storage, and its copy."""
        self.objects.remove([uri])
        super().remove(uri)

    def remove_folder(self, uri: str) -> None:
        """Remove every file below a folder from the storage, and its copy."""
        self.objects.remove([found.uri for found in self.objects.under(f"{uri}/")])
        shutil.rmtree(self.place_of(uri), ignore_errors=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Refused: the tables are in PostgreSQL."""
        yield from ()
        raise InputError(
            "`unidino sql --write` is for lakes in a folder; the tables of this one are in"
            f" PostgreSQL: psql {self._place.catalog.address}"
        )

    def resolve_file(self, state: FileState) -> Path:
        """Path of a copy of a file with this state."""
        self._bring([state])
        return self.place_of(state.path)

    def take(self, state: FileState, source: Path) -> None:
        """Put a file that has this state into the storage."""
        self.objects.put(state.path, source)

    def files(self) -> Iterator[tuple[str, int]]:
        """Uri and bytes of every file in the storage."""
        for found in self.objects.under(""):
            yield found.uri, found.num_bytes

    def states_of_plate(self, uri: str) -> dict[str, list[FileState]]:
        """States of the files of a plate as registered now, by the group of their field."""
        return self._states_of_plate(uri, anew=True)

    def _states(self, uris: Sequence[str]) -> dict[str, FileState]:
        rows = self.look_up("from file where list_contains($uris, uri)", {"uris": list(uris)})
        return {row["uri"]: state_from(row) for row in rows.to_dicts()}

    def _bring(self, states: Sequence[FileState]) -> None:
        """Bring the files of these states that are not here.

        Raises LakeError if one is missing in the storage, or has other content.
        """
        cache = self._place.cache
        wanted = [state for state in states if not cache.is_whole(state)]
        if len(wanted) < 2:
            came = [cache.bring(state, self.objects.fetch) for state in wanted]
        else:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                came = list(pool.map(lambda s: cache.bring(s, self.objects.fetch), wanted))
        if bad := [
            state.path for state, is_whole in zip(wanted, came, strict=True) if not is_whole
        ]:
            raise LakeError(
                f"'{self.url}/{bad[0]}' is missing or damaged; `unidino check` names the command"
                " that makes it again"
            )

    def _bring_field(self, uri: str) -> None:
        """Bring the files of a field; states of its plate are read again if they have changed."""
        group = stack_of(uri).group
        plate = "/".join(group.split("/")[:2])
        for attempt in range(2):
            states = self._states_of_plate(plate, anew=bool(attempt))
            try:
                self._bring(states.get(group, []))
            except LakeError:
                if attempt:
                    raise
            else:
                return

    def _states_of_plate(self, uri: str, *, anew: bool) -> dict[str, list[FileState]]:
        """States of the files of a plate by the group of their field."""
        place = self._place
        with place.lock:
            if anew or uri not in place.plates:
                rows = self.look_up(
                    "select file.uri from file inner join plate on plate_id = file.plate"
                    " where file.kind = 'record' and plate.uri = $uri",
                    {"uri": uri},
                )["uri"]
                found: list[FileState] = []
                if len(rows):
                    record = self.resolve(rows[0])
                    with closing(duckdb.connect(config=CONFIG)) as con:
                        found = records.states_in(con, record) or []
                groups: dict[str, list[FileState]] = {}
                for state in found:
                    group = "/".join([uri, *state.path.split("/")[:3]])
                    groups.setdefault(group, []).append(replace(state, path=f"{uri}/{state.path}"))
                place.plates[uri] = groups
            return place.plates[uri]

    def _create_views(
        self,
        con: Connection,
        tables: Sequence[str] = TABLES,
        *,
        of: str | None = None,
        views: Collection[str] | None = None,
    ) -> None:
        views = (*OVER_PARTS, *OVER_TABLES) if views is None else views
        create_views_over_parts(con, self, of=of, views=views)
        create_views_over_tables(con, tables, views=views)
